"""Tokens and FLOPs that CPT saves at equal loss: as observed, and as the laws have it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scalingsweep import laws
from scalingsweep.laws import Floats
from scalingsweep.report import cells, equal, figure, law, numbers, palette, saved
from scalingsweep.report.axis import Axis
from scalingsweep.report.panel import Panel
from scalingsweep.report.study import Arm, Study

KEY = "savings"
TITLE = "What CPT saves at equal loss"
_BEYOND = 2.0
"""How far past the measured D the curves run: enough to see that they go on, no prophecy."""
_MOST_BANDS = 4
"""With more sizes than this only the smallest and the largest have a band over C."""


def draw(study: Study) -> figure.Figure:
    """Two panels per CPT arm that has a from-scratch arm to be compared with."""
    pairs = law.pairs(study)
    if not pairs:
        empty = "No arm continues another one beside an arm from scratch on the same corpus."
        return figure.Figure(key=KEY, title=TITLE, caption="", empty=empty)
    panels: list[Panel] = []
    for scratch, cpt in pairs:
        if cells.with_loss(study, scratch) and cells.with_loss(study, cpt):
            panels += [
                _panel(study, scratch, cpt, flops=False),
                _panel(study, scratch, cpt, flops=True),
            ]
    return figure.Figure(
        key=KEY,
        title=TITLE,
        caption=(
            "Share of the tokens (left) and of C (right, replayed tokens counted, the source’s "
            "training not) that CPT does without on its way to the loss that training from "
            "scratch reaches with the D or C of the horizontal axis, at the same size. Markers are "
            "interpolated between runs, without any law. Curves are the two fitted laws; they are "
            "dashed where one of the two runs would lie outside the shaded range of what was "
            "measured. The dotted line is what the laws give when each arm takes its own "
            "compute-optimal size."
        ),
        legend=(
            *figure.size_keys(study),
            figure.Key(label="laws, interpolating", line=True),
            figure.Key(label="laws, beyond the runs", line=True, dash="dashed"),
            figure.Key(label="both compute-optimal", line=True, dash="dotted", colour="ink"),
            figure.Key(label="measured from scratch", area="domain"),
        ),
        panels=tuple(panels),
        empty="" if panels else "One of the arms to be compared has no observation yet.",
    )


def _panel(study: Study, scratch: Arm, cpt: Arm, *, flops: bool) -> Panel:
    points = equal.points(study, scratch, cpt)
    curves = _curves(study, scratch, cpt, flops=flops)
    own = cells.with_loss(study, scratch)
    if flops:
        N, D = (np.asarray(cells.column(own, name)) for name in ("N", "D_target"))
        measured = laws.flops(N, D).tolist()
        at = [point.C_scratch for point in points]
        shown = [point.flops_saved for point in points]
    else:
        measured = cells.column(own, "D_target")
        at = [point.D_scratch for point in points]
        shown = [point.tokens_saved for point in points]
    what = "FLOPs" if flops else "tokens"
    x = Axis.over(
        [*measured, *(float(v) for one in curves for v in one.x)],
        label="C from scratch, FLOPs" if flops else "D from scratch, tokens",
        log=True,
        text=numbers.power if flops else numbers.count,
    )
    y = _shares(curves, shown, f"{what} saved")
    panel = Panel(
        key=f"{KEY}-{figure.place(study, cpt)}-{what.lower()}",
        title=f"{cpt.name} against {scratch.name}: {what}",
        description=(
            f"Share of {what} that {cpt.name} saves over {scratch.name} at equal loss; "
            f"{len(points)} pairs of runs were observed."
        ),
        x=x,
        y=y,
    )
    panel.shade(min(measured), max(measured))
    panel.level(0.0)
    series = cells.sizes(study)
    for place, one in enumerate(curves):
        # on an axis of D the bands of all sizes lie upon each other: the outer two say enough
        banded = (flops and len(curves) <= _MOST_BANDS) or place in {0, len(curves) - 1}
        _curve(panel, one, series[one.size].colour, banded=banded)
    if flops:
        _frontier(panel, study, scratch, cpt)
    for size in dict.fromkeys(point.size for point in points):
        mine = [place for place, point in enumerate(points) if point.size == size]
        panel.points(
            [at[place] for place in mine],
            [shown[place] for place in mine],
            colour=series[size].colour,
            marker=palette.marker(figure.place(study, cpt)),
            arm=cpt.name,
            size=size,
        )
    return panel


def _shares(curves: list["_Curve"], shown: list[float], label: str) -> Axis:
    """An axis over what is measured: curves and bands far beyond it would flatten it."""
    values: list[float] = []
    for one in curves:
        for part in (one.saved, one.low, one.high):
            # without any measured range the curves themselves are all there is
            kept = one.inside if one.inside.any() or shown else np.ones_like(one.inside)
            values += [] if part is None else part[kept].tolist()
    values = np.clip([value for value in values if np.isfinite(value)], -1, 1).tolist() + shown
    if not values or min(values) < 0.3:
        values.append(0.0)  # near enough that the reader wants to see it
    return Axis.over(values, label=label, text=numbers.percent, pad=0.1)


def _curve(panel: Panel, one: "_Curve", colour: str, *, banded: bool) -> None:
    """The law's curve, solid where both runs are within the measured range, and its band there."""
    if banded and one.low is not None and one.high is not None and one.inside.any():
        kept = one.inside
        ends = {"low": one.low[kept], "high": one.high[kept]}
        panel.band(one.x[kept], **ends, colour=colour, size=one.size)
    what: dict[str, Any] = {"colour": colour, "kind": "law", "size": one.size}
    panel.line(one.x, np.where(one.inside, one.saved, np.nan), **what)
    panel.line(one.x, np.where(_widened(~one.inside), one.saved, np.nan), dash="dashed", **what)


def _frontier(panel: Panel, study: Study, scratch: Arm, cpt: Arm) -> None:
    """What is saved when both arms take their own compute-optimal size: laws alone, no two runs."""
    both = saved.pair(study, scratch, cpt)
    if both is None:
        return
    C = np.geomspace(panel.x.low, panel.x.high, 81)
    dearer = 1 / (1 - (cpt.replay_ratio or 0.0))
    share = 1 - both.cpt.surface.flops_for(both.scratch.surface.frontier(C)) / C * dearer
    panel.line(C, share, colour="ink", dash="dotted", width=1.2, kind="frontier")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Curve:
    size: str
    x: Floats
    """D or C from scratch."""
    saved: Floats
    low: Floats | None
    high: Floats | None
    inside: NDArray[np.bool_]
    """Whether both runs lie within what was measured."""


def _curves(study: Study, scratch: Arm, cpt: Arm, *, flops: bool) -> list[_Curve]:
    """One per size that both arms have, by size."""
    both = saved.pair(study, scratch, cpt)
    if both is None:
        return []
    theirs, ours = (cells.by_size(cells.with_loss(study, arm)) for arm in (scratch, cpt))
    # replayed tokens are computed on as well
    dearer = 1 / (1 - (cpt.replay_ratio or 0.0)) if flops else 1.0
    curves = []
    for size in (size for size in cells.sizes(study) if size in theirs and size in ours):
        N = np.asarray(cells.column(theirs[size], "N")[0])
        D_theirs, D_ours = (cells.column(rows[size], "D_target") for rows in (theirs, ours))
        D = np.geomspace(min(D_theirs) / _BEYOND, max(D_theirs) * _BEYOND, 81)
        needed = both.needed(N, D)
        inside = (min(D_theirs) <= D) & (max(D_theirs) >= D)
        inside &= (min(D_ours) <= needed) & (max(D_ours) >= needed)
        drawn = both.draws(N, D)
        low, high = (None, None) if drawn is None else both.ends(1 - (1 - drawn) * dearer)
        curves.append(
            _Curve(
                size=size,
                x=laws.flops(N, D) if flops else D,
                saved=1 - needed / D * dearer,
                low=low,
                high=high,
                inside=inside,
            )
        )
    return curves


def _widened(kept: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """One point more at each end, so that a dashed part meets its solid one."""
    wide = kept.copy()
    wide[1:] |= kept[:-1]
    wide[:-1] |= kept[1:]
    return wide
