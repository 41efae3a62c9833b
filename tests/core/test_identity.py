"""Every field of a spec is mutated: the id changes exactly when the numbers can."""

import json
from pathlib import Path
from typing import Any

import pytest

from scalingsweep import identity, plan, resolve
from scalingsweep.api.prepared import Prepared
from scalingsweep.api.sweep import SweepSpec
from support import fields, manifests

SCRATCH, CPT, REPLAY, SOURCE = "scratch", "cpt", "replay", "source"
ALL = frozenset({SCRATCH, CPT, REPLAY, SOURCE})
NONE: frozenset[str] = frozenset()
FROM_SOURCE = frozenset({CPT, REPLAY})

# path → (value, arms whose ids change). A path that is not here fails `test_every_field_is_listed`.
MUTATIONS: dict[str, tuple[Any, frozenset[str]]] = {
    # text is in the id by content: prepare's digests, mutated below
    "corpora.0.name": (None, NONE),
    "corpora.0.uri": ("elsewhere", NONE),
    "corpora.0.format": ("jsonl", NONE),
    "corpora.0.field": ("body", NONE),
    "corpora.0.groupBy": (None, NONE),
    "corpora.0.validation.fraction": (0.3, NONE),
    "corpora.0.validation.maxTokens": (5, NONE),
    "corpora.0.maxEpochs": (7, NONE),
    "tokenizer.train.vocabSize": (2048, ALL),
    "tokenizer.train.corpora": (["en"], NONE),
    "tokenizer.uri": ("t.json", NONE),
    "tokenizer.vocabSize": (1024, NONE),
    "model.family": (None, NONE),  # there is only one
    "model.contextLength": (256, ALL),
    "model.sizes": (["30k", "60k"], ALL),
    "model.tiedEmbeddings": (False, ALL),
    "arms.1.name": ("other", NONE),
    "arms.1.corpus": ("en", frozenset({SCRATCH})),
    "arms.2.init.arm": (SCRATCH, frozenset({CPT})),
    "arms.2.init.budget": (None, NONE),  # source has one budget; see the test below
    "arms.2.init.checkpoint": ("stable", frozenset({CPT})),
    "arms.2.init.uri": ("s3://x/y/", frozenset({CPT})),
    "arms.3.replay.corpus": ("de", frozenset({REPLAY})),
    "arms.3.replay.ratio": (0.5, frozenset({REPLAY})),
    "arms.0.budgets.tokens": (["1M"], FROM_SOURCE),  # the source's trunk stays, its end moves
    "arms.0.budgets.tokensPerParameter": ([30], FROM_SOURCE),
    "arms.0.budgets.flops": ([1e12], FROM_SOURCE),
    "budgets.tokens": (["250k"], NONE),
    "budgets.tokensPerParameter": ([20], NONE),
    "budgets.flops": ([1e12], NONE),
    "training.batchTokens.value": (1024, ALL),
    "training.batchTokens.bySize": ([{"upTo": "1M", "value": 1024}], ALL),
    "training.batchTokens.rule": (None, NONE),  # refused at these sizes
    "training.learningRate.value": (0.004, ALL),
    "training.learningRate.bySize": ([{"upTo": "1M", "value": 0.004}], ALL),
    "training.learningRate.rule": (None, NONE),
    "training.schedule.type": ("cosine", ALL),
    "training.schedule.warmup.tokens": (25600, ALL),
    "training.schedule.warmup.tokensPerParameter": (2, ALL),
    "training.schedule.decay": (0.3, ALL),
    "training.schedule.shape": ("sqrt", ALL),
    "training.schedule.floor": (0.1, ALL),
    "training.optimizer.betas": ([0.9, 0.99], ALL),
    "training.optimizer.eps": (1e-9, ALL),
    "training.optimizer.weightDecay": (0.2, ALL),
    "training.optimizer.clip": (2.0, ALL),
    "training.precision": ("bf16", ALL),
    "training.seeds": ([1], ALL),
    "resources": ([{"cpu": 4, "gpusPerNode": 2, "nodes": 2}], NONE),
    "podTemplate": ({"spec": {}}, NONE),
    "trialTemplate": ({"image": "x"}, NONE),
    "storage": ({"s3": {"bucket": "other"}}, NONE),
    "parallelTrialCount": (9, NONE),
    "maxFailedTrialCount": (9, NONE),
    "onMaxFailed": ("Stop", NONE),
    "retry": ({"limit": 9}, NONE),
    "limits": ({"gpuHours": 9}, NONE),
    "checkpoints": ({"everyMinutes": 1}, NONE),
    "queueName": ("q", NONE),
    "suspend": (True, NONE),
    "ttlSecondsAfterFinished": (9, NONE),
    "fit": ({"bootstrap": 200}, NONE),
}

_ONE_OF = ("tokens", "tokensPerParameter", "flops", "value", "bySize", "rule", "train", "uri")


def ids(spec: SweepSpec, found: Prepared) -> dict[str, str]:
    """Arm → id of its smallest, or only, trial; arms by their place in the manifest."""
    order = [SOURCE, SCRATCH, CPT, REPLAY]
    names = {arm.name: order[index] for index, arm in enumerate(spec.arms)}
    specs = resolve.trials(plan.make(spec), found)
    first: dict[str, str] = {}
    for key, trial in specs.items():
        first.setdefault(names[key.arm], trial.id)
    return first


def with_(path: str, value: Any) -> dict[str, Any]:
    spec = manifests.small()
    spec["corpora"].append({"name": "de", "uri": "text/de", "format": "text"})
    if value is None:
        return spec
    *parents, last = path.split(".")
    place: Any = spec
    for part in parents:
        place = place[int(part)] if isinstance(place, list) else place.setdefault(part, {})
    if last in _ONE_OF and path != "corpora.0.uri":
        place.clear()
    if last == "uri" and parents == ["tokenizer"]:
        place["vocabSize"] = 1024
    if path == "tokenizer.vocabSize":
        place.clear()
        place["uri"] = "t.json"
    if last == "uri" and "init" in parents:
        place.clear()
    if path == "arms.2.init.arm":
        place["budget"] = "2M"  # scratch has three
    if path == "training.schedule.type":
        place["warmup"] = {"tokens": 51200}
    place[last] = value
    return spec


def found(spec: SweepSpec) -> Prepared:
    return manifests.prepared(
        tuple(corpus.name for corpus in spec.corpora),
        vocab_size=spec.tokenizer.size,
        checkpoints=(manifests.checkpoint("s3://x/y/"),),
    )


@pytest.mark.parametrize("path", MUTATIONS)
def test_the_id_changes_exactly_when_the_numbers_can(path: Any) -> None:
    value, changing = MUTATIONS[path]
    before = manifests.parsed(with_(path, None))
    after = manifests.parsed(with_(path, value))
    old, new = ids(before, found(before)), ids(after, found(after))
    assert {arm for arm in ALL if old[arm] != new[arm]} == changing


def test_every_field_is_listed() -> None:
    listed = {
        ".".join(part for part in path.split(".") if not part.isdigit()) for path in MUTATIONS
    }
    found = fields.paths(SweepSpec)
    # whole branches that never touch the numbers are listed by their root
    unlisted = {f for f in found if not any(f == p or f.startswith(f"{p}.") for p in listed)}
    assert unlisted == set()


def test_content_counts_where_it_is_used() -> None:
    spec = manifests.spec()
    base = manifests.prepared()
    english, french = base.corpora

    def changed(**update: Any) -> set[str]:
        other = base.model_copy(update=update)
        old, new = ids(spec, base), ids(spec, other)
        return {arm for arm in ALL if old[arm] != new[arm]}

    new_french = french.model_copy(update={"digest": "d" * 32})
    new_held_out = french.model_copy(update={"validation": "d" * 32})
    new_english = english.model_copy(update={"digest": "d" * 32})
    assert changed(corpora=(english, new_french)) == {SCRATCH, CPT, REPLAY}
    assert changed(corpora=(english, new_held_out)) == {SCRATCH, CPT, REPLAY}
    assert changed(corpora=(new_english, french)) == {SOURCE, CPT, REPLAY}
    assert changed(tokenizer="d" * 32) == ALL


def test_a_corpus_added_later_leaves_ids_as_they_are() -> None:
    value = manifests.small()
    before = manifests.parsed(value)
    value["corpora"].append({"name": "de", "uri": "text/de", "format": "text"})
    after = manifests.parsed(value)
    assert ids(before, found(before)) == ids(after, found(after))


def test_a_given_checkpoint_counts_by_content_and_not_by_address() -> None:
    value = manifests.small()
    value["arms"][2]["init"] = {"uri": "s3://x/y/"}
    spec = manifests.parsed(value)
    here = manifests.prepared(checkpoints=(manifests.checkpoint("s3://x/y/"),))
    other = manifests.prepared(checkpoints=(manifests.checkpoint("s3://x/y/", "d"),))
    assert ids(spec, here)[CPT] != ids(spec, other)[CPT]
    value["arms"][2]["init"] = {"uri": "elsewhere"}
    moved = manifests.parsed(value)
    there = manifests.prepared(checkpoints=(manifests.checkpoint("elsewhere"),))
    assert ids(spec, here)[CPT] == ids(moved, there)[CPT]


def test_the_budget_that_cpt_starts_from_counts() -> None:
    value = manifests.small()
    del value["arms"][0]["budgets"]
    seen = set()
    for budget in ("700k", "2M"):
        for index in (2, 3):
            value["arms"][index]["init"]["budget"] = budget
        spec = manifests.parsed(value)
        seen.add(ids(spec, manifests.prepared())[CPT])
    assert len(seen) == 2


def test_canonical_json_writes_equal_meanings_alike() -> None:
    assert identity.canonical({"b": 1.0, "a": None, "c": [2, 0.5]}) == '{"b":1,"c":[2,0.5]}'


def test_ids_are_those_of_earlier_releases() -> None:
    """Results in S3 are found by these; if this fails, studies would train everything again."""
    golden = Path(__file__).with_name("golden_ids.json")
    specs = resolve.trials(plan.make(manifests.spec()), manifests.prepared())
    assert {str(key): spec.id for key, spec in specs.items()} == json.loads(golden.read_text())
