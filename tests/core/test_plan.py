from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalingsweep import plan
from scalingsweep.errors import SpecError
from support import manifests


def test_a_trial_for_every_arm_size_and_seed_under_wsd() -> None:
    made = manifests.planned(
        training=manifests.small()["training"] | {"seeds": [0, 1]},
    )
    assert len(made.trials) == 4 * 2 * 2
    assert len(made.observations) == 2 * 2 * (1 + 3 * 3)


def test_a_trial_for_every_budget_under_cosine() -> None:
    training = manifests.small()["training"] | {
        "schedule": {"type": "cosine", "warmup": {"tokens": 51200}}
    }
    made = manifests.planned(training=training)
    assert len(made.trials) == len(made.observations) == 2 * (1 + 3 * 3)
    source = made.trials[-1].source
    assert source is not None
    assert source.key.budget == source.tokens


def test_sources_stand_before_what_starts_from_them() -> None:
    value = manifests.small()
    value["arms"] = value["arms"][::-1]
    made = plan.make(manifests.parsed(value))
    keys = [trial.key for trial in made.trials]
    for trial in made.trials:
        if trial.source:
            assert keys.index(trial.source.key) < keys.index(trial.key)


def test_budgets_are_whole_steps() -> None:
    for trial, D in manifests.planned().observations:
        assert D % trial.size.step_tokens == 0


def test_the_trunk_is_counted_once() -> None:
    scratch = next(t for t in manifests.planned().trials if t.key.arm == "scratch")
    # 488, 1367 and 3906 steps of 512 tokens; decays of 98, 273 and 781
    assert scratch.trained_tokens == (3906 - 781 + 98 + 273 + 781) * 512


@given(st.lists(st.integers(150_000, 10_000_000), min_size=1, max_size=5))
def test_batch_rate_and_warmup_do_not_depend_on_budgets(tokens: Any) -> None:
    made = manifests.planned(budgets={"tokens": tokens})
    assert made.sizes == manifests.planned().sizes


def test_flops_budgets_give_the_same_compute_at_every_size() -> None:
    arms = [{"name": "scratch", "corpus": "fr"}]
    made = manifests.planned(arms=arms, budgets={"flops": [1e12]})
    for trial, D in made.observations:
        assert pytest.approx(1e12, rel=1e-2) == 6 * trial.size.N * D


def test_short_runs_are_warned_of() -> None:
    assert any("below 1000 steps" in warning for warning in manifests.planned().warnings)


def test_a_warmup_that_eats_a_branch_is_refused() -> None:
    training = manifests.small()["training"] | {"schedule": {"warmup": {"tokens": "230k"}}}
    with pytest.raises(SpecError, match=r"spec\.training\.schedule\.warmup: .*449 steps"):
        manifests.planned(training=training)


def test_a_source_with_several_budgets_must_name_one() -> None:
    value = manifests.small()
    del value["arms"][0]["budgets"]
    with pytest.raises(SpecError, match=r"spec\.arms\[2\]\.init\.budget: is required"):
        manifests.parsed(value)
    value["arms"][2]["init"]["budget"] = "700k"
    value["arms"][3]["init"]["budget"] = 2_000_000
    cpt = next(t for t in plan.make(manifests.parsed(value)).trials if t.key.arm == "cpt")
    assert cpt.source is not None
    assert cpt.source.tokens == 1367 * 512


def test_shapes_spelled_out_are_taken_as_they_are() -> None:
    named = {"name": "tiny", "hiddenSize": 32, "intermediateSize": 64, "layers": 2, "heads": 4}
    made = manifests.planned(model={"contextLength": 128, "sizes": [named]})
    assert made.sizes[0].shape.kv_heads == 4
    assert made.sizes[0].N == 1024 * 32 + 2 * (4 * 32 * 32 + 3 * 32 * 64 + 2 * 32) + 32
