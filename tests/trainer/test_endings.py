"""How attempts end: a stop in every phase, numbers that are none, memory, and what goes on after.

Faults are injected where they would strike (`drill`); signals, processes and storage are real.
"""

import contextlib
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from scalingsweep.api.attempt import Attempt
from scalingsweep.api.outcome import Class
from scalingsweep.errors import SpecError
from scalingsweep.store import Store
from scalingsweep_trainer import drill, endings, outcomes
from scalingsweep_trainer.data.shards import Shards
from scalingsweep_trainer.trial import layout, loop, pulse, weights
from scalingsweep_trainer.trial.evaluate import evaluate
from scalingsweep_trainer.trial.ranks import alone
from scalingsweep_trainer.trial.state import State
from scalingsweep_trainer.trial.stop import Stop
from support import s3, trials
from support.trials import STEP


@pytest.fixture(autouse=True)
def keys(s3: s3.S3, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in s3.access.keys().items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def corpus(store: Store) -> trials.Corpus:
    return trials.corpus(store)


@contextlib.contextmanager
def signals() -> Iterator[Stop]:
    """This process's signals as a worker takes them."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield Stop.install()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_a_stop_in_every_phase_saves_and_the_next_attempt_goes_on_bit_for_bit(
    store: Store, corpus: trials.Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One trial, stopped again and again, each time elsewhere; then it is the undisturbed one."""
    spec = trials.spec(corpus, (20, 40))
    for fault, step in (
        ("term@claim", None),
        ("term@step:0", 0),
        ("term@step:9", 9),
        ("term@load:9", 9),
        ("term@branch:15", 15),
        ("term@step:17", 17),
        ("term@evaluation", 20),
        ("term@load:15", 15),  # the trunk is read again for the second branch
        ("term@save:30", 30),  # amid the save of the trunk's end, which is then complete
        ("term@step:39", 39),
        ("term@evaluation", 40),
    ):
        monkeypatch.setenv(drill.VARIABLE, fault)
        with signals() as stop, pytest.raises(endings.Preempted) as caught:
            trials.train(store, spec, tmp_path, stop=stop)
        assert caught.value.step == step, (fault, str(caught.value))
    monkeypatch.setenv(drill.VARIABLE, "term@results:40")  # too late to be obeyed: it is done
    with signals() as stop:
        assert trials.train(store, spec, tmp_path, stop=stop).generation == 12
    monkeypatch.delenv(drill.VARIABLE)
    whole = trials.spec(corpus, (20, 40), id="b" * 32)
    trials.train(store, whole, tmp_path)
    for step in (20, 40):
        branch = str(step * STEP)
        assert trials.same(
            trials.snapshot(store, spec, branch, step), trials.snapshot(store, whole, branch, step)
        )
        one = trials.result(store, spec, step * STEP)
        assert {**one, "trial": whole.id} == trials.result(store, whole, step * STEP)
    assert trials.ledger(store, spec) == trials.ledger(store, whole)


def test_a_stop_amid_imports_has_its_class(
    s3: s3.S3, store: Store, corpus: trials.Corpus, tmp_path: Path
) -> None:
    spec = trials.spec(corpus, (20,))
    with trials.worker(s3, store, spec, tmp_path, fault="term@start") as worker:
        outcome = worker.wait()
        assert (outcome.klass, worker.process.returncode) == (Class.PREEMPTED, 7)
    assert list(store.list(f"trials/{spec.id}/")) == []


def test_who_hears_no_signal_still_leaves_within_the_grace(
    s3: s3.S3, store: Store, corpus: trials.Corpus, tmp_path: Path
) -> None:
    """The training thread is deaf; the last checkpoint is what stays."""
    spec = trials.spec(corpus, (500,))
    with trials.worker(
        s3, store, spec, tmp_path, fault="hang@step:200", grace_seconds=3, checkpoint_minutes=1e-9
    ) as worker:
        worker.await_object(store, f"trials/{spec.id}/g0001/checkpoints/trunk/step-000000198")
        began = time.monotonic()
        outcome = worker.stop()
        assert time.monotonic() - began < 3
        assert (outcome.klass, worker.process.returncode) == (Class.PREEMPTED, 7)
        assert "not ready to leave" in outcome.message


def test_who_goes_no_further_is_ended(
    s3: s3.S3, store: Store, corpus: trials.Corpus, tmp_path: Path
) -> None:
    spec = trials.spec(corpus, (500,))
    with trials.worker(s3, store, spec, tmp_path, fault="hang@update:7", stall_seconds=6) as worker:
        outcome = worker.wait()
    assert outcome.klass is Class.INFRASTRUCTURE
    assert outcome.message.startswith("no progress for 6 s at ")


def test_a_number_that_becomes_none_names_its_step(
    store: Store, corpus: trials.Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = trials.spec(corpus, (40,))
    monkeypatch.setenv(drill.VARIABLE, "nan@update:12")
    with pytest.raises(endings.Diverged, match="step 13 is no number") as caught:
        trials.train(store, spec, tmp_path, checkpoint_minutes=1e-9)
    assert caught.value.step == 13
    monkeypatch.delenv(drill.VARIABLE)
    # no number that is none was ever saved: the next attempt goes on before it
    assert trials.train(store, spec, tmp_path).generation == 2
    assert min(step for _, step in trials.losses(store, spec.id, generation=2)) == 13


def test_a_model_that_ends_as_none_is_no_result(
    store: Store, corpus: trials.Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = trials.spec(corpus, (20,))
    monkeypatch.setenv(drill.VARIABLE, "nan@decayed:20")
    with pytest.raises(endings.Diverged, match="after step 20 is no number") as caught:
        trials.train(store, spec, tmp_path)
    assert caught.value.step == 20
    assert list(store.list(layout.results(spec.id))) == []


def test_after_a_full_memory_half_the_micro_batch_gives_the_same_numbers(
    store: Store, corpus: trials.Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, whole = trials.spec(corpus, (16,)), trials.spec(corpus, (16,), id="b" * 32)
    monkeypatch.setenv(drill.VARIABLE, "OutOfMemory@update:5")
    with pytest.raises(torch.OutOfMemoryError) as caught:
        trials.train(store, spec, tmp_path)
    assert outcomes.of_error(caught.value).klass is Class.OUT_OF_MEMORY
    monkeypatch.delenv(drill.VARIABLE)
    trials.train(store, spec, tmp_path, halvings=1)
    trials.train(store, whole, tmp_path)
    first, second = trials.losses(store, whole.id), trials.losses(store, spec.id, generation=2)
    assert list(second.values()) == pytest.approx(list(first.values()), rel=1e-5)
    assert list(second.values()) != list(first.values()), "the additions were in another order"
    assert trials.ledger(store, spec) == trials.ledger(store, whole)


def test_each_halving_doubles_the_accumulation(store: Store, corpus: trials.Corpus) -> None:
    spec = trials.spec(corpus, (), batch_sequences=12, budgets=(12 * trials.CONTEXT,))

    def rows(**told: Any) -> int:
        attempt = Attempt(sweep="test", storage=store.location, **told)
        return loop.micro_batch(spec, attempt, 1)

    assert [rows(halvings=k) for k in range(6)] == [12, 6, 3, 2, 1, 1]
    assert [rows(halvings=k, micro_batch=5) for k in range(4)] == [4, 2, 1, 1]


@pytest.mark.parametrize(
    ("words", "klass"),
    [
        ("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried", "OutOfMemory"),
        ("CUDA error: out of memory", "OutOfMemory"),
        ("CUDA error: an illegal memory access was encountered", "Infrastructure"),
    ],
)
def test_torch_has_several_words_for_a_full_memory(words: str, klass: str) -> None:
    assert outcomes.of_error(RuntimeError(words)).klass == klass


def test_an_evaluation_leaves_no_trace(store: Store, corpus: trials.Corpus, tmp_path: Path) -> None:
    """Weights, moments, gradients and random state are the same bits after it as before."""
    spec = trials.spec(corpus, (8,))
    state = State.build(spec, alone("cpu"))
    weights.draw(state.parameters, spec.shape, spec.seed)
    rows = torch.randint(0, trials.VOCABULARY, (4, trials.CONTEXT + 1))
    state.model(rows[:, :-1], rows[:, 1:]).sum().backward()
    state.optimizer.step()
    before = state.capture()
    gradients = {
        name: one.grad.clone() for name, one in state.parameters.items() if one.grad is not None
    }
    found = [
        evaluate(
            state.model,
            Shards(store, "validation", corpus.validation, tmp_path),
            context=trials.CONTEXT,
            rows=3,
            ranks=state.ranks,
            stop=Stop(),
            pulse=pulse.Pulse(state.ranks, 900, None),
            step=1,
        )
        for _ in range(2)
    ]
    assert found[0] == found[1]
    assert trials.same(before, state.capture())
    assert {n: one.grad for n, one in state.parameters.items()}.keys() == gradients.keys()
    for name, parameter in state.parameters.items():
        assert parameter.grad is not None
        assert torch.equal(parameter.grad, gradients[name])
    assert state.model.training, "and the mode"


def test_a_fault_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    drill.at("step", 1)  # unset: nothing
    for wrong in ("", "term", "term@", "flood@step", "@step"):
        monkeypatch.setenv(drill.VARIABLE, wrong)
        with pytest.raises(SpecError, match=drill.VARIABLE):
            drill.at("step", 1)
    monkeypatch.setenv(drill.VARIABLE, "BadData@step:3#1")
    drill.at("step", 3)  # of another rank
    monkeypatch.setenv("RANK", "1")
    drill.at("step", 2)
    with pytest.raises(SpecError, match="injected"):
        drill.at("step", 3)


def test_a_missing_batch_does_not_keep_a_stop_waiting(
    s3: s3.S3, store: Store, corpus: trials.Corpus, tmp_path: Path
) -> None:
    """A shard that does not come: another process holds its lock, as one that downloads would."""
    import fcntl

    spec = trials.spec(corpus, (500,))
    folder = tmp_path / "cache" / "corpora" / corpus.training
    folder.mkdir(parents=True)
    with contextlib.ExitStack() as held:
        for number in range(2):
            lock = held.enter_context((folder / f"{number:05}.lock").open("w"))
            fcntl.flock(lock, fcntl.LOCK_EX)
        with trials.worker(s3, store, spec, tmp_path, grace_seconds=20) as worker:
            worker.await_object(store, layout.claim(spec.id, 1))
            time.sleep(1)
            outcome = worker.stop()
    assert (outcome.klass, outcome.message) == (
        Class.PREEMPTED, "stopped and saved at step 0 of trunk",
    )  # fmt: skip
