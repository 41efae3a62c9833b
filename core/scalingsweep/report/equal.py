"""Savings that the observations themselves show, without any law: two runs of equal loss.

For a run of one arm, the tokens at which the other arm reaches the same loss at the same size and
seed are interpolated between that arm's own runs (loss against log D), never beyond them. The
savings figure sets these points beside the laws' curve, the savings table lists them.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scalingsweep import laws
from scalingsweep.report import cells
from scalingsweep.report.study import Arm, Row, Study


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One size and loss that both arms reach."""

    size: str
    seed: str
    N: float
    loss: float
    D_scratch: float
    D_cpt: float
    C_scratch: float
    """6 N D of the from-scratch run, of all its tokens."""
    C_cpt: float
    """6 N D of the CPT run, replayed tokens included."""
    C_source: float | None
    """FLOPs of the source that CPT started from; None where they are not recorded."""

    @property
    def tokens_saved(self) -> float:
        """Share of the target's tokens."""
        return 1 - self.D_cpt / self.D_scratch

    @property
    def flops_saved(self) -> float:
        """Share of C, the source's not counted."""
        return 1 - self.C_cpt / self.C_scratch

    @property
    def flops_saved_with_source(self) -> float | None:
        """Share of C when this one study must pay for the source too."""
        return None if self.C_source is None else 1 - (self.C_cpt + self.C_source) / self.C_scratch


def points(study: Study, scratch: Arm, cpt: Arm) -> list[Point]:
    """Every run of either arm that has a partner within the other arm's range, by N and D."""
    column = f"loss_{cpt.corpus}"
    theirs, ours = (_runs(cells.with_loss(study, arm), column) for arm in (scratch, cpt))
    found = []
    for key in theirs.keys() & ours.keys():
        losses = {row_loss for run in (theirs[key], ours[key]) for _, row_loss, _ in run}
        for loss in sorted(losses):
            D = [_reaches(run, loss) for run in (theirs[key], ours[key])]
            if D[0] is not None and D[1] is not None:
                found.append(
                    _point(key, loss, D_scratch=D[0], D_cpt=D[1], row=ours[key][-1][2], cpt=cpt)
                )
    return sorted(found, key=lambda point: (point.N, point.seed, point.D_scratch))


_Run = Sequence[tuple[float, float, Row]]


def _runs(rows: Sequence[Row], column: str) -> dict[tuple[str, str], _Run]:
    """(D, loss, row) by growing D, by (size, seed)."""
    runs: dict[tuple[str, str], list[tuple[float, float, Row]]] = {}
    for row in rows:
        key = cells.size(row), str(row.get("seed"))
        entry = cells.D(row) or 0.0, cells.number(row, column) or 0.0, row
        runs.setdefault(key, []).append(entry)
    return {key: sorted(run, key=lambda entry: entry[0]) for key, run in runs.items()}


def _reaches(run: _Run, loss: float) -> float | None:
    """The D at which a run reaches the loss, or None where that is not between its own points."""
    for (D, at, _), (D_next, at_next, _) in itertools.pairwise(run):
        if at >= loss >= at_next and at > at_next:
            share = (at - loss) / (at - at_next)
            return float(np.exp(np.log(D) + share * (np.log(D_next) - np.log(D))))
    return None


def _point(
    key: tuple[str, str], loss: float, *, D_scratch: float, D_cpt: float, row: Row, cpt: Arm
) -> Point:
    N = cells.number(row, "N") or 1.0
    every = D_cpt / (1 - (cpt.replay_ratio or 0.0))  # replayed tokens are computed on as well
    return Point(
        size=key[0],
        seed=key[1],
        N=N,
        loss=loss,
        D_scratch=D_scratch,
        D_cpt=D_cpt,
        C_scratch=float(laws.flops(N, D_scratch)),
        C_cpt=float(laws.flops(N, every)),
        C_source=cells.number(row, "C_source"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """A size at which CPT's shortest run is as good as the longest from scratch, or better."""

    size: str
    N: float
    D_scratch: float
    D_cpt: float

    @property
    def tokens_saved(self) -> float:
        """At least this share of the tokens: no runs are there that could say more."""
        return 1 - self.D_cpt / self.D_scratch


def bounds(study: Study, scratch: Arm, cpt: Arm) -> list[Bound]:
    """Sizes and seeds whose losses do not overlap, because CPT is ahead by more than the grid."""
    column = f"loss_{cpt.corpus}"
    theirs, ours = (_runs(cells.with_loss(study, arm), column) for arm in (scratch, cpt))
    found = []
    for key in sorted(theirs.keys() & ours.keys()):
        first, last = ours[key][0], theirs[key][-1]
        if first[1] <= last[1] and first[0] < last[0]:
            N = cells.number(first[2], "N") or 1.0
            found.append(Bound(size=key[0], N=N, D_scratch=last[0], D_cpt=first[0]))
    return sorted(found, key=lambda bound: bound.N)
