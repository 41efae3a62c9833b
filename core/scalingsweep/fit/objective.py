"""What a fit minimises, with its first and second derivatives, for many resamples at once.

`solve` calls `evaluate` once per iteration. With shares s_k and V of `logsum`, g = s V is the
gradient of log L, and its Hessian is sum_k s_k v_k v_kᵀ - g gᵀ. V is common to all resamples, so
that both matrices are products of (R, n) weights with V's own products: one large matrix product
for each pair of terms, where a product for each resample takes twice as long.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from scalingsweep.laws import Floats
from scalingsweep.logsum import Layout


class Objective(StrEnum):
    """How a predicted loss is compared with a measured one."""

    LOG_HUBER = "log-huber"
    """Σ huber(log L̂ - log L, δ), Hoffmann et al. 2022, eq. 3; ½ r² within δ, linear outside."""
    LOG_MSE = "log-mse"
    """Σ (log L̂ - log L)²."""
    MSE = "mse"
    """Σ (L̂ - L)²."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Problem:
    """One table under one objective. Everything but the layout is indexed by row."""

    layout: Layout
    loss: Floats
    """(n,), or (R, n) where each of R problems has losses of its own; nats."""
    objective: Objective
    delta: float = 1e-3
    precision: Floats | None = None
    """(n, n): the inverse of the residuals' correlation; only with log-mse and unit weights."""

    @property
    def reported_scale(self) -> float:
        """`evaluate` works with ½ r²; a sum of squares is reported whole."""
        return 1.0 if self.objective is Objective.LOG_HUBER else 2.0

    def residuals(self, theta: Floats) -> Floats:
        """(R, P) -> (R, n)."""
        log_loss, _ = self.layout.log_loss(theta)
        if self.objective is Objective.MSE:
            return np.exp(log_loss) - self.loss
        return log_loss - np.log(self.loss)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Quadratic:
    """The objective's value and local shape at R points."""

    value: Floats
    """(R,)"""
    gradient: Floats
    """(R, P)"""
    hessian: Floats
    """(R, P, P), the exact one; it may be indefinite."""
    majorizer: Floats
    """(R, P, P), that of iteratively reweighted least squares; positive, and it scales the
    damping."""


def evaluate(
    problem: Problem, theta: Floats, weights: Floats, loss: Floats | None = None
) -> Quadratic:
    """The objective at R points.

    Args:
        problem: the table and the objective.
        theta: (R, P)
        weights: (R, n) or (1, n), how often each row counts.
        loss: (R, n) where the caller works on a part of R problems with losses of their own, or
            (1, n).
    """
    layout = problem.layout
    measured = problem.loss if loss is None else loss
    log_loss, shares = layout.log_loss(theta)
    if problem.precision is not None:
        return _correlated(problem.precision, layout, shares, log_loss - np.log(measured))
    if problem.objective is Objective.MSE:
        predicted = np.exp(log_loss)
        r = predicted - measured
        slope = weights * r * predicted
        curved = weights * predicted**2
        value = 0.5 * (weights * r * r).sum(axis=1)
        straight = curved
    else:
        r = log_loss - np.log(measured)
        if problem.objective is Objective.LOG_MSE:
            slope = weights * r
            straight = np.broadcast_to(weights, r.shape)
            curved = weights - slope
            value = 0.5 * (slope * r).sum(axis=1)
        else:
            size, delta = np.abs(r), problem.delta
            clipped = np.clip(r, -delta, delta)
            slope = weights * clipped
            straight = weights * (delta / np.maximum(size, delta))
            curved = weights * (size <= delta) - slope
            # huber = clipped (r - clipped / 2) on both branches
            value = (slope * (r - 0.5 * clipped)).sum(axis=1)
    majorizer, hessian = _products(layout, shares, straight, curved, slope)
    return Quadratic(
        value=value,
        gradient=_gradient(layout, shares, slope),
        hessian=hessian,
        majorizer=majorizer,
    )


def _gradient(layout: Layout, shares: Floats, slope: Floats) -> Floats:
    """(R, P): Σ slope d log L / d theta over the rows."""
    out = np.empty((len(slope), len(layout.term)))
    for k, share in enumerate(shares):
        out[:, layout.term == k] = (slope * share) @ layout.V[layout.term == k].T
    return out


def _products(
    layout: Layout, shares: Floats, straight: Floats, curved: Floats, slope: Floats
) -> tuple[Floats, Floats]:
    """Two of (R, P, P): Σ straight g gᵀ, and Σ curved g gᵀ + slope Σ_k s_k v_k v_kᵀ."""
    R, n = slope.shape
    P = len(layout.term)
    majorizer, hessian = np.empty((R, P, P)), np.empty((R, P, P))
    of_term = [np.flatnonzero(layout.term == k) for k in range(len(shares))]
    for a, rows in enumerate(of_term):
        for b, columns in enumerate(of_term[: a + 1]):
            products = (layout.V[rows, None] * layout.V[columns]).reshape(-1, n).T
            both = shares[a] * shares[b]
            weight = curved * both
            if a == b:
                weight += slope * shares[a]
            for matrix, block in (
                (majorizer, (straight * both) @ products),
                (hessian, weight @ products),
            ):
                blocks = block.reshape(R, len(rows), len(columns))
                matrix[:, rows[:, None], columns] = blocks
                matrix[:, columns[:, None], rows] = blocks.transpose(0, 2, 1)
    return majorizer, hessian


def _correlated(precision: Floats, layout: Layout, shares: Floats, r: Floats) -> Quadratic:
    """½ r' Q r."""
    J = np.ascontiguousarray(shares[layout.term].transpose(1, 0, 2)) * layout.V
    Jt = J.transpose(0, 2, 1)
    slope = r @ precision
    majorizer = (J @ precision) @ Jt
    sloped = J * slope[:, None]
    same_term = layout.term[:, None] == layout.term
    hessian = majorizer - sloped @ Jt + np.where(same_term, sloped @ layout.V.T, 0.0)
    return Quadratic(
        value=0.5 * (slope * r).sum(axis=1),
        gradient=sloped.sum(axis=2),
        hessian=hessian,
        majorizer=majorizer,
    )
