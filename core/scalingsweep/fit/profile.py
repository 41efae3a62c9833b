"""Intervals for a handful of clusters: profile likelihood with t quantiles.

With fewer than eight clusters a bootstrap knows too few of them. Here the log residuals are taken
as normal, those of one cluster correlated; a parameter's interval is all values at which the best
fit of the other parameters stays within what Student's t allows. What is no coordinate of the fit
(A, B, allocations, predictions) gets its interval from refitted simulations with the same t law.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import special

from scalingsweep.fit import newton, solve
from scalingsweep.fit.objective import Objective, Problem
from scalingsweep.fit.solve import Solution
from scalingsweep.fit.table import Table
from scalingsweep.laws import Floats

PRIOR = 1.0
"""Exponent of the prior [part (1 - part)]^PRIOR."""


QUARTILES = (0.25, 0.75)
"""The shared part is itself uncertain: intervals are the wider of those at its quartiles."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Gaussian:
    """The normal model of the residuals at its own optimum."""

    problem: Problem
    theta: Floats
    """(P,)"""
    value: float
    """r' Q r at the optimum."""
    correlation: Floats
    """(n, n)"""
    degrees: float
    """Of freedom, for t."""

    @property
    def scale(self) -> float:
        """The standard deviation of one log residual."""
        return float(np.sqrt(self.value / self.degrees))


def correlation(table: Table, shared: float) -> Floats:
    """(n, n): rows of one arm's cluster have the part `shared` of their variance in common."""
    same = (table.cluster[:, None] == table.cluster) & (table.arm[:, None] == table.arm)
    return np.where(same, shared, 0.0) + (1 - shared) * np.eye(table.rows)


def shared_part(
    solution: Solution, table: Table, *, quantiles: Sequence[float] = (0.5,)
) -> tuple[float, ...]:
    """The part of a residual's variance that the branches of one trunk have in common.

    Quantiles of its posterior over a grid: the restricted likelihood (Patterson and Thompson 1971)
    times a prior that leans towards one half, because a handful of clusters alone often says none
    or all. Zero where no rows share a trunk.
    """
    if not table.clustered:
        return (0.0,) * len(quantiles)
    grid = np.arange(0.025, 1.0, 0.05)
    J = solution.layout.jacobian(solution.theta[None])[0]
    residuals = solution.residuals()
    log_posterior = np.array([_restricted(float(part), table, J, residuals) for part in grid])
    mass = np.cumsum(np.exp(log_posterior - log_posterior.max()))
    return tuple(float(grid[np.searchsorted(mass, q * mass[-1])]) for q in quantiles)


def _restricted(part: float, table: Table, J: Floats, residuals: Floats) -> float:
    V = correlation(table, part)
    Q = np.linalg.inv(V)
    information = J @ Q @ J.T
    step = np.linalg.pinv(information) @ (J @ Q @ residuals)
    left = residuals - step @ J
    eigenvalues = np.linalg.eigvalsh(information)
    seen = eigenvalues[eigenvalues > 1e-12 * eigenvalues[-1]]
    degrees = max(table.rows - len(seen), 1)
    likelihood = -0.5 * (
        np.linalg.slogdet(V)[1]
        + np.log(seen).sum()
        + degrees * np.log(max(float(left @ Q @ left), 1e-300))
    )
    prior = PRIOR * (np.log(part) + np.log(1 - part))
    return float(likelihood + prior)


def models(solution: Solution, table: Table) -> tuple[Gaussian, ...]:
    """The normal models to be reckoned with."""
    parts = shared_part(solution, table, quantiles=QUARTILES)
    return tuple(gaussian(solution, table, shared=part) for part in dict.fromkeys(parts))


def gaussian(solution: Solution, table: Table, *, shared: float) -> Gaussian:
    """Fit the normal model, starting where the solution ended."""
    V = correlation(table, shared)
    problem = replace(
        solution.problem,
        objective=Objective.LOG_MSE,
        precision=np.asarray(np.linalg.inv(V), dtype=np.float64),
    )
    best = solve.polish(problem, np.stack([solution.theta, *solution.others]))
    return Gaussian(
        problem=problem,
        theta=best.theta,
        value=best.value,
        correlation=V,
        degrees=max(table.rows - len(best.theta), 1),
    )


def intervals(model: Gaussian, *, level: float = 0.95) -> tuple[Floats, Floats]:
    """(P,), (P,): each coordinate's lower and upper end; a bound where the profile never rises
    enough.
    """
    layout = model.problem.layout
    P = len(model.theta)
    threshold = float(special.stdtrit(model.degrees, 0.5 + level / 2))
    which = np.tile(np.arange(P, dtype=np.intp), 2)
    sign = np.repeat([-1.0, 1.0], P)
    end = np.where(sign < 0, layout.lower[which], layout.upper[which])
    inner = model.theta[which]
    width = np.abs(end - inner)
    step = np.minimum(_linear_errors(model)[which] * threshold, width)
    outer = inner + sign * step
    theta = np.tile(model.theta, (2 * P, 1))
    root, theta = _root(model, which, outer, theta)
    for _ in range(30):  # doubling from one linear interval reaches any bound
        short = (root < threshold) & (outer != end)
        if not short.any():
            break
        inner = np.where(short, outer, inner)
        step = np.where(short, np.minimum(2 * step, width), step)
        outer = np.where(short, model.theta[which] + sign * step, outer)
        root, theta = _root(model, which, outer, theta)
    bounded = root < threshold
    for _ in range(14):  # halving: 1e-4 of the bracket
        middle = 0.5 * (inner + outer)
        root, theta = _root(model, which, middle, theta)
        inside = root < threshold
        inner = np.where(inside, middle, inner)
        outer = np.where(inside, outer, middle)
    ends = np.where(bounded, end, outer)
    return ends[:P], ends[P:]


def _root(
    model: Gaussian, which: NDArray[np.intp], at: Floats, start: Floats
) -> tuple[Floats, Floats]:
    """The profile's t statistic where each problem holds one parameter at a value, and the
    refits.
    """
    layout = model.problem.layout
    rows = np.arange(len(at))
    lower = np.tile(layout.lower, (len(at), 1))
    upper = np.tile(layout.upper, (len(at), 1))
    lower[rows, which] = at
    upper[rows, which] = at
    warm = newton.minimise(model.problem, start, lower=lower, upper=upper, iterations=80)
    cold = newton.minimise(
        model.problem, np.tile(model.theta, (len(at), 1)), lower=lower, upper=upper, iterations=80
    )
    value = np.minimum(warm.value, cold.value)
    theta = np.where((warm.value <= cold.value)[:, None], warm.theta, cold.theta)
    rise = np.maximum(value - model.value, 0) / max(model.value, 1e-300)
    return np.sqrt(rise * model.degrees), theta


def _linear_errors(model: Gaussian) -> Floats:
    J = model.problem.layout.jacobian(model.theta[None])[0]
    information = J @ np.linalg.inv(model.correlation) @ J.T
    variances = np.maximum(np.diag(np.linalg.pinv(information)), 1e-16)
    return np.asarray(np.sqrt(variances) * model.scale)


def simulate(model: Gaussian, samples: int, rng: np.random.Generator) -> Floats:
    """(samples, P): optima of losses drawn from the fitted model, their scale as uncertain as t
    says.
    """
    log_loss, _ = model.problem.layout.log_loss(model.theta[None])
    root = np.linalg.cholesky(model.correlation)
    noise = rng.standard_normal((samples, len(root))) @ root.T
    scale = model.scale * np.sqrt(model.degrees / rng.chisquare(model.degrees, samples))
    drawn = replace(model.problem, loss=np.exp(log_loss + scale[:, None] * noise))
    start = np.tile(model.theta, (samples, 1))
    return newton.minimise(drawn, start, iterations=80).theta
