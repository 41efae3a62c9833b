"""The laws in closed form against brute force and against the paper's printed numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize

from scalingsweep import laws
from scalingsweep.laws import Surface
from support import studies


@pytest.mark.parametrize(
    ("surface", "coefficient", "a", "inverse", "b"),
    [
        (studies.SCRATCH, 0.3244, 0.4286, 0.5138, 0.5714),
        (studies.CPT, 4.789, 0.3846, 0.03480, 0.6154),
    ],
)
def test_optima_of_the_paper(
    surface: Surface, coefficient: float, a: float, inverse: float, b: float
) -> None:
    best = surface.allocation()
    N, D = best.split(1e21)
    assert float(best.a) == pytest.approx(a, abs=5e-5)
    assert float(best.b) == pytest.approx(b, abs=5e-5)
    assert float(N) / 1e21 ** float(best.a) == pytest.approx(coefficient, rel=2e-4)
    assert float(D) / 1e21 ** float(best.b) == pytest.approx(inverse, rel=2e-4)


exponents = st.floats(0.1, 0.9)


@given(exponents, exponents, st.floats(-0.3, 0.05), st.floats(17, 26))
def test_allocation_is_the_minimum_along_constant_compute(
    alpha: float, beta: float, gamma: float, log_C: float
) -> None:
    surface = Surface(E=1.5, A=400.0, B=900.0, alpha=alpha, beta=beta, gamma=gamma)
    C = 10**log_C
    N, D = surface.allocation().split(C)
    assert float(laws.flops(N, D)) == pytest.approx(C, rel=1e-9)
    best = float(surface.loss(N, D))
    for factor in (0.5, 0.99, 1.01, 2.0):
        assert float(surface.loss(N * factor, D / factor)) >= best * (1 - 1e-12)


@given(exponents, exponents, st.floats(-0.3, 0.05), st.floats(18, 25))
def test_inverses_undo_the_law(alpha: float, beta: float, gamma: float, log_C: float) -> None:
    surface = Surface(E=1.5, A=400.0, B=900.0, alpha=alpha, beta=beta, gamma=gamma)
    loss = surface.loss(3e8, 7e9)
    assert float(surface.tokens_for(loss, 3e8)) == pytest.approx(7e9, rel=1e-6)
    C = 10**log_C
    # Far out the reducible loss is a rounding error of the loss, and so is its inverse.
    if float(surface.frontier(C)) > 1.5 * (1 + 1e-6):
        assert float(surface.flops_for(surface.frontier(C))) == pytest.approx(C, rel=1e-5)


def test_optimum_agrees_with_a_numerical_search() -> None:
    C = 3e20
    found = optimize.minimize_scalar(
        lambda x: float(studies.CPT.loss(np.exp(x), C / 6 / np.exp(x))), bounds=(15, 30)
    )
    N, _ = studies.CPT.allocation().split(C)
    assert float(np.log(N)) == pytest.approx(found.x, abs=1e-3)


def test_unreachable_losses_have_no_price() -> None:
    floor = 1.55 + 420 / 1e8**0.4
    assert np.isnan(studies.SCRATCH.tokens_for(floor - 1e-9, 1e8))
    assert np.isfinite(studies.SCRATCH.tokens_for(floor + 1e-6, 1e8))
    assert np.isnan(studies.SCRATCH.flops_for(1.55))


@pytest.mark.parametrize(
    ("alpha", "beta", "gamma", "word"),
    [(0.4, 0.1, 0.2, "beta"), (0.1, 0.4, 0.2, "alpha"), (0.0, 0.4, -0.1, "not positive")],
)
def test_no_allocation_says_why(alpha: float, beta: float, gamma: float, word: str) -> None:
    surface = Surface(E=1.5, A=400.0, B=900.0, alpha=alpha, beta=beta, gamma=gamma)
    best = surface.allocation()
    assert not best.valid
    assert np.isnan(best.a)
    assert np.isnan(surface.frontier(1e20))
    assert word in surface.why_no_allocation()


def test_the_papers_rounded_table_puts_cpt_above_scratch() -> None:
    """Why coefficients are printed with enough digits (paper.md)."""
    N = np.array([50e6, 5.5e9])
    gap = studies.CPT.loss(N, 20 * N) - studies.SCRATCH.loss(N, 20 * N)
    assert gap == pytest.approx([0.23, 0.095], abs=0.01)


def test_fields_may_be_samples() -> None:
    surface = Surface(E=np.array([1.5, 1.6]), A=400.0, B=900.0, alpha=0.3, beta=0.3)
    assert surface.loss(1e8, 1e10).shape == (2,)
    assert surface.flops_for(3.0).shape == (2,)
