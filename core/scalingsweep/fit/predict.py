"""What a run that was not made would cost in loss, with an interval that is meant for a run.

A bootstrap of the coefficients alone covers 9-13 % of larger runs where it promises 95 %
(paper.md). A run also has noise of its own, and the law is not the truth: its error grows with the
distance from the data. That growth is measured on the table itself, by fitting its smaller runs and
foretelling the larger ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scalingsweep import laws
from scalingsweep.errors import ScalingSweepError
from scalingsweep.fit import solve
from scalingsweep.fit.result import Estimate, Prediction
from scalingsweep.fit.solve import Solution
from scalingsweep.fit.table import Table
from scalingsweep.laws import Floats

CUTS = (0.15, 0.3, 0.45)
"""The shares of the rows, largest compute first, that are left out in turn to measure misfit."""
LEAST_DRAWS = 4000


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A run to foretell: at `flops` with the best split, or at N and D."""

    flops: float | None = None
    N: float | None = None
    D: float | None = None

    def __post_init__(self) -> None:
        if (self.flops is None) == (self.N is None) or (self.N is None) != (self.D is None):
            raise ScalingSweepError("a prediction needs either flops, or N and D")


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How far a run lies from the fitted law, as parts of its loss."""

    noise: float
    """The standard deviation of log residuals."""
    misfit: float
    """The standard deviation of the law's error per unit of log compute beyond the data."""
    degrees: float
    largest: float
    """The greatest compute of the table, FLOPs."""


def spread(table: Table, solution: Solution) -> Spread:
    """Measure the noise and the misfit of a fitted law on its own table."""
    P = len(solution.theta)
    degrees = max(table.rows - P, 1)
    noise2 = float((solution.residuals() ** 2).sum()) / degrees
    order = np.argsort(table.flops, kind="stable")
    excess, distance = [], []
    for cut in CUTS:
        left = order[: round(table.rows * (1 - cut))]
        kept = np.zeros(table.rows, dtype=np.bool_)
        kept[left] = True
        if not foretellable(table, kept, P):
            continue
        smaller = solve.solve(
            table.where(kept),
            law=solution.layout.law,
            objective=solution.problem.objective,
            delta=solution.problem.delta,
            share=shared_roles(solution),
        )
        for k in range(len(table.arms)):
            out = ~kept & (table.arm == k)
            error = np.log(smaller.surface(k).loss(table.N[out], table.D[out]) / table.loss[out])
            reach = np.log(table.flops[out] / table.flops[kept].max())
            excess += (error**2 - noise2).tolist()
            distance += (np.maximum(reach, 0.1) ** 2).tolist()
    misfit2 = max(sum(excess) / sum(distance), 0.0) if distance else 0.0
    return Spread(
        noise=float(np.sqrt(noise2)),
        misfit=float(np.sqrt(misfit2)),
        degrees=float(degrees),
        largest=float(table.flops.max()),
    )


def foretellable(table: Table, kept: NDArray[np.bool_], parameters: int) -> bool:
    """Whether the kept rows are enough for a fit of their own."""
    enough = int(kept.sum()) > parameters
    return enough and all(
        len(np.unique(values[kept & (table.arm == k)])) >= 2
        for values in (table.N, table.D)
        for k in range(len(table.arms))
    )


def shared_roles(solution: Solution) -> tuple[laws.Role, ...]:
    """What the arms of a solution have in common."""
    layout = solution.layout
    return tuple(r for r, owner in zip(layout.roles, layout.owners, strict=True) if owner is None)


def losses(
    solution: Solution,
    draws: Floats,
    spread: Spread,
    *,
    arm: int,
    N: Floats,
    D: Floats,
    level: float,
    rng: np.random.Generator,
) -> tuple[Floats, Floats]:
    """The interval of a run's loss at each of m points: two arrays of shape (m,)."""
    # A few hundred draws alone leave the tails to chance: each meets several draws of the noise.
    repeated = np.repeat(draws, max(1, -(-LEAST_DRAWS // len(draws))), axis=0)
    resampled = solution.layout.surface(repeated[:, None, :], arm).loss(N, D)
    reach = np.maximum(np.log(laws.flops(N, D) / spread.largest), 0.0)
    size = np.sqrt(spread.noise**2 + (spread.misfit * reach) ** 2)
    noise = rng.standard_t(spread.degrees, size=resampled.shape)
    tail = (1 - level) / 2
    low, high = np.nanquantile(resampled * np.exp(size * noise), [tail, 1 - tail], axis=0)
    return low, high


def predictions(
    solution: Solution,
    draws: Floats,
    spread: Spread,
    targets: Sequence[Target],
    *,
    level: float,
    rng: np.random.Generator,
) -> tuple[Prediction, ...]:
    """Every target in every arm; loss is null where an arm has no optimal split."""
    out = []
    for target in targets:
        for k, arm in enumerate(solution.layout.arms):
            surface = solution.surface(k)
            N, D = _where(target, surface)
            flops = float(laws.flops(N, D)) if target.flops is None else target.flops
            if not np.isfinite(N):
                empty = Estimate(value=None)
                out.append(Prediction(arm=arm, flops=flops, N=None, D=None, loss=empty))
                continue
            low: float | None = None
            high: float | None = None
            if len(draws):
                ends = losses(
                    solution,
                    draws,
                    spread,
                    arm=k,
                    N=np.array([N]),
                    D=np.array([D]),
                    level=level,
                    rng=rng,
                )
                low, high = float(ends[0][0]), float(ends[1][0])
            value = float(surface.loss(N, D))
            loss = Estimate(value=value, low=low, high=high)
            out.append(Prediction(arm=arm, flops=flops, N=N, D=D, loss=loss))
    return tuple(out)


def _where(target: Target, surface: laws.Surface) -> tuple[float, float]:
    if target.N is not None and target.D is not None:
        return float(target.N), float(target.D)
    assert target.flops is not None
    N, D = surface.allocation().split(target.flops)
    return float(N), float(D)
