"""What a planned grid can identify, against the paper's simulated figures."""

import numpy as np
import pytest

from scalingsweep import design, fit
from scalingsweep.design import Grid, Verdict
from scalingsweep.fit import Objective, solve
from scalingsweep.laws import Law
from support import studies


def planned(ratios: tuple[float, ...], arms: tuple[str, ...] = ("cpt",), sizes: int = 11) -> Grid:
    N, D = studies.grid(sizes, ratios)
    return Grid(
        N=np.tile(N, len(arms)),
        D=np.tile(D, len(arms)),
        arm=[a for a in arms for _ in range(len(N))],
    )


@pytest.mark.parametrize(("ratios", "gamma"), [((5, 20, 80), 0.005), ((10, 20, 40), 0.009)])
def test_figures_of_the_paper(ratios: tuple[float, ...], gamma: float) -> None:
    """33 final losses at 0.5 %, E, A and alpha taken from the scratch arm: γ ± .005 and ± .009."""
    out = design.examine(planned(ratios), "extended", noise=0.005, known=("E", "A", "alpha"))
    assert out.half_widths["gamma"] == pytest.approx(gamma, rel=0.15)
    assert out.verdict is Verdict.IDENTIFIED
    assert not out.mend


def test_constant_ratio_cannot_identify_gamma() -> None:
    out = design.examine(planned((20,), sizes=42), Law.EXTENDED)
    assert out.verdict is Verdict.DEFICIENT
    assert {"beta", "gamma"} <= set(out.unidentified)
    assert out.rank == out.parameters - 1
    assert out.condition == float("inf")
    assert "cannot identify" in out.text
    assert "gamma" in out.text


def test_rounding_to_whole_steps_does_not_hide_it() -> None:
    """Batches of 1M tokens move D off 20 N by a part in a thousand; the rank is then full."""
    grid = planned((20,), sizes=42)
    rounded = Grid(N=grid.N, D=np.round(grid.D / 1e6) * 1e6, arm=grid.arm)
    out = design.examine(rounded, Law.EXTENDED)
    assert out.rank == out.parameters
    assert out.verdict is Verdict.DEFICIENT
    assert "gamma" in out.unidentified


def test_the_proposed_rows_mend_it() -> None:
    grid = planned((20,), sizes=42)
    out = design.examine(grid, "extended")
    assert out.mend
    mended = Grid(
        N=np.concatenate([grid.N, [p.N for p in out.mend]]),
        D=np.concatenate([grid.D, [p.D for p in out.mend]]),
        arm=[*grid.arm, *(p.arm for p in out.mend)],
    )
    assert design.examine(mended, "extended").verdict is not Verdict.DEFICIENT


def test_predicted_widths_are_those_of_fits() -> None:
    """The spread of alpha and beta over 150 fits of simulated losses, to a factor of 1.25."""
    N, D = studies.grid(11)
    rng = np.random.default_rng(2)
    found = []
    for _ in range(150):
        loss = studies.SCRATCH.loss(N, D) * np.exp(0.002 * rng.standard_normal(len(N)))
        table = fit.Table.of(N=N, D=D, loss=loss)
        surface = solve.solve(table, law=Law.CHINCHILLA, objective=Objective.LOG_MSE).surface()
        found.append([surface.alpha, surface.beta])
    spread = np.array(found).std(axis=0) * 1.96
    out = design.examine(planned((5, 20, 80)), "chinchilla", noise=0.002)
    for name, measured in zip(("alpha", "beta"), spread, strict=True):
        assert 1 / 1.25 < measured / out.half_widths[name] < 1.25


def test_sharing_narrows_alpha() -> None:
    grid = planned((5, 20, 80), ("scratch", "cpt"))
    apart = design.examine(grid, "extended")
    together = design.examine(grid, "extended", share=("E", "A", "alpha"))
    assert together.half_widths["alpha"] < apart.half_widths["alpha[cpt]"] * 0.8
    assert together.parameters == 9


def test_shared_trunk_noise_widens_alpha() -> None:
    N, D = studies.grid(11)
    grid = Grid(N=N, D=D, arm=["a"] * 33, cluster=np.repeat(np.arange(11), 3).tolist())
    free = design.examine(grid, "chinchilla")
    trunk = design.examine(grid, "chinchilla", shared_noise=0.5)
    assert trunk.half_widths["alpha"] > free.half_widths["alpha"] * 1.1
    assert trunk.half_widths["beta"] < free.half_widths["beta"]


@pytest.mark.parametrize("law", list(Law))
def test_few_rows_still_get_an_answer(law: Law) -> None:
    out = design.examine(Grid(N=np.array([1e6]), D=np.array([1e7]), arm=["a"]), law)
    assert out.verdict is Verdict.DEFICIENT
    assert out.mend


def test_tiny_grids_get_possible_losses() -> None:
    N = np.repeat([27e3, 56e3, 101e3, 201e3], 3)
    D = np.tile([0.25e6, 0.7e6, 2e6], 4)
    out = design.examine(Grid(N=N, D=D, arm=["fr"] * 12), "chinchilla", noise=0.005)
    assert out.verdict is Verdict.LOOSE
    assert "alpha" in out.text
