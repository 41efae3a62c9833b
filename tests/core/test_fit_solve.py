"""The optimum: known surfaces, public tables, and scipy as a second opinion."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from scalingsweep import logsum
from scalingsweep.fit import Table, bootstrap, newton, objective, solve
from scalingsweep.fit.objective import Objective, Problem
from scalingsweep.laws import Law, Surface
from support import studies

PUBLISHED = [
    row for row in studies.public("gemstones_published_approach3")
    if row["subset"].removesuffix("_no_embeds") in studies.GEMSTONES
]  # fmt: skip


def test_thirty_published_fits_have_a_table() -> None:
    assert len(PUBLISHED) == 30


@pytest.mark.parametrize("row", PUBLISHED, ids=lambda r: f"{r['delta_dir'][-1]}-{r['subset']}")
def test_published_objective_is_reached(row: dict[str, str]) -> None:
    delta = 10.0 ** int(row["delta_dir"].removeprefix("parameters_delta"))
    found = solve.solve(studies.gemstones(row["subset"]), law=Law.CHINCHILLA, delta=delta)
    assert found.value <= float(row["objective"]) * (1 + 1e-5)


def test_reported_objective_is_the_published_one_at_the_published_point() -> None:
    row = PUBLISHED[0]
    table = studies.gemstones(row["subset"])
    published = Surface(
        E=np.exp(float(row["e_log"])),
        A=np.exp(float(row["a_log"])),
        B=np.exp(float(row["b_log"])),
        alpha=float(row["alpha"]),
        beta=float(row["beta"]),
    )
    r = np.abs(np.log(published.loss(table.N, table.D) / table.loss))
    huber = np.where(r <= 1e-3, r * r / 2, 1e-3 * (r - 5e-4)).sum()
    assert huber == pytest.approx(float(row["objective"]), rel=3e-6)


def test_unconverged_published_fit_is_bettered() -> None:
    """slim_chinchilla at δ = 1e-4: α .276 → .201, E 1.763 → 1.542 (paper.md)."""
    found = solve.solve(studies.gemstones("slim_chinchilla"), law=Law.CHINCHILLA, delta=1e-4)
    assert found.surface().alpha == pytest.approx(0.201, abs=1e-3)
    assert pytest.approx(1.542, abs=2e-3) == found.surface().E


@pytest.mark.parametrize("law", list(Law))
@pytest.mark.parametrize("goal", list(Objective))
def test_known_surface_is_recovered(law: Law, goal: Objective) -> None:
    truth = studies.CPT if law is Law.EXTENDED else studies.SCRATCH
    N, D = studies.grid(8)
    table = Table.of(N=N, D=D, loss=truth.loss(N, D))
    found = solve.solve(table, law=law, objective=goal).surface()
    for role in law.roles:
        assert getattr(found, role) == pytest.approx(getattr(truth, role), rel=1e-4)


def test_joint_fit_recovers_both_arms() -> None:
    N, D = studies.grid(6)
    table = studies.arms(
        ("scratch", Table.of(N=N, D=D, loss=studies.SCRATCH.loss(N, D))),
        ("cpt", Table.of(N=N, D=D, loss=studies.CPT.loss(N, D))),
    )
    found = solve.solve(table, law=Law.EXTENDED, share=("E", "A", "alpha"))
    assert found.layout.names[:4] == ("E", "A", "B[scratch]", "B[cpt]")
    assert found.surface(0).gamma == pytest.approx(0, abs=1e-4)
    assert found.surface(1).gamma == pytest.approx(0.08, abs=1e-4)
    assert pytest.approx(433.3, rel=1e-3) == found.surface(1).B


def _problem(goal: Objective, precision: bool = False) -> tuple[Problem, np.ndarray]:
    rng = np.random.default_rng(0)
    table = studies.arms(
        ("a", studies.wsd(studies.SCRATCH, 4, rng, noise=0.02)),
        ("b", studies.wsd(studies.CPT, 4, rng, noise=0.02)),
    )
    layout = solve.layout_of(table, law=Law.EXTENDED, share=("E", "alpha"))
    Q = np.eye(table.rows) + 0.1 if precision else None
    theta = layout.theta([studies.SCRATCH, studies.CPT]) * 1.03
    return Problem(layout=layout, loss=table.loss, objective=goal, delta=0.01, precision=Q), theta


@pytest.mark.parametrize(
    ("goal", "precision"), [*((g, False) for g in Objective), (Objective.LOG_MSE, True)]
)
def test_derivatives_agree_with_differences(goal: Objective, precision: bool) -> None:
    problem, theta = _problem(goal, precision)
    w = np.ones((1, problem.loss.size))
    exact = objective.evaluate(problem, theta[None], w)

    def value(t: np.ndarray) -> float:
        return float(objective.evaluate(problem, t[None], w).value[0])

    def gradient(t: np.ndarray) -> np.ndarray:
        return np.asarray(objective.evaluate(problem, t[None], w).gradient[0])

    for i in range(len(theta)):
        h = np.zeros(len(theta))
        h[i] = 1e-6
        slope = (value(theta + h) - value(theta - h)) / 2e-6
        assert exact.gradient[0, i] == pytest.approx(slope, rel=1e-5, abs=1e-8)
        curve = (gradient(theta + h) - gradient(theta - h)) / 2e-6
        np.testing.assert_allclose(exact.hessian[0, i], curve, rtol=1e-4, atol=1e-5)


def test_jacobian_agrees_with_differences() -> None:
    problem, theta = _problem(Objective.LOG_MSE)
    J = problem.layout.jacobian(theta[None])[0]
    for i in range(len(theta)):
        h = np.zeros(len(theta))
        h[i] = 1e-6
        up, down = (problem.layout.log_loss((theta + s * h)[None])[0][0] for s in (1, -1))
        np.testing.assert_allclose(J[i], (up - down) / 2e-6, atol=1e-8)


@pytest.mark.parametrize("law", list(Law))
def test_no_resample_is_worse_than_scipys(law: Law) -> None:
    table = studies.kyotakano()
    solution = solve.solve(table, law=law)
    weights = bootstrap.weights(table, 30, np.random.default_rng(5))
    ours = bootstrap.refit(solution, weights)
    layout = solution.layout
    for w, theta in zip(weights, ours, strict=True):
        # scipy knows no weights: repeat the rows.
        def repeated(t: np.ndarray, w: np.ndarray = w) -> np.ndarray:
            return np.repeat(solution.problem.residuals(t[None])[0], w.astype(int))

        theirs = optimize.least_squares(
            repeated, solution.theta, loss="huber", f_scale=1e-3,
            bounds=(layout.lower, layout.upper), x_scale="jac", xtol=1e-12, ftol=1e-12,
        )  # fmt: skip
        value = objective.evaluate(solution.problem, theta[None], w[None]).value[0]
        assert value <= theirs.cost * (1 + 1e-6)


def test_bounds_hold_a_parameter() -> None:
    solution = solve.solve(studies.kyotakano(), law=Law.CHINCHILLA)
    low, high = solution.layout.lower.copy(), solution.layout.upper.copy()
    low[3] = high[3] = 0.5
    held = newton.minimise(solution.problem, solution.theta[None], lower=low, upper=high)
    assert held.theta[0, 3] == 0.5
    assert held.value[0] > solution.value


@settings(max_examples=8)
@given(st.floats(1e-3, 1e3), st.floats(1e-3, 1e3))
def test_units_of_N_and_D_leave_exponents_alone(of_N: float, of_D: float) -> None:
    table = studies.wsd(studies.SCRATCH, 6, np.random.default_rng(1))
    scaled = Table.of(N=table.N * of_N, D=table.D * of_D, loss=table.loss)
    one = solve.solve(table, law=Law.EXTENDED)
    other = solve.solve(scaled, law=Law.EXTENDED)
    assert other.value == pytest.approx(one.value, rel=1e-8)
    for role in ("E", "alpha", "beta", "gamma"):
        assert getattr(other.surface(), role) == pytest.approx(
            getattr(one.surface(), role), rel=1e-3, abs=1e-4
        )


def test_centring_conditions_the_jacobian() -> None:
    """JᵀJ: 3.8e3 with centred logs on the Chinchilla points (paper.md)."""
    table = studies.kyotakano()
    solution = solve.solve(table, law=Law.CHINCHILLA)
    J = solution.layout.jacobian(solution.theta[None])[0]
    assert np.linalg.cond(J @ J.T) < 2e4


def test_flat_direction_is_found() -> None:
    N = np.geomspace(1e8, 1e10, 12)
    layout = logsum.arrange(N, 20 * N, np.zeros(12, dtype=np.intp), arms=("a",), law=Law.EXTENDED)
    null = logsum.flat_directions(layout.jacobian(layout.theta([studies.CPT])[None])[0])
    assert len(null) == 1
    involved = [n for n, v in zip(layout.names, null[0], strict=True) if abs(v) > 0.1]
    assert involved == ["beta", "gamma"]
