"""The worker as a control plane meets it: processes, signals, exit codes, outcome files."""

import json
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from scalingsweep.api.outcome import EXIT_CODES, Class, Outcome
from scalingsweep.store import Store
from scalingsweep_trainer import endings, outcomes
from scalingsweep_trainer.trial import layout
from support import s3, trials
from support.trials import STEP


@pytest.fixture(autouse=True)
def keys(s3: s3.S3, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in s3.access.keys().items():
        monkeypatch.setenv(name, value)


def test_killed_then_stopped_then_finished_is_bit_for_bit_one_run(
    s3: s3.S3, store: Store, tmp_path: Path
) -> None:
    """SIGKILL after a checkpoint, SIGTERM to the next attempt, and a third one to the end."""
    corpus = trials.corpus(store)
    spec = trials.spec(corpus, (500,))
    with trials.worker(s3, store, spec, tmp_path, checkpoint_minutes=0.001) as killed:
        killed.await_object(store, f"trials/{spec.id}/g0001/checkpoints/trunk/step-")
        killed.process.kill()
        killed.process.wait()
        assert not killed.outcome_path.exists()
    with trials.worker(s3, store, spec, tmp_path) as stopped:
        stopped.await_object(store, layout.claim(spec.id, 2))
        outcome = stopped.stop()
        assert (outcome.klass, stopped.process.returncode) == (Class.PREEMPTED, 7)
    assert trials.train(store, spec, tmp_path).generation == 3
    whole = trials.spec(corpus, (500,), id="b" * 32)
    trials.train(store, whole, tmp_path)
    branch = str(500 * STEP)
    assert trials.same(
        trials.snapshot(store, spec, branch, 500), trials.snapshot(store, whole, branch, 500)
    )
    steps = [step for step in (1, 2, 3) for _ in trials.losses(store, spec.id, generation=step)]
    assert len(steps) < 2 * 500, "the later attempts went on and did not start again"


def test_an_older_attempt_leaves_when_a_newer_one_claims(
    s3: s3.S3, store: Store, tmp_path: Path
) -> None:
    spec = trials.spec(trials.corpus(store), (20_000,))
    with trials.worker(
        s3, store, spec, tmp_path, checkpoint_minutes=0.001, port=_free_port()
    ) as older:
        older.await_object(store, f"trials/{spec.id}/g0001/checkpoints/trunk/step-")
        progress = _progress(older)
        assert progress["phase"] == "training"
        assert progress["tokensTotal"] == 20_000 * STEP
        assert 0 < int(str(progress["tokens"])) < 20_000 * STEP
        assert store.put_if_absent(layout.claim(spec.id, 2), b"*")
        outcome = older.wait()
        assert (outcome.klass, older.process.returncode) == (Class.SUPERSEDED, 6)
    assert list(store.list(layout.results(spec.id))) == []


def test_two_ranks_follow_one(s3: s3.S3, store: Store, tmp_path: Path) -> None:
    """Under torchrun and FSDP2, stopped by SIGTERM after the first budget, finished by one rank.

    The batch of 5 does not divide, so one rank has a row to spare.
    """
    corpus = trials.corpus(store)
    step = 5 * trials.CONTEXT
    one = trials.spec(corpus, (), batch_sequences=5, budgets=(12 * step, 24 * step))
    trials.train(store, one, tmp_path)
    two = one.model_copy(update={"id": "b" * 32, "budgets": (12 * step, 24 * step, 20_000 * step)})
    with trials.worker(s3, store, two, tmp_path, processes=2, grace_seconds=40) as worker:
        worker.await_object(store, f"trials/{two.id}/results/{24 * step}/")
        outcome = worker.stop()
        assert (outcome.klass, worker.process.returncode) == (Class.PREEMPTED, 7), outcome.message
    first, second = trials.losses(store, one.id), trials.losses(store, two.id)
    early = [place for place in first if place[1] <= 10]
    assert len(early) == 11, "nine of the trunk and one of the branch, then one of the trunk"
    assert [second[place] for place in early] == pytest.approx(
        [first[place] for place in early], rel=1e-5
    )
    assert trials.result(store, two, 24 * step) == {
        **trials.result(store, one),
        "trial": two.id,
        "loss": pytest.approx(trials.result(store, one)["loss"], rel=1e-3),
        "bitsPerByte": pytest.approx(trials.result(store, one)["bitsPerByte"], rel=1e-3),
    }
    # what two ranks saved, one goes on from
    stopped = max(step for branch, step in second if branch == "trunk")
    last = -(-(stopped + 10) * 4 // 3)
    more = two.model_copy(update={"budgets": (last * step,)})
    assert trials.train(store, more, tmp_path).generation == 2
    assert min(step for _, step in trials.losses(store, two.id, generation=2)) == stopped + 1


@pytest.mark.parametrize(
    ("arguments", "told", "words"),
    [
        (["trial"], {}, "SCALINGSWEEP_TRIAL: is required"),
        (["trial"], {"SCALINGSWEEP_TRIAL": "{"}, "is not JSON"),
        (["trial"], {"SCALINGSWEEP_TRIAL": "{}"}, "is required"),
        (["bake"], {}, "usage: scalingsweep-worker"),
    ],
)
def test_what_it_is_told_wrongly_is_one_line(
    arguments: list[str], told: dict[str, str], words: str, tmp_path: Path
) -> None:
    path = tmp_path / "outcome.json"
    done = subprocess.run(
        [sys.executable, "-m", "scalingsweep_trainer.main", *arguments],
        env={**told, "SCALINGSWEEP_OUTCOME": str(path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
    if arguments == ["trial"]:
        outcome = outcomes.read(path)
        assert outcome is not None
        assert outcome.klass is Class.BAD_CONFIGURATION


def test_the_earliest_specific_word_counts(tmp_path: Path) -> None:
    def say(rank: int, klass: Class) -> None:
        outcomes.write(tmp_path / f"rank-{rank}.json", Outcome(klass=klass))

    assert outcomes.earliest(tmp_path) is None
    say(2, Class.INFRASTRUCTURE)
    say(1, Class.OUT_OF_MEMORY)
    say(0, Class.PREEMPTED)
    found = outcomes.earliest(tmp_path)
    assert found is not None
    assert found.klass is Class.OUT_OF_MEMORY
    say(0, Class.DONE)
    found = outcomes.earliest(tmp_path)
    assert found is not None
    assert found.klass is Class.DONE


def test_every_error_has_its_class(capsys: pytest.CaptureFixture[str]) -> None:
    import torch

    from scalingsweep.errors import DataError, SpecError, TransientError

    told = {
        Class.BAD_CONFIGURATION: SpecError("spec.arms", "is wrong"),
        Class.BAD_DATA: DataError("corpus", "is empty"),
        Class.INFRASTRUCTURE: TransientError("no answer"),
        Class.OUT_OF_MEMORY: torch.OutOfMemoryError("CUDA out of memory"),
        Class.DIVERGED: endings.Diverged("no number", step=3),
        Class.PREEMPTED: endings.Preempted("stopped"),
        Class.SUPERSEDED: endings.Superseded("newer"),
    }
    for klass, error in told.items():
        assert outcomes.of_error(error).klass is klass
        assert EXIT_CODES[klass] != 0
    assert capsys.readouterr().err == ""
    assert outcomes.of_error(ZeroDivisionError("a bug")).klass is Class.INFRASTRUCTURE
    assert "Traceback" not in capsys.readouterr().out


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _progress(worker: trials.Worker) -> dict[str, object]:
    with urllib.request.urlopen(f"http://127.0.0.1:{worker.port}/progress", timeout=5) as answer:
        found = json.load(answer)
    with urllib.request.urlopen(f"http://127.0.0.1:{worker.port}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    assert 'scalingsweep_trial_step{arm="scratch",size="tiny",seed="0"} ' in text
    assert isinstance(found, dict)
    return found
