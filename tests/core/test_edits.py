"""Every field of a spec is edited under a study that has results: it goes on, or says why not."""

import itertools
from typing import Any

import pydantic
import pytest

from scalingsweep import edits
from scalingsweep.api.sweep import SweepSpec
from support import fields, manifests
from support.edited import EDITS, FREE, before, edited


def said(old: dict[str, Any], new: dict[str, Any]) -> str:
    error = edits.refused(manifests.parsed(old), manifests.parsed(new))
    assert error is None or error.problem.count(": ") >= 1, "it names no mend"
    return str(error or "")


@pytest.mark.parametrize("path", EDITS)
def test_what_may_be_edited(path: str) -> None:
    value, field = EDITS[path]
    words = said(before(), edited(path, value))
    if field == FREE:
        assert words == ""
        assert said(edited(path, value), before()) == ""  # and back again
    else:
        assert words.startswith(f"{field}: "), words
        assert said(edited(path, value), before()) != ""


def test_every_field_is_listed() -> None:
    listed = {".".join(part for part in path.split(".") if not part.isdigit()) for path in EDITS}
    unlisted = {
        field
        for field in fields.paths(SweepSpec)
        if not any(field == path or field.startswith(f"{path}.") for path in listed)
    }
    assert unlisted == set()


def test_the_words_name_the_mend() -> None:
    words = said(before(), edited("training.precision", "bf16"))
    assert words == (
        'spec.training.precision: was "fp32" and is "bf16": put it back, or name the study anew in '
        "metadata.name: studies in one storage prefix share equal trials, so that nothing is "
        "trained twice"
    )
    words = said(before(), edited("arms.1.corpus", "en"))
    assert words.endswith("put it back, or give the arm that is trained so a name of its own")


def test_arms_corpora_and_sizes_come_and_go() -> None:
    old, new = before(), before()
    new["corpora"].append({"name": "es", "uri": "text/es", "format": "text"})
    new["arms"] = [*new["arms"][:2], {"name": "spanish", "corpus": "es"}]
    assert said(old, new) == ""
    assert said(new, old).startswith("spec.corpora: was ")  # its column would vanish
    new = before()
    for list_ in ("corpora", "arms"):
        new[list_].reverse()
    assert said(old, new) == "", "an order is no meaning"


def test_a_table_by_size_grows_with_the_sizes() -> None:
    small, large = {"upTo": "100k", "value": 512}, {"upTo": "1M", "value": 1024}
    old, new = before(), before()
    old["training"]["batchTokens"] = {"bySize": [small]}
    new["training"]["batchTokens"] = {"bySize": [small, large]}
    new["model"]["sizes"].append("220k")
    assert said(old, new) == ""
    new["training"]["batchTokens"] = {"bySize": [large]}
    assert said(old, new).startswith(
        "spec.training.batchTokens.bySize: gave 512 to 27k and gives 1024: "
    )


def test_a_label_keeps_its_shape() -> None:
    shape = {"name": "a", "hiddenSize": 16, "intermediateSize": 64, "layers": 1, "heads": 2}
    old, new = before(), before()
    old["model"]["sizes"], new["model"]["sizes"] = [shape], [shape | {"layers": 2}]
    assert said(old, new).startswith("spec.model.sizes: a had another shape: ")


def test_a_trial_that_stays_starts_from_where_it_did() -> None:
    old, new = before(), before()
    new["arms"][0]["budgets"] = {"tokens": ["1M", "2M"]}
    for arm in new["arms"][2:]:
        arm["init"]["budget"] = "2M"
    assert said(old, new) == "", "the source has a budget more, and the others start as before"
    for arm in new["arms"][2:]:
        arm["init"]["budget"] = "1M"
    assert said(old, new).startswith(
        "spec.arms[2].init.budget: cpt/27k/0 started from 2M tokens of source and would from "
    )


def test_what_is_written_otherwise_is_no_edit() -> None:
    new = before()
    new["training"] |= {"optimizer": {"clip": 1}, "seeds": [0]}
    new["training"]["batchTokens"] = {"value": "512"}
    new["model"]["family"] = "llama"
    assert said(before(), new) == ""


def test_wire_models_are_what_fields_lists() -> None:
    class Inner(pydantic.BaseModel):
        c: int

    class Outer(pydantic.BaseModel):
        a: int
        b: tuple[Inner, ...] | None

    assert sorted(itertools.chain(fields.paths(Outer))) == ["a", "b.c"]
