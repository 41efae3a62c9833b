"""An attempt that is stopped or cut off, is replaced, and comes back: it changes nothing."""

import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from scalingsweep.api.outcome import Class
from scalingsweep.store import Store
from scalingsweep_cli.local import processes
from scalingsweep_trainer.trial import checkpoint, claim, layout
from support import trials
from support.proxy import Proxy
from support.s3 import S3


@pytest.fixture(autouse=True)
def keys(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in s3.access.keys().items():
        monkeypatch.setenv(name, value)


def _read_by_successors(store: Store, trial: str) -> dict[str, bytes]:
    """Objects with their bytes, but for what only people read: step records, and the word that an
    attempt is alive. Of checkpoints those that are complete."""
    complete = {layout.checkpoint(trial, one) for one in checkpoint.found(store, trial)}
    return {
        key: store.get(key)
        for key in store.list(layout.root(trial))
        if "/metrics/" not in key
        and not key.endswith("/alive")
        and ("/checkpoints/" not in key or key.rpartition("/")[0] + "/" in complete)
    }


def _await_stop(pid: int) -> None:
    deadline = time.monotonic() + 90
    while psutil.Process(pid).status() != psutil.STATUS_STOPPED:
        assert time.monotonic() < deadline, "it never came to that point"
        time.sleep(0.02)


@pytest.mark.parametrize("point", ["claim", "save:", "commit:", "results"])
def test_a_frozen_attempt_changes_nothing_when_it_thaws(
    s3: S3, store: Store, tmp_path: Path, point: str
) -> None:
    """It sleeps between its last look at the claim and the write that completes a checkpoint, …"""
    corpus = trials.corpus(store)
    spec = trials.spec(corpus, (30, 60))
    fault = f"freeze@{point}30" if point.endswith(":") else f"freeze@{point}"
    with trials.worker(s3, store, spec, tmp_path, fault=fault, keep_last=1) as frozen:
        _await_stop(frozen.process.pid)
        asked = trials.spec(corpus, (30, 50, 60))  # the successor knows of a budget more
        assert trials.train(store, asked, tmp_path).generation == 2
        before = _read_by_successors(store, spec.id)
        os.kill(frozen.process.pid, signal.SIGCONT)
        outcome = frozen.wait()
        assert outcome.klass in {Class.SUPERSEDED, Class.DONE}
    after = _read_by_successors(store, spec.id)
    if point == "claim":  # it had not yet told its budgets, which are fewer
        before.pop(layout.spec(spec.id))
        after.pop(layout.spec(spec.id))
    assert after == before
    assert trials.train(store, asked, tmp_path).step == 0, "a third one finds all done"
    whole = trials.spec(corpus, (30, 50, 60), id="b" * 32)
    trials.train(store, whole, tmp_path)
    for tokens in whole.budgets:
        assert (
            trials.result(store, spec, tokens)["loss"]
            == trials.result(store, whole, tokens)["loss"]
        )


@pytest.mark.e2e
@pytest.mark.parametrize("seed", range(6))
def test_stopped_anywhere(s3: S3, store: Store, tmp_path: Path, seed: int) -> None:
    spec = trials.spec(trials.corpus(store), (400,))
    pause = random.Random(seed).uniform(0, 1.5)
    with trials.worker(s3, store, spec, tmp_path, checkpoint_minutes=1e-6, keep_last=1) as first:
        first.await_object(store, layout.claim(spec.id, 1))
        time.sleep(pause)
        os.kill(first.process.pid, signal.SIGSTOP)
        assert trials.train(store, spec, tmp_path, checkpoint_minutes=1e-6).generation == 2
        before = _read_by_successors(store, spec.id)
        os.kill(first.process.pid, signal.SIGCONT)
        assert first.wait().klass in {Class.SUPERSEDED, Class.DONE}
    assert _read_by_successors(store, spec.id) == before


LARGE = trials.SHAPE.model_copy(update={"hidden_size": 256, "intermediate_size": 1024, "layers": 3})
"""38 MB with its moments: more than one part of an upload."""


def test_an_upload_that_a_kill_left_open_is_ended(
    s3: S3, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = trials.spec(trials.corpus(store), (4,), shape=LARGE)
    with Proxy(s3.access.endpoint) as proxy:
        slow = Store(store.location.model_copy(update={"endpoint": proxy.endpoint}))
        proxy.rate = 4e6
        with trials.worker(s3, slow, spec, tmp_path) as killed:
            _await_upload(store)
            killed.process.kill()
            killed.process.wait()
        proxy.rate = None
        assert _uploads(store) == 1
        claim.take(store, spec.id)
        checkpoint.settle(store, spec.id, 2)
        assert _uploads(store) == 0
    assert trials.train(store, spec, tmp_path).generation == 3


def _uploads(store: Store) -> int:
    found = store._client.list_multipart_uploads(
        Bucket=store.location.bucket, Prefix=store.location.prefix
    )
    return len(found.get("Uploads", ()))


def _await_upload(store: Store) -> None:
    deadline = time.monotonic() + 90
    while not _uploads(store):
        assert time.monotonic() < deadline, "it never came to that point"
        time.sleep(0.05)


def test_a_buried_checkpoint_stays_incomplete(store: Store, tmp_path: Path) -> None:
    """A second successor neither resumes from it nor digs it up."""
    spec = trials.spec(trials.corpus(store), (20,))
    torn = f"trials/{spec.id}/g0001/checkpoints/trunk/step-000000012/"
    claim.take(store, spec.id)
    store.put(torn + "__0_0.distcp", b"half a file")
    assert trials.train(store, spec, tmp_path).generation == 2
    assert not store.put_if_absent(torn + layout.METADATA, b"from the grave")
    assert not store.exists(torn + "__0_0.distcp")
    assert all(one.generation == 2 for one in checkpoint.found(store, spec.id))
    assert trials.train(store, spec, tmp_path).generation == 3


@pytest.mark.e2e
def test_one_that_yields_waits_for_the_other(
    s3: S3, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two control planes with the same trial would otherwise supersede each other for ever."""
    spec = trials.spec(trials.corpus(store), (3000,))
    with trials.worker(s3, store, spec, tmp_path) as first:
        first.await_object(store, layout.alive(spec.id, 1))
        with trials.worker(s3, store, spec, tmp_path, yields=True) as second:
            assert first.wait().klass is Class.DONE
            assert second.wait().klass is Class.DONE
    assert trials.losses(store, spec.id, generation=2) == {}


def test_one_that_yields_does_not_wait_for_the_dead(store: Store) -> None:
    trial = "a" * 32
    claim.await_silence(store, trial)
    claim.take(store, trial)
    store.put(layout.alive(trial, 1), b"a last word")
    began = time.monotonic()
    claim.await_silence(store, trial, silent=1.0)
    assert 1 <= time.monotonic() - began < 5


@contextmanager
def _clean(mark: Path) -> Iterator[None]:
    try:
        yield
    finally:
        processes.kill_all(str(mark))


def _kin(worker: trials.Worker, word: str) -> list[psutil.Process]:
    """Processes that a worker started, which run a module; torchrun is told the ranks' too."""
    family = psutil.Process(worker.process.pid).children(recursive=True)
    return [one for one in family if f" -m {word} " in f"{' '.join(one.cmdline())} "]


@pytest.mark.e2e
def test_ranks_without_a_torchrun_leave_when_a_successor_claims(
    s3: S3, store: Store, tmp_path: Path
) -> None:
    spec = trials.spec(trials.corpus(store), (100_000,))
    with trials.worker(s3, store, spec, tmp_path, processes=2) as one, _clean(one.outcome_path):
        one.await_object(store, layout.claim(spec.id, 1))
        ranks = _kin(one, "scalingsweep_trainer.rank")
        assert len(ranks) == 2
        _kin(one, "torch.distributed.run")[0].kill()
        assert one.wait().klass is Class.INFRASTRUCTURE
        assert claim.take(store, spec.id).generation == 2
        _, alive = psutil.wait_procs(ranks, timeout=60)
        assert alive == []


@pytest.mark.e2e
@pytest.mark.parametrize("victim", ["torch.distributed.run", "scalingsweep_trainer.rank"])
def test_two_ranks_are_killed_and_finish_as_if_nothing_had_been(
    s3: S3, store: Store, tmp_path: Path, victim: str
) -> None:
    corpus = trials.corpus(store)
    spec, whole = trials.spec(corpus, (400,)), trials.spec(corpus, (400,), id="b" * 32)
    with trials.worker(s3, store, whole, tmp_path, processes=2) as undisturbed:
        assert undisturbed.wait().klass is Class.DONE
    draw = random.Random(victim)
    for generation in (1, 2, 3):
        with (
            trials.worker(
                s3, store, spec, tmp_path, processes=2, checkpoint_minutes=1e-6
            ) as killed,
            _clean(killed.outcome_path),
        ):
            killed.await_object(store, layout.claim(spec.id, generation))
            time.sleep(draw.uniform(0, 2))
            draw.choice(_kin(killed, victim)).kill()
            assert killed.wait().klass is Class.INFRASTRUCTURE
    with trials.worker(s3, store, spec, tmp_path, processes=2) as last:
        assert last.wait().klass is Class.DONE
    assert trials.ledger(store, spec) == trials.ledger(store, whole)
    assert trials.result(store, spec)["loss"] == trials.result(store, whole)["loss"]
