"""Intervals by resampling whole clusters, as weights on the rows.

The branches of one trunk share its noise, so a trunk is drawn or not drawn as a whole. Resampling
rows instead covers 83 % of true alphas where 95 % is promised (paper.md; hack/coverage_study.py
measures it).
"""

import numpy as np

from scalingsweep.fit import newton
from scalingsweep.fit.solve import Solution
from scalingsweep.fit.table import Table
from scalingsweep.laws import Floats

LEAST_CLUSTERS = 8
"""Below this many clusters the bootstrap is far too narrow (4 clusters cover 78 % of alpha): see
`profile`."""


def weights(table: Table, samples: int, rng: np.random.Generator) -> Floats:
    """(samples, n): how often each row is in each resample.

    Clusters that occur in the same arms are drawn from one another, so that every resample has as
    many of each arm as the table has, and a cluster that two arms have in common (the same data
    order) is drawn in both.
    """
    ids, position = np.unique(table.cluster, return_inverse=True)
    membership = np.zeros((len(ids), len(table.arms)), dtype=np.bool_)
    membership[position, table.arm] = True
    counts = np.zeros((samples, len(ids)))
    for pattern in np.unique(membership, axis=0):
        stratum = np.flatnonzero((membership == pattern).all(axis=1))
        share = np.full(len(stratum), 1 / len(stratum))
        counts[:, stratum] = rng.multinomial(len(stratum), share, size=samples)
    return counts[:, position]


def resample(solution: Solution, table: Table, samples: int, rng: np.random.Generator) -> Floats:
    """(samples, P): the optimum of each resample."""
    return refit(solution, weights(table, samples, rng))


def refit(solution: Solution, weights: Floats) -> Floats:
    """(R, P): the optimum under each row of weights.

    Each is followed from the table's optimum, and from every other optimum that is nearly as good;
    those that do not settle are tried again from a spread of points.
    """
    R = len(weights)
    best = newton.minimise(
        solution.problem, np.tile(solution.theta, (R, 1)), weights=weights, iterations=60
    )
    theta, value = best.theta.copy(), best.value.copy()
    trials = [(np.tile(other, (R, 1)), np.arange(R)) for other in solution.others]
    unsettled = np.flatnonzero(~best.converged)
    spread = [_spread(solution, theta[row]) for row in unsettled]
    if spread:
        trials.append((np.concatenate(spread), np.repeat(unsettled, len(spread[0]))))
    for start, rows in trials:
        again = newton.minimise(solution.problem, start, weights=weights[rows], iterations=150)
        for end, reached, row in zip(again.theta, again.value, rows, strict=True):
            if reached < value[row]:
                theta[row], value[row] = end, reached
    return theta


def _spread(solution: Solution, end: Floats) -> Floats:
    """Starts around the table's optimum and where the resample stopped, exponents scaled both
    ways.
    """
    exponent = np.isin(solution.layout.roles, ("alpha", "beta"))
    points = [end, solution.theta]
    points += [np.where(exponent, solution.theta * f, solution.theta) for f in (0.6, 1.6)]
    return np.stack(points)
