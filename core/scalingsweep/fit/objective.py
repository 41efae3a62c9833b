"""What a fit minimises, with its first and second derivatives, for many resamples at once.

`solve` calls `evaluate` once per iteration. With shares s_k and V of `logsum`, g = s V is the
gradient of log L, and its Hessian is sum_k s_k v_k v_kᵀ - g gᵀ, so Newton's matrix costs two small
products.
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
        loss: (R, n) where the caller works on a part of R problems with losses of their own.
    """
    layout = problem.layout
    measured = problem.loss if loss is None else loss
    log_loss, shares = layout.log_loss(theta)
    J = np.ascontiguousarray(shares[layout.term].transpose(1, 0, 2)) * layout.V
    Jt = J.transpose(0, 2, 1)
    if problem.objective is Objective.MSE:
        predicted = np.exp(log_loss)
        r = predicted - measured
        slope = weights * r * predicted
        majorizer = (J * (weights * predicted**2)[:, None]) @ Jt
        hessian = majorizer.copy()
        value = 0.5 * (weights * r * r).sum(axis=1)
    else:
        r = log_loss - np.log(measured)
        if problem.precision is not None:
            slope = r @ problem.precision
            majorizer = (J @ problem.precision) @ Jt
            value = 0.5 * (slope * r).sum(axis=1)
            hessian = majorizer - (J * slope[:, None]) @ Jt
        elif problem.objective is Objective.LOG_MSE:
            slope = weights * r
            majorizer = (J * np.broadcast_to(weights, r.shape)[:, None]) @ Jt
            value = 0.5 * (slope * r).sum(axis=1)
            hessian = majorizer - (J * slope[:, None]) @ Jt
        else:
            size, delta = np.abs(r), problem.delta
            inside = size <= delta
            clipped = np.clip(r, -delta, delta)
            slope = weights * clipped
            # huber = clipped (r - clipped / 2) on both branches
            value = (slope * (r - 0.5 * clipped)).sum(axis=1)
            majorizer = (J * (weights * (delta / np.maximum(size, delta)))[:, None]) @ Jt
            hessian = (J * (weights * inside - slope)[:, None]) @ Jt
    same_term = layout.term[:, None] == layout.term[None, :]
    Jslope = J * slope[:, None]
    hessian += np.where(same_term, Jslope @ layout.V.T, 0.0)
    return Quadratic(value=value, gradient=Jslope.sum(axis=2), hessian=hessian, majorizer=majorizer)
