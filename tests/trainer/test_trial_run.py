"""One rank trains whole trials against a real S3 server: branches, resuming, sources, endings."""

import hashlib
import json
import socket
from pathlib import Path

import numpy as np
import pytest
import torch

from scalingsweep.api.trial import CosineSchedule, InitFromTrial, InitFromUri, Replay, WsdSchedule
from scalingsweep.errors import DataError, SpecError
from scalingsweep.store import Store
from scalingsweep_trainer import endings
from scalingsweep_trainer.trial import checkpoint, claim, weights
from scalingsweep_trainer.trial.ranks import alone
from scalingsweep_trainer.trial.state import State
from support import markov, s3, token_shards, trials
from support.trials import STEP


@pytest.fixture(autouse=True)
def keys(s3: s3.S3, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in s3.access.keys().items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def corpus(store: Store) -> trials.Corpus:
    return trials.corpus(store)


def test_a_branch_is_bit_identical_to_a_run_of_its_own(
    store: Store, corpus: trials.Corpus, tmp_path: Path
) -> None:
    shared = trials.spec(corpus, (20, 32, 40))
    alone_ = trials.spec(corpus, (32,), id="b" * 32)
    assert trials.train(store, shared, tmp_path).budgets == shared.budgets
    trials.train(store, alone_, tmp_path)
    branch = str(32 * STEP)
    assert trials.same(
        trials.snapshot(store, shared, branch, 32), trials.snapshot(store, alone_, branch, 32)
    )
    own = trials.losses(store, alone_.id)
    common = trials.losses(store, shared.id)
    assert {place: common[place] for place in own} == own
    one, other = trials.result(store, shared, 32 * STEP), trials.result(store, alone_)
    assert {**one, "trial": ""} == {**other, "trial": ""}


def test_another_budget_trains_only_what_is_missing(
    store: Store, corpus: trials.Corpus, tmp_path: Path
) -> None:
    trials.train(store, trials.spec(corpus, (20, 40)), tmp_path)
    before = {key: store.get(key) for key in store.list(f"trials/{'a' * 32}/results/")}
    more = trials.spec(corpus, (20, 40, 60))
    assert trials.train(store, more, tmp_path).generation == 2
    trained = trials.losses(store, more.id, generation=2)
    trunk = {("trunk", step) for step in range(31, 46)}
    assert set(trained) == trunk | {(str(60 * STEP), step) for step in range(46, 61)}
    assert {key: store.get(key) for key in before} == before
    whole = trials.spec(corpus, (20, 40, 60), id="b" * 32)
    trials.train(store, whole, tmp_path)
    assert trials.result(store, more)["loss"] == trials.result(store, whole)["loss"]
    # a budget between the others goes on from the trunk before it; asking for less trains nothing
    between = trials.spec(corpus, (30,))
    trials.train(store, between, tmp_path)
    assert min(step for _, step in trials.losses(store, more.id, generation=3)) == 16
    assert store.get_json(f"trials/{more.id}/spec.json")["budgets"] == [
        step * STEP for step in (20, 30, 40, 60)
    ]
    trials.train(store, trials.spec(corpus, (20,)), tmp_path)
    assert trials.records(store, more.id, generation=4) == []


def test_a_corpus_added_later_is_only_evaluated(
    store: Store, corpus: trials.Corpus, tmp_path: Path
) -> None:
    trials.train(store, trials.spec(corpus, (20, 40)), tmp_path)
    other = trials.corpus(store, chain=1).validation
    spec = trials.spec(corpus, (20, 40), validation=(other, corpus.validation))
    trials.train(store, spec, tmp_path)
    assert trials.losses(store, spec.id, generation=2) == {}
    found = trials.records(store, spec.id, generation=2)
    assert [list(one["evaluation"]) for one in found] == [[other], [other]]
    assert trials.result(store, spec, 20 * STEP)["validation"] == other


def test_continual_training_starts_where_its_source_ended(
    store: Store, corpus: trials.Corpus, tmp_path: Path
) -> None:
    source = trials.spec(corpus, (20, 40))
    trials.train(store, source, tmp_path)
    target = trials.corpus(store, chain=1)
    spec = trials.spec(
        target,
        (12,),
        id="c" * 32,
        init=InitFromTrial(trial=source.id, tokens=source.budgets[-1]),
        validation=(corpus.validation, target.validation),
        replay=Replay(
            corpus=corpus.training,
            held_out=corpus.validation,
            numerator=1,
            denominator=4,
            source_sequences=160,
            source_seed=0,
        ),
    )
    trials.train(store, spec, tmp_path)
    (start,) = (one for one in trials.records(store, spec.id) if one["step"] == 0)
    recorded = trials.result(store, source)["loss"]
    assert start["evaluation"] == {corpus.validation: pytest.approx(recorded, rel=1e-6)}
    moments = trials.snapshot(store, spec, "trunk", 9)
    assert int(moments["step"]) == 9, "optimizer and data start afresh"


def test_a_source_that_is_not_what_was_recorded_is_refused(
    store: Store, corpus: trials.Corpus, tmp_path: Path
) -> None:
    source = trials.spec(corpus, (20,))
    trials.train(store, source, tmp_path)
    told = trials.result(store, source)
    key = f"trials/{source.id}/results/{source.budgets[0]}/{corpus.validation}.json"
    store.put_json(key, {**told, "loss": told["loss"] * 1.001})
    init = InitFromTrial(trial=source.id, tokens=source.budgets[0])
    with pytest.raises(DataError, match="is recorded"):
        trials.train(store, trials.spec(corpus, (20,), id="c" * 32, init=init), tmp_path)
    wider = trials.SHAPE.model_copy(update={"intermediate_size": 48})
    spec = trials.spec(corpus, (20,), id="c" * 32, init=init, shape=wider)
    with pytest.raises(DataError, match="intermediateSize 32, the trial's model 48"):
        trials.train(store, spec, tmp_path)
    missing = init.model_copy(update={"tokens": 64})
    with pytest.raises(DataError, match="no decayed checkpoint of 64 tokens"):
        trials.train(store, trials.spec(corpus, (20,), id="c" * 32, init=missing), tmp_path)


def test_a_stable_checkpoint_is_the_trunk_before_the_decay(
    store: Store, corpus: trials.Corpus, tmp_path: Path
) -> None:
    source = trials.spec(corpus, (20,))
    trials.train(store, source, tmp_path)
    init = InitFromTrial(trial=source.id, tokens=source.budgets[0], checkpoint="stable")
    schedule = WsdSchedule(type="wsd", peak=1e-9, warmup_steps=0, decay=1)
    spec = trials.spec(corpus, (1,), id="c" * 32, init=init, schedule=schedule)
    trials.train(store, spec, tmp_path)
    trunk = trials.snapshot(store, source, "trunk", 15)
    start = trials.snapshot(store, spec, "trunk", 0)
    names = [name for name in trunk if name.startswith("model.")]
    assert all(torch.equal(trunk[name], start[name]) for name in names)


def test_a_hugging_face_checkpoint_is_taken_over(
    store: Store, corpus: trials.Corpus, tmp_path: Path
) -> None:
    made = State.build(trials.spec(corpus, (8,)), alone("cpu"))
    weights.draw(made.parameters, trials.SHAPE, seed=7)
    made.model.llama.save_pretrained(tmp_path / "given")
    for name in ("config.json", "model.safetensors"):
        store.upload_file(f"given/{name}", tmp_path / "given" / name)
    store.put("given/README.md", b"no weights")
    schedule = WsdSchedule(type="wsd", peak=1e-9, warmup_steps=0, decay=1)
    for number, uri in enumerate(("given", store.address("given/"))):
        init = InitFromUri(uri=uri, digest=_digest(tmp_path / "given"))
        spec = trials.spec(corpus, (1,), id=f"{number}" * 32, init=init, schedule=schedule)
        trials.train(store, spec, tmp_path, base=str(tmp_path))
        start = trials.snapshot(store, spec, "trunk", 0)
        for name, parameter in made.parameters.items():
            assert torch.equal(start[f"model.{name}"], parameter.detach())
    settings = json.loads((tmp_path / "given/config.json").read_text())
    (tmp_path / "given/config.json").write_text(json.dumps({**settings, "rms_norm_eps": 1e-6}))
    old = init.model_copy(update={"uri": "given"})
    spec = trials.spec(corpus, (1,), id="3" * 32, init=old, schedule=schedule)
    with pytest.raises(DataError, match="has changed since prepare"):
        trials.train(store, spec, tmp_path, base=str(tmp_path))
    init = InitFromUri(uri="given", digest=_digest(tmp_path / "given"))
    spec = spec.model_copy(update={"init": init})
    with pytest.raises(DataError, match="rms_norm_eps 1e-06, the trial's model 1e-05"):
        trials.train(store, spec, tmp_path, base=str(tmp_path))


def test_a_number_that_is_none_ends_the_trial_with_its_step(
    store: Store, corpus: trials.Corpus, tmp_path: Path
) -> None:
    made = State.build(trials.spec(corpus, (8,)), alone("cpu"))
    weights.draw(made.parameters, trials.SHAPE, seed=7)
    with torch.no_grad():
        made.parameters["model.norm.weight"][0] = torch.nan
    made.model.llama.save_pretrained(tmp_path / "broken")
    init = InitFromUri(uri="broken", digest=_digest(tmp_path / "broken"))
    spec = trials.spec(corpus, (20,), id="e" * 32, init=init)
    with pytest.raises(endings.Diverged, match="the loss of step 1 is no number") as caught:
        trials.train(store, spec, tmp_path, base=str(tmp_path))
    assert caught.value.step == 1
    assert checkpoint.found(store, spec.id) == []


def test_a_cosine_trial_is_one_run_of_its_own(
    store: Store, corpus: trials.Corpus, tmp_path: Path
) -> None:
    schedule = CosineSchedule(type="cosine", peak=0.01, warmup_steps=2)
    spec = trials.spec(corpus, (20,), schedule=schedule)
    trials.train(store, spec, tmp_path)
    assert set(trials.losses(store, spec.id)) == {(str(20 * STEP), s) for s in range(1, 21)}


def test_micro_batches_change_only_the_order_of_additions(
    store: Store, corpus: trials.Corpus, tmp_path: Path
) -> None:
    one, other = trials.spec(corpus, (12,)), trials.spec(corpus, (12,), id="b" * 32)
    trials.train(store, one, tmp_path)
    trials.train(store, other, tmp_path, micro_batch=3)
    first, second = trials.losses(store, one.id), trials.losses(store, other.id)
    assert list(second.values()) == pytest.approx(list(first.values()), rel=1e-5)


def test_bf16_trains_with_weights_of_full_precision(
    store: Store, corpus: trials.Corpus, tmp_path: Path
) -> None:
    one = trials.spec(corpus, (20,))
    other = trials.spec(corpus, (20,), id="b" * 32, precision="bf16")
    for spec in (one, other):
        trials.train(store, spec, tmp_path)
    first, second = trials.result(store, one)["loss"], trials.result(store, other)["loss"]
    assert first != second
    assert second == pytest.approx(first, abs=0.02)
    after = trials.snapshot(store, other, str(20 * STEP), 20)
    assert {value.dtype for name, value in after.items() if "weight" in name} == {torch.float32}


def test_only_what_is_needed_stays(store: Store, corpus: trials.Corpus, tmp_path: Path) -> None:
    spec = trials.spec(corpus, (40, 60))
    trials.train(store, spec, tmp_path, checkpoint_minutes=1e-9)
    found = {(one.branch, one.step) for one in checkpoint.found(store, spec.id)}
    branches = {(str(step * STEP), step) for step in (40, 60)}
    assert found == branches | {("trunk", 30), ("trunk", 45)}


def test_what_a_dead_attempt_left_half_written_is_removed(
    store: Store, corpus: trials.Corpus, tmp_path: Path
) -> None:
    spec = trials.spec(corpus, (20,))
    claim.take(store, spec.id)
    torn = f"trials/{spec.id}/g0001/checkpoints/trunk/step-000000009/__0_0.distcp"
    store.put(torn, b"half a file")
    assert trials.train(store, spec, tmp_path).generation == 2
    assert not store.exists(torn)
    assert ("trunk", 1) in trials.losses(store, spec.id, generation=2)


def test_a_newer_claim_forbids_every_write(
    store: Store, corpus: trials.Corpus, tmp_path: Path
) -> None:
    ours = claim.take(store, "a" * 32)
    assert ours.generation == 1
    ours.check()
    assert claim.take(store, "a" * 32).generation == 2
    with pytest.raises(endings.Superseded):
        ours.check()


def test_a_worker_of_another_version_refuses(
    store: Store, corpus: trials.Corpus, tmp_path: Path
) -> None:
    with pytest.raises(SpecError, match="numericsVersion"):
        trials.train(store, trials.spec(corpus, (20,), numerics_version=999), tmp_path)
    assert list(store.list("trials/")) == []


def test_a_validation_split_of_another_tokenizer_is_refused(
    store: Store, corpus: trials.Corpus, tmp_path: Path
) -> None:
    ids, _ = markov.tokens(5, 100)
    token_shards.write(store, "validation", "9" * 32, ids, tokenizer="1" * 32)
    with pytest.raises(DataError, match="tokenizer"):
        trials.train(store, trials.spec(corpus, (8,), validation=("9" * 32,)), tmp_path)


def test_the_loss_approaches_the_sources_entropy_and_never_goes_beneath(
    store: Store, tmp_path: Path
) -> None:
    corpus = trials.corpus(store, tokens=200_000, held_out=8000)
    schedule = WsdSchedule(type="wsd", peak=0.02, warmup_steps=10, decay=0.4)
    shape = trials.SHAPE.model_copy(update={"hidden_size": 32, "intermediate_size": 64})
    spec = trials.spec(
        corpus, (), shape=shape, batch_sequences=24, schedule=schedule, budgets=(500 * 24 * 16,)
    )
    trials.train(store, spec, tmp_path)
    found = trials.result(store, spec)
    # the chain's own loss on the very tokens of the split: no model of the past can do better but
    # by luck, and the luck of a difference between two models is small
    ids, _ = markov.tokens(1, 8000)
    oracle = markov.loss(ids)
    assert oracle - 0.005 < found["loss"] < oracle + 0.06
    assert oracle == pytest.approx(corpus.entropy, abs=0.05)
    assert found["evaluatedTokens"] == 7999
    assert found["bitsPerByte"] == pytest.approx(found["loss"] * 7999 / np.log(2) / 8000)


def _digest(folder: Path) -> str:
    """Config and weights, each with its name and size before it."""
    whole = hashlib.sha256()
    for name in ("config.json", "model.safetensors"):
        data = (folder / name).read_bytes()
        whole.update(f"{name}\n{len(data)}\n".encode() + data)
    return whole.hexdigest()[:32]


def test_a_source_of_another_tokenizer_is_refused(
    store: Store, corpus: trials.Corpus, tmp_path: Path
) -> None:
    """Equal sizes are not equal tokens."""
    source = trials.spec(corpus, (20,))
    trials.train(store, source, tmp_path)
    told = {**source.to_wire(), "tokenizer": "5" * 32}
    store.put_json(f"trials/{source.id}/spec.json", told)
    init = InitFromTrial(trial=source.id, tokens=source.budgets[0])
    with pytest.raises(DataError, match=f"was trained with tokenizer {'5' * 32}, not with"):
        trials.train(store, trials.spec(corpus, (20,), id="c" * 32, init=init), tmp_path)


@pytest.mark.parametrize("others", [False, True])
def test_a_tokenizer_beside_given_weights_must_be_the_studys(
    store: Store, corpus: trials.Corpus, tmp_path: Path, others: bool
) -> None:
    made = State.build(trials.spec(corpus, (8,)), alone("cpu"))
    weights.draw(made.parameters, trials.SHAPE, seed=7)
    made.model.llama.save_pretrained(tmp_path / "given")
    words = {f"w{k}": k for k in range(trials.VOCABULARY)}
    ours = {"model": {"type": "BPE", "vocab": words}, "added_tokens": [{"id": 0, "content": "w0"}]}
    store.put_json(f"tokenizers/{'0' * 32}/tokenizer.json", ours)
    # the same tokens, written otherwise; or two of them exchanged
    theirs = {**words, "w1": 2, "w2": 1} if others else dict(reversed(words.items()))
    text = json.dumps({"model": {"vocab": theirs, "type": "BPE"}, "version": "1.0"}, indent=1)
    (tmp_path / "given" / "tokenizer.json").write_text(text)
    init = InitFromUri(uri="given", digest=_digest(tmp_path / "given"))
    spec = trials.spec(corpus, (8,), init=init)
    if others:
        with pytest.raises(DataError, match="given: has another tokenizer than this study"):
            trials.train(store, spec, tmp_path, base=str(tmp_path))
    else:
        assert trials.train(store, spec, tmp_path, base=str(tmp_path)).budgets == spec.budgets


@pytest.mark.parametrize("split", ["corpora", "validation"])
def test_a_token_beyond_the_vocabulary_is_bad_data(
    store: Store, corpus: trials.Corpus, tmp_path: Path, split: str
) -> None:
    """Not an IndexError, nor an assertion of a GPU."""
    ids = np.full(2000, trials.VOCABULARY)
    token_shards.write(store, split, "9" * 32, ids)
    field = "corpus" if split == "corpora" else "validation"
    changes = {field: "9" * 32 if split == "corpora" else ("9" * 32,)}
    with pytest.raises(DataError, match=f"{split}/9+/index.json: holds token 32, but the model"):
        trials.train(store, trials.spec(corpus, (8,), **changes), tmp_path)


def test_a_port_that_is_taken_is_only_said(
    store: Store, corpus: trials.Corpus, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        spec = trials.spec(corpus, (8,))
        assert trials.train(store, spec, tmp_path, port=port).budgets == spec.budgets
    assert f"no /progress on 127.0.0.1:{port}" in caplog.text
