"""The best-fitting law of a table: many starts, the widest objective first, then the one asked for.

`fit` calls `solve` once on the table; `holdout` and `sharing` on parts of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from scalingsweep import laws, logsum
from scalingsweep.fit import newton, starts
from scalingsweep.fit.objective import Objective, Problem
from scalingsweep.fit.table import Table
from scalingsweep.laws import Floats, Law, Role
from scalingsweep.logsum import Layout

WIDENING = (30.0, 5.0)
"""δ is approached from above: at δ = 1e-4 the objective is nearly Σ|r|, full of kinks, and a wide δ
is not."""
FLAT_VALLEY = 1e-9
"""Ends this close lie in one valley; where it is flat, the one with the least gamma is told."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Solution:
    """The optimum, and others nearly as good."""

    problem: Problem
    theta: Floats
    """(P,)"""
    value: float
    others: Floats
    """(K, P): distinct local minima within 5 % of the best objective, best first."""
    other_values: Floats
    """(K,)"""

    @property
    def layout(self) -> Layout:
        return self.problem.layout

    def surface(self, arm: int = 0) -> laws.Surface:
        """The fitted law of an arm, in raw units, with plain numbers."""
        s = self.layout.surface(self.theta, arm)
        return laws.Surface(
            E=float(s.E),
            A=float(s.A),
            B=float(s.B),
            alpha=float(s.alpha),
            beta=float(s.beta),
            gamma=float(s.gamma),
        )

    def residuals(self) -> Floats:
        """(n,) log L̂ - log L."""
        log_loss, _ = self.layout.log_loss(self.theta[None])
        return np.asarray(log_loss[0] - np.log(self.problem.loss))


def layout_of(table: Table, *, law: Law, share: Sequence[Role]) -> Layout:
    """The parameters of a table's arms."""
    return logsum.arrange(
        table.N,
        table.D,
        table.arm,
        arms=table.arms,
        law=law,
        share=share,
        least_loss=float(table.loss.min()),
        greatest_loss=float(table.loss.max()),
    )


def solve(
    table: Table,
    *,
    law: Law,
    objective: Objective = Objective.LOG_HUBER,
    delta: float = 1e-3,
    share: Sequence[Role] = (),
) -> Solution:
    """Minimise the objective over all arms of the table at once."""
    layout = layout_of(table, law=law, share=share)
    problem = Problem(layout=layout, loss=table.loss, objective=objective, delta=delta)
    begin = np.stack(_begin(table, layout))
    return polish(problem, begin)


def polish(problem: Problem, begin: Floats) -> Solution:
    """Follow every start down to a minimum, in stages where the objective has kinks."""
    huber = problem.objective is Objective.LOG_HUBER
    ends = [begin]
    theta = begin
    if huber:
        for factor in WIDENING:
            wide = replace(problem, delta=problem.delta * factor)
            theta = newton.minimise(wide, theta, iterations=40).theta
        ends.append(theta)
    minima = newton.minimise(problem, np.concatenate(ends), iterations=150)
    order = np.argsort(minima.value, kind="stable")
    theta, value = minima.theta[order], minima.value[order]
    level = value <= value[0] * (1 + FLAT_VALLEY) + newton.EXACT
    first = int(np.argmin(np.where(level, _leaning(problem.layout, theta), np.inf)))
    kept = [0]
    for i in range(1, len(value)):
        near = value[i] <= 1.05 * value[kept[0]]
        new = value[i] > value[kept[-1]] * (1 + 1e-4)
        if near and new and minima.converged[order][i]:
            kept.append(i)
    return Solution(
        problem=problem,
        theta=theta[first],
        value=float(value[first]),
        others=theta[kept[1:]],
        other_values=value[kept[1:]],
    )


def _leaning(layout: Layout, theta: Floats) -> Floats:
    """(R,): the sum of gamma², which is what prefers the simpler of two equally good laws."""
    gammas = np.array([role == "gamma" for role in layout.roles])
    return np.asarray((theta[:, gammas] ** 2).sum(axis=1))


def _begin(table: Table, layout: Layout) -> list[Floats]:
    """Starts of a joint fit: each arm's own good surfaces, the other arms' data terms fitted to
    them.
    """
    out: list[Floats] = []
    parts = [table.of_arm(k) for k in range(len(table.arms))]
    pooled = [(table, True)] if len(parts) > 1 else []
    for source, is_pooled in [*((p, False) for p in parts), *pooled]:
        surfaces = starts.projected(source.N, source.D, source.loss, law=layout.law)
        for i in starts.shortlist(np.size(surfaces.alpha)):
            first = starts.pick(surfaces, i)
            if len(parts) == 1:
                out.append(layout.theta([first]))
                continue
            out.append(
                layout.theta(
                    [
                        starts.data_terms_given(first, p.N, p.D, p.loss, law=layout.law)
                        for p in parts
                    ]
                )
            )
        if is_pooled:
            out.append(layout.theta([starts.pick(surfaces, 0)] * len(parts)))
    if len(parts) > 1:
        own = [starts.projected(p.N, p.D, p.loss, law=layout.law) for p in parts]
        out += [layout.theta([starts.pick(s, i) for s in own]) for i in starts.shortlist(100)]
    return out
