"""4,000 resamples of the Chinchilla law on public data: our batches beside a loop over scipy.

The loop gets every advantage that it has in practice: the analytic Jacobian, the table's own
optimum as its start, scipy's default tolerances. The same resamples are then solved once more by
it with tolerances of 1e-15, not timed, and no optimum of ours may be worse than any of its.
"""

import time
from collections.abc import Callable

import numpy as np
from hack.bench import pairs
from hack.bench.figure import Figure
from scipy import optimize

from scalingsweep.fit import bootstrap, objective, solve
from scalingsweep.fit.solve import Solution
from scalingsweep.laws import Floats, Law
from support import studies

ROUNDING = 1e-10
"""Relative: two sums of 234 terms over one optimum may differ by so much and be the same."""


def measure(*, samples: int, rounds: int) -> list[Figure]:
    """Time both in turns: we solve all, the loop its share of them, each resample once."""
    table = studies.kyotakano()
    solution = solve.solve(table, law=Law.CHINCHILLA, delta=1e-3)
    weights = bootstrap.weights(table, samples, np.random.default_rng(0))
    shares = iter(np.array_split(np.arange(samples), rounds))
    theirs = np.empty((samples, len(solution.theta)))
    ours = np.empty_like(theirs)

    def batches() -> float:
        began = time.perf_counter()
        ours[:] = bootstrap.refit(solution, weights)
        return (time.perf_counter() - began) / samples

    def loop() -> float:
        share = next(shares)
        began = time.perf_counter()
        theirs[share] = [_scipy(solution, row) for row in weights[share]]
        return (time.perf_counter() - began) / len(share)

    runners: dict[str, Callable[[], float]] = {"scipy loop": loop, "ours": batches}
    seconds = pairs.turns(rounds, runners)
    tight = np.array([_scipy(solution, row, tolerance=1e-15) for row in weights])
    excess = _value(solution, ours, weights) / np.minimum(
        _value(solution, theirs, weights), _value(solution, tight, weights)
    )
    worse = float((excess > 1 + ROUNDING).sum())
    return [
        Figure.of(
            f"{samples} bootstraps, 234 rows: times as fast as the scipy loop",
            "≥ 10",
            pairs.ratio(seconds["scipy loop"], seconds["ours"]),
            {who: [samples * value for value in values] for who, values in seconds.items()},
        ),
        Figure.of(
            f"{samples} bootstraps: resamples where scipy's objective is lower",
            "0",
            pairs.spread([worse]),
            {"greatest relative excess": [float(excess.max() - 1)]},
        ),
    ]


def _scipy(solution: Solution, weights: Floats, tolerance: float = 1e-8) -> Floats:
    # scipy knows no weights: rows are repeated
    rows = np.repeat(np.arange(weights.size), weights.astype(int))
    layout, log_loss = solution.layout, np.log(solution.problem.loss)[rows]
    V = layout.V[:, rows]
    terms = [layout.term == k for k in range(3)]

    def shares(theta: Floats) -> tuple[Floats, Floats]:
        parts = np.exp(np.stack([theta[of] @ V[of] for of in terms]))
        total = parts.sum(axis=0)
        return total, parts / total

    def residuals(theta: Floats) -> Floats:
        return np.asarray(np.log(shares(theta)[0]) - log_loss)

    def jacobian(theta: Floats) -> Floats:
        return np.asarray((shares(theta)[1][layout.term] * V).T)

    found = optimize.least_squares(
        residuals,
        solution.theta,
        jac=jacobian,
        loss="huber",
        f_scale=solution.problem.delta,
        x_scale="jac",
        ftol=tolerance,
        xtol=tolerance,
        gtol=tolerance,
    )
    return np.asarray(found.x)


def _value(solution: Solution, theta: Floats, weights: Floats) -> Floats:
    return objective.evaluate(solution.problem, theta, weights).value
