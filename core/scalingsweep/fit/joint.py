"""Do the arms' data allow one E, A and alpha for all of them?

A joint fit shrinks alpha's error by 20-35 % where sharing is true and biases every arm where it is
not, so `fit` tests it and says so.
"""

from collections.abc import Sequence

from scipy import special

from scalingsweep.fit import newton, profile, solve
from scalingsweep.fit.result import Sharing, Verdict
from scalingsweep.fit.solve import Solution
from scalingsweep.fit.table import Table
from scalingsweep.laws import Role

LEVEL = 0.05
"""Sharing is rejected below this p value."""


def test_sharing(shared: Solution, table: Table, share: Sequence[Role]) -> Sharing | None:
    """An F test of the shared fit within the fit of every arm for itself.

    F = ((S1 - S0) / q) / (S0 / (n - P0)), S = r' Q r of the log residuals with the branches of one
    trunk correlated, q the parameters that sharing saves. None where the rows are too few to tell.
    """
    layout = shared.layout
    separate = solve.solve(
        table,
        law=layout.law,
        objective=shared.problem.objective,
        delta=shared.problem.delta,
        share=(),
    )
    saved = len(separate.theta) - len(shared.theta)
    degrees = table.rows - len(separate.theta)
    if saved <= 0 or degrees <= 0 or not share:
        return None
    (correlated,) = profile.shared_part(separate, table)
    free = profile.gaussian(separate, table, shared=correlated)
    tied = profile.gaussian(shared, table, shared=correlated)
    nested = _at_most(tied.value, free.value)
    # two exact fits differ by rounding alone, which tests nothing
    statistic = ((nested - free.value) / saved) / (max(free.value, newton.EXACT) / degrees)
    pvalue = float(special.fdtrc(saved, degrees, statistic))
    return Sharing(
        statistic=float(statistic),
        pvalue=pvalue,
        verdict=Verdict.REJECTED if pvalue < LEVEL else Verdict.FITS,
    )


def _at_most(tied: float, free: float) -> float:
    """A tied fit cannot be better than the free one; rounding can make it look so."""
    return max(tied, free)
