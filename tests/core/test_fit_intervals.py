"""Intervals, diagnoses and the object of fit.json."""

import json
import time

import numpy as np
import pytest

from scalingsweep import fit
from scalingsweep.fit import Table, bootstrap, solve
from scalingsweep.fit.result import Method, Verdict
from scalingsweep.laws import Law, Role
from support import studies

SHARED: tuple[Role, ...] = ("E", "A", "alpha")


def two_arms(seed: int = 0, sizes: int = 11, **noise: float) -> Table:
    rng = np.random.default_rng(seed)
    return studies.arms(
        ("scratch", studies.wsd(studies.SCRATCH, sizes, rng, **noise)),
        ("cpt", studies.wsd(studies.CPT, sizes, rng, **noise)),
    )


def test_reference_intervals_of_kyotakano() -> None:
    made = fit.fit(studies.kyotakano(), law="chinchilla")
    assert made.value == pytest.approx(8.40e-4, rel=1e-3)
    got = {name: p.estimate for name, p in made.parameters.items()}
    for name, value in {"E": 1.784, "A": 442, "B": 1272}.items():
        assert got[name].value == pytest.approx(value, rel=1e-3)
    a = made.allocation["all"].a
    for estimate, (value, low, high) in (
        (got["alpha"], (0.343, 0.316, 0.372)),
        (got["beta"], (0.342, 0.306, 0.376)),
        (a, (0.500, 0.458, 0.538)),
    ):
        assert estimate.value == pytest.approx(value, abs=1e-3)
        assert estimate.low == pytest.approx(low, abs=3e-3)
        assert estimate.high == pytest.approx(high, abs=3e-3)
    assert made.method is Method.BOOTSTRAP_ROWS


def test_four_thousand_resamples_take_seconds() -> None:
    table = studies.kyotakano()
    solution = solve.solve(table, law=Law.CHINCHILLA)
    begin = time.process_time()
    bootstrap.resample(solution, table, 4000, np.random.default_rng(0))
    assert time.process_time() - begin < 6  # 1.1 s on a free core; room for a busy one


def test_one_seed_one_answer() -> None:
    table = two_arms(sizes=8)
    one, two = (
        fit.fit(table, law="extended", bootstrap=50, seed=3, hold_out=0.2).to_json()
        for _ in range(2)
    )
    assert one == two
    other = fit.fit(table, law="extended", bootstrap=50, seed=4).to_json()
    assert other["parameters"]["alpha"]["low"] != one["parameters"]["alpha"]["low"]


def test_a_subset_of_one_width_cannot_identify_alpha() -> None:
    made = fit.fit(studies.gemstones("hot_100b+_512x"), law="chinchilla", bootstrap=200)
    assert not made.parameters["alpha"].identified
    assert made.parameters["beta"].identified
    assert any("alpha is not identified" in w for w in made.warnings)
    without = fit.fit(studies.gemstones("hot_100b+_512x"), law="chinchilla", bootstrap=0)
    assert not without.parameters["alpha"].identified


def test_constant_tokens_per_parameter_cannot_identify_gamma() -> None:
    N = np.geomspace(1e8, 1e10, 12)
    loss = studies.CPT.loss(N, 20 * N) * np.exp(
        0.003 * np.random.default_rng(0).standard_normal(12)
    )
    made = fit.fit(Table.of(N=N, D=20 * N, loss=loss), law="extended", bootstrap=100)
    assert not made.parameters["gamma"].identified
    assert any("beta and gamma cannot be told apart" in w for w in made.warnings)


@pytest.mark.parametrize("corpus", ["c4_original", "rpj", "rw_original"])
def test_gadre_is_loose_and_says_so(corpus: str) -> None:
    rows = [r for r in studies.public("gadre_104") if r["dataset"] == corpus]
    table = Table.of(
        N=[float(r["params"]) for r in rows],
        D=[float(r["tokens"]) for r in rows],
        loss=[float(r["loss_c4_val"]) for r in rows],
    )
    made = fit.fit(table, law="chinchilla", bootstrap=200)
    assert made.method is Method.PROFILE_T
    assert any(w.startswith("alpha is loose") for w in made.warnings)


def test_a_vanishing_term_is_at_its_bound() -> None:
    N, D = studies.grid(8)
    made = fit.fit(Table.of(N=N, D=D, loss=2 + 900 / D**0.3), law="chinchilla", bootstrap=0)
    assert made.parameters["A"].at_bound or not made.parameters["alpha"].identified
    assert made.parameters["beta"].estimate.value == pytest.approx(0.3, abs=1e-3)
    assert made.warnings


def test_gamma_is_fitted_in_both_arms_and_contrasted() -> None:
    made = fit.fit(two_arms(), law="extended", bootstrap=300)
    assert {"gamma[scratch]", "gamma[cpt]"} <= set(made.parameters)
    assert made.parameters["alpha"].shared
    assert not made.parameters["gamma[cpt]"].shared
    contrast = made.contrasts["gamma[cpt]-gamma[scratch]"]
    assert contrast.low is not None
    assert contrast.high is not None
    assert contrast.low < 0.08 < contrast.high
    # E, A and alpha are common to both arms, so their error cancels in the difference.
    own = made.parameters["gamma[cpt]"].estimate
    assert own.low is not None
    assert own.high is not None
    assert contrast.high - contrast.low < own.high - own.low


def test_sharing_is_tested() -> None:
    fits = [fit.fit(two_arms(s), law="extended", bootstrap=0).sharing for s in range(8)]
    assert sum(s is not None and s.verdict is Verdict.FITS for s in fits) >= 6
    rng = np.random.default_rng(0)
    N, D = studies.grid(11)
    shifted = studies.SCRATCH.loss(N, D) + 0.5 * np.exp(0.005 * rng.standard_normal(33))
    table = studies.arms(
        ("scratch", studies.wsd(studies.SCRATCH, 11, rng)),
        ("other", Table.of(N=N, D=D, loss=shifted)),
    )
    made = fit.fit(table, law="chinchilla", bootstrap=0)
    assert made.sharing is not None
    assert made.sharing.verdict is Verdict.REJECTED
    assert any("fit them apart" in w for w in made.warnings)
    assert fit.fit(table, law="chinchilla", bootstrap=0, share=()).sharing is None


def test_resampling_keeps_trunks_together_and_arms_full() -> None:
    table = two_arms(sizes=9)
    weights = bootstrap.weights(table, 20, np.random.default_rng(0))
    for k in range(2):
        assert (weights[:, table.arm == k].sum(axis=1) == 27).all()
    for c in range(9):
        rows = weights[:, table.cluster == c]
        assert (rows == rows[:, :1]).all()


def test_fit_json_is_the_contract() -> None:
    made = fit.fit(
        two_arms(sizes=4),
        law="extended",
        bootstrap=200,
        predict=[fit.Target(flops=1e22), fit.Target(N=1e9, D=3e10)],
        hold_out=0.2,
        corpus="fr",
    )
    out = json.loads(json.dumps(made.to_json(), allow_nan=False))
    assert set(out) == {
        "law", "arms", "corpus", "objective", "rows", "clusters", "dropped", "parameters",
        "contrasts", "interval", "allocation", "sharing", "predictions", "holdOut", "warnings",
        "data", "versions",
    }  # fmt: skip
    assert out["interval"] == {"method": "profile-t", "level": 0.95, "samples": 200}
    assert set(out["parameters"]["B[cpt]"]) == {
        "value", "low", "high", "shared", "atBound", "identified",
    }  # fmt: skip
    assert set(out["allocation"]["cpt"]) == {"G", "a", "b", "valid", "why"}
    assert [p["arm"] for p in out["predictions"]] == ["scratch", "cpt"] * 2
    assert out["predictions"][0]["loss"]["low"] < out["predictions"][0]["loss"]["high"]
    assert out["holdOut"]["rows"] == 4  # a fifth of 12, in each arm
    assert out["objective"]["delta"] == 1e-3
    for p in out["parameters"].values():
        assert p["low"] <= p["value"] <= p["high"]


def test_without_intervals_the_ends_are_null() -> None:
    out = fit.fit(two_arms(sizes=4), law="chinchilla", bootstrap=0).to_json()
    assert out["parameters"]["E"]["low"] is None
    assert out["interval"]["method"] == "none"


@pytest.mark.parametrize("law", list(Law))
def test_exact_losses_make_no_trouble(law: Law) -> None:
    N, D = studies.grid(4)
    table = Table.of(N=N, D=D, loss=studies.SCRATCH.loss(N, D))
    made = fit.fit(table, law=law, bootstrap=50, hold_out=0.2, predict=[fit.Target(flops=1e21)])
    json.dumps(made.to_json(), allow_nan=False)
    assert made.parameters["alpha"].estimate.value == pytest.approx(0.4, rel=1e-3)


def test_prediction_intervals_cover_larger_runs() -> None:
    """A bootstrap of the law alone covers 9-13 % of such rows."""
    covered = []
    for name in ("cool_end", "hot", "slim_chinchilla"):
        made = fit.fit(studies.gemstones(name), law="chinchilla", bootstrap=100, hold_out=0.2)
        assert made.hold_out is not None
        covered.append(made.hold_out.coverage)
    kyotakano = fit.fit(studies.kyotakano(), law="chinchilla", bootstrap=200, hold_out=0.2)
    assert kyotakano.hold_out is not None
    assert min(*covered, kyotakano.hold_out.coverage) > 0.8
