import json
from pathlib import Path

import pytest

from scalingsweep import manifest, plan, preview
from support import manifests

ZHENG = Path(__file__).parents[2] / "examples" / "zheng2024" / "sweep.yaml"


def test_the_papers_study_costs_what_the_paper_says_and_cannot_tell_gamma() -> None:
    seen = preview.make(plan.make(manifest.parse(ZHENG.read_text()).spec))
    value = seen.to_json()
    assert value["trials"] == value["observations"] == 3 * 42
    assert value["flops"] == pytest.approx(6.0e22, rel=0.01)
    extended = [v for v in value["identifiability"] if v["law"] == "extended"]
    assert {v["verdict"] for v in extended} == {"deficient"}
    assert any("gamma" in name for name in extended[1]["unidentified"])
    assert any("gamma" in warning for warning in value["warnings"])
    json.dumps(value, allow_nan=False)


def test_a_deficient_grid_is_refused_unless_the_manifest_knows() -> None:
    collinear = {"tokensPerParameter": [20]}
    arms = [{"name": "scratch", "corpus": "fr"}]
    training = manifests.small()["training"] | {"schedule": {"warmup": {"tokens": 5120}}}
    changes = {"budgets": collinear, "arms": arms, "training": training}
    seen = preview.make(manifests.planned(**changes))
    assert seen.refusal.startswith("spec.budgets: scratch: ")
    assert "spec.fit.identifiability: Warn" in seen.refusal
    known = preview.make(manifests.planned(**changes, fit={"identifiability": "Warn"}))
    assert known.refusal == ""


def test_a_mere_source_is_no_reason_to_refuse() -> None:
    model = {"contextLength": 128, "sizes": ["27k", "55k", "110k", "220k"]}
    seen = preview.make(manifests.planned(model=model))
    source = [v for v in seen.identifiability if v.group.arms == ("source",)]
    assert {v.verdict for v in source} == {"deficient"}
    assert seen.refusal == ""
    assert not any(warning.startswith("source") for warning in seen.warnings)


def test_text_that_a_study_needs() -> None:
    seen = preview.make(manifests.planned())
    assert {need.corpus: need.tokens for need in seen.text} == {"en": 3906 * 512, "fr": 3906 * 512}


def test_gpu_hours_name_their_device() -> None:
    named = preview.make(manifests.planned(resources=[{"gpusPerNode": 1, "accelerator": "A100"}]))
    assert (named.device, named.device_is_default) == ("A100", False)
    unnamed = preview.make(manifests.planned())
    assert (unnamed.device, unnamed.device_is_default) == ("H100", True)
    assert named.gpu_hours is not None
    assert unnamed.gpu_hours is not None
    assert named.gpu_hours > unnamed.gpu_hours > 0
    unknown = preview.make(manifests.planned(resources=[{"accelerator": "abacus"}]))
    assert unknown.gpu_hours is None
