"""Several ranks under torchrun: how they end, and that their number changes nothing.

`make test` has the outcome of a rank that fails; the rest takes minutes and is `e2e`.
"""

import time
from pathlib import Path
from typing import Any

import pytest
import torch

from scalingsweep.api.outcome import Class, Outcome
from scalingsweep.api.shape import Shape
from scalingsweep.api.trial import WsdSchedule
from scalingsweep.store import Store
from scalingsweep_trainer import launcher
from scalingsweep_trainer.trial import layout, model, weights
from scalingsweep_trainer.trial.ranks import alone
from scalingsweep_trainer.trial.state import State
from support import s3, trials
from support.trials import STEP

TEN_MILLION = Shape(
    vocab_size=trials.VOCABULARY,
    hidden_size=320,
    intermediate_size=896,
    layers=8,
    heads=5,
    kv_heads=5,
    context_length=64,
)


@pytest.fixture(autouse=True)
def keys(s3: s3.S3, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in s3.access.keys().items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def corpus(store: Store) -> trials.Corpus:
    return trials.corpus(store)


def test_one_ranks_word_is_the_attempts(
    s3: s3.S3, store: Store, corpus: trials.Corpus, tmp_path: Path
) -> None:
    """Rank 1 meets bad data; rank 0 waits for it in a collective and is stopped by torchrun."""
    spec = trials.spec(corpus, (500,))
    with trials.worker(s3, store, spec, tmp_path, processes=2, fault="BadData@step:3#1") as worker:
        outcome = worker.wait(300)
    assert (outcome.klass, worker.process.returncode) == (Class.BAD_DATA, 3), outcome.message
    assert (outcome.field, outcome.message) == ("fault", "fault: injected by a test")


@pytest.mark.parametrize(
    ("said", "silent", "told", "klass", "words"),
    [
        (Class.PREEMPTED, [], False, Class.PREEMPTED, "its word"),
        (Class.PREEMPTED, [1], True, Class.PREEMPTED, "its word"),
        (Class.PREEMPTED, [1], False, Class.INFRASTRUCTURE, "rank 1 ended without a word"),
        (Class.INFRASTRUCTURE, [1, 3], False, Class.INFRASTRUCTURE, "rank 1, 3 ended without"),
        (Class.DIVERGED, [1], False, Class.DIVERGED, "its word"),
        (None, [0, 1], False, Class.INFRASTRUCTURE, "torchrun exited with 1 and no rank left"),
    ],
)
def test_what_the_ranks_of_a_node_said(
    said: Class | None, silent: list[int], told: bool, klass: Class, words: str
) -> None:
    word = None if said is None else Outcome(klass=said, message="its word")
    found = launcher._judged(word, silent, 1, told=told)
    assert found.klass is klass
    assert words in found.message


@pytest.mark.e2e
@pytest.mark.parametrize("fault", ["kill@step:5#1", "freeze@step:5#1", "hang@step:5#1"])
def test_a_lost_rank_ends_the_attempt_in_bounded_time(
    s3: s3.S3, store: Store, corpus: trials.Corpus, tmp_path: Path, fault: str
) -> None:
    words = {
        "kill": "rank 1 ended without a word",
        "freeze": "rank 1 answered no more for 10 s, last at ",
        "hang": "rank 1 hung for 10 s at ",
    }[fault.partition("@")[0]]
    spec = trials.spec(corpus, (500,))
    began = time.monotonic()
    with trials.worker(
        s3, store, spec, tmp_path, processes=2, fault=fault, stall_seconds=10, grace_seconds=5
    ) as worker:
        worker.await_object(store, layout.claim(spec.id, 1))
        began = time.monotonic()
        outcome = worker.wait()
    assert time.monotonic() - began < 60
    assert (outcome.klass, worker.process.returncode) == (Class.INFRASTRUCTURE, 1), outcome.message
    assert words in outcome.message


@pytest.mark.e2e
@pytest.mark.parametrize("seconds", [0.3, 1, 2, 4, 8])
def test_a_stop_while_ranks_start_has_its_class(
    s3: s3.S3, store: Store, corpus: trials.Corpus, tmp_path: Path, seconds: float
) -> None:
    """Whatever it meets: our launcher, torchrun, ranks that import, join or train."""
    spec = trials.spec(corpus, (20_000,))
    with trials.worker(s3, store, spec, tmp_path, processes=2) as worker:
        time.sleep(seconds)
        began = time.monotonic()
        worker.process.terminate()
        worker.process.wait(timeout=60)
    assert time.monotonic() - began < 30
    if not worker.outcome_path.exists():
        assert worker.process.returncode == -15, "before our first line"
        return
    outcome = Outcome.model_validate_json(worker.outcome_path.read_bytes())
    assert (outcome.klass, worker.process.returncode) == (Class.PREEMPTED, 7), outcome.message


@pytest.mark.e2e
def test_a_rank_whose_memory_is_full_goes_on_with_half_the_micro_batch(
    s3: s3.S3, store: Store, corpus: trials.Corpus, tmp_path: Path
) -> None:
    """Through torchrun, which itself exits 1 whatever rank 1 met."""
    spec, whole = trials.spec(corpus, (16,)), trials.spec(corpus, (16,), id="b" * 32)
    fault = "OutOfMemory@update:5#1"
    with trials.worker(s3, store, spec, tmp_path, processes=2, fault=fault) as worker:
        outcome = worker.wait(300)
        assert (outcome.klass, worker.process.returncode) == (Class.OUT_OF_MEMORY, 5)
    with trials.worker(s3, store, spec, tmp_path, processes=2, halvings=1) as worker:
        assert worker.wait(300).klass is Class.DONE
    trials.train(store, whole, tmp_path)
    first, second = trials.losses(store, whole.id), trials.losses(store, spec.id, generation=2)
    assert list(second.values())[:10] == pytest.approx(list(first.values())[:10], rel=1e-5)
    assert trials.ledger(store, spec) == trials.ledger(store, whole)


@pytest.mark.e2e
def test_more_ranks_than_sequences(
    s3: s3.S3, store: Store, corpus: trials.Corpus, tmp_path: Path
) -> None:
    """One sequence a step, and a held-out split of one window: the second rank only keeps pace."""
    few = trials.corpus(store, chain=1, held_out=10)
    told: dict[str, Any] = {"batch_sequences": 1, "budgets": (12 * trials.CONTEXT,)}
    one = trials.spec(corpus, (), validation=(few.validation,), **told)
    two = one.model_copy(update={"id": "b" * 32})
    trials.train(store, one, tmp_path)
    with trials.worker(s3, store, two, tmp_path, processes=2) as worker:
        assert worker.wait(600).klass is Class.DONE
    first, second = trials.losses(store, one.id), trials.losses(store, two.id)
    assert list(second.values()) == pytest.approx(list(first.values()), rel=1e-5)
    assert trials.result(store, two)["loss"] == pytest.approx(
        trials.result(store, one)["loss"], rel=1e-4
    )
    assert trials.ledger(store, two) == trials.ledger(store, one)


@pytest.mark.e2e
def test_ten_million_parameters_follow_one_path(
    s3: s3.S3, store: Store, corpus: trials.Corpus, tmp_path: Path
) -> None:
    """One rank, two ranks, accumulation 4 on one rank and on two: ten steps in fp32 within 1e-5.

    The batch of 9 divides by neither, so there are ragged parts and rows that count nothing.
    """
    schedule = WsdSchedule(type="wsd", peak=1e-3, warmup_steps=0, decay=0.5)
    step = 9 * TEN_MILLION.context_length
    first = trials.spec(
        corpus, (), shape=TEN_MILLION, batch_sequences=9, schedule=schedule, budgets=(20 * step,)
    )
    assert sum(p.numel() for p in State.build(first, alone("cpu")).parameters.values()) > 10e6
    trials.train(store, first, tmp_path)
    expected, result = _first_steps(store, first.id), trials.result(store, first)
    ledger = trials.ledger(store, first)
    ways: tuple[tuple[str, dict[str, Any]], ...] = (
        ("b", {"processes": 2}),
        ("c", {"micro_batch": 3, "halvings": 0}),
        ("d", {"processes": 2, "micro_batch": 2}),
        ("e", {"micro_batch": 9, "halvings": 2}),
    )
    for letter, told in ways:
        other = first.model_copy(update={"id": letter * 32})
        with trials.worker(s3, store, other, tmp_path, **told) as worker:
            assert worker.wait(600).klass is Class.DONE
        found = _first_steps(store, other.id)
        assert [loss for loss, _ in found] == pytest.approx(
            [loss for loss, _ in expected], rel=1e-5
        ), told
        assert found[0][1] == pytest.approx(expected[0][1], rel=1e-5), "the norm before clipping"
        # seeds differ by hundredths of a nat
        assert trials.result(store, other)["loss"] == pytest.approx(result["loss"], abs=5e-3)
        assert trials.ledger(store, other) == ledger


@pytest.mark.e2e
@pytest.mark.parametrize("processes", [2, 3])
def test_initial_weights_do_not_depend_on_who_draws_them(
    s3: s3.S3, store: Store, corpus: trials.Corpus, tmp_path: Path, processes: int
) -> None:
    """A decay from the very first step keeps the checkpoint before it: the initial weights."""
    schedule = WsdSchedule(type="wsd", peak=0.01, warmup_steps=0, decay=1)
    spec = trials.spec(corpus, (2,), schedule=schedule)
    with trials.worker(s3, store, spec, tmp_path, processes=processes) as worker:
        assert worker.wait(600).klass is Class.DONE
    start = trials.snapshot(store, spec, "trunk", 0)
    drawn = State.build(spec, alone("cpu"))
    weights.draw(drawn.parameters, spec.shape, spec.seed)
    for name, parameter in drawn.parameters.items():
        assert torch.equal(start[f"model.{name}"], parameter.detach()), name


@pytest.mark.e2e
def test_two_ranks_evaluate_without_a_trace(
    s3: s3.S3, store: Store, corpus: trials.Corpus, tmp_path: Path
) -> None:
    """A branch with its evaluations in between changes no bit of the trunk that goes on."""
    one = trials.spec(corpus, (12, 40))
    other = trials.spec(corpus, (40,), id="b" * 32)
    for spec in (one, other):
        with trials.worker(s3, store, spec, tmp_path, processes=2) as worker:
            assert worker.wait(600).klass is Class.DONE
    first, second = trials.losses(store, one.id), trials.losses(store, other.id)
    assert {place: first[place] for place in second} == second
    assert trials.same(
        trials.snapshot(store, one, str(40 * STEP), 40),
        trials.snapshot(store, other, str(40 * STEP), 40),
    )


def test_meta_and_cpu_initialisation_are_one(corpus: trials.Corpus) -> None:
    from transformers import LlamaForCausalLM

    spec = trials.spec(corpus, (8,))
    made = State.build(spec, alone("cpu"))  # on meta, then given storage
    weights.draw(made.parameters, spec.shape, spec.seed)
    plain = LlamaForCausalLM(model.config(spec.shape))
    weights.draw(dict(reversed(list(plain.named_parameters()))), spec.shape, spec.seed)
    for name, parameter in plain.named_parameters():
        assert torch.equal(parameter, made.parameters[name]), name


def _first_steps(store: Store, trial: str) -> list[tuple[float, float]]:
    """Loss and gradient norm of the trunk's ten steps."""
    found = {
        one["step"]: (one["loss"], one["gradNorm"])
        for one in trials.records(store, trial)
        if one["branch"] == "trunk" and "loss" in one
    }
    return [found[step] for step in range(1, 11)]
