"""A whole study whose storage stops, stalls, throttles and cuts connections: it only slows.

The command, its trainers and the S3 server are real; a TCP proxy stands between them.
"""

import contextlib
import itertools
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from scalingsweep_cli.local.storage import LEAST_BESIDE_BYTES, LEAST_FREE_BYTES
from support import chaos, disks, resign
from support.proxy import Fate, Proxy
from support.s3 import S3

SMALL: dict[str, Any] = {"sizes": 1, "arms": 2}


def _at(s3: S3, prefix: str, endpoint: str | None = None, bucket: str | None = None) -> Any:
    """`spec.storage` on the tests' server."""
    access = s3.access
    return {
        "s3": {
            "bucket": bucket or access.bucket,
            "prefix": prefix,
            "endpoint": endpoint or access.endpoint,
            "addressingStyle": "path",
        }
    }


pytestmark = pytest.mark.e2e  # minutes each


@pytest.fixture(scope="module")
def whole(
    tmp_path_factory: pytest.TempPathFactory, text: Path, s3: S3
) -> tuple[chaos.Study, chaos.Kept]:
    """The study undisturbed."""
    study = chaos.make(tmp_path_factory.mktemp("whole") / "study", text, **SMALL)
    assert study.run() == 0, study.said()
    return study, chaos.kept(study)


def _ill(proxy: Proxy, stop_seconds: float, over: threading.Event) -> None:
    """What befalls the storage while the study runs, for as long as it runs."""
    dropped = {Fate.CUT_REQUEST: 0.05, Fate.CUT_ANSWER: 0.05, Fate.LOSE_ANSWER: 0.05}
    for round_ in itertools.count():
        proxy.meddle(dropped)
        over.wait(4)
        proxy.meddle({Fate.BUSY: 0.7})
        over.wait(3)
        proxy.meddle(dropped)
        proxy.rate = 1e6
        over.wait(4)
        proxy.rate = None
        proxy.hold.clear()  # connections stand, and nothing answers
        over.wait(3)
        proxy.hold.set()
        if round_ == 1:
            proxy.stop()
            over.wait(stop_seconds)
            proxy.start()
        if over.is_set():
            return


@pytest.mark.parametrize("stop_seconds", [20, 60], ids="{}s".format)
def test_a_storage_that_is_ill_only_slows(
    s3: S3, tmp_path: Path, text: Path, whole: tuple[chaos.Study, chaos.Kept], stop_seconds: int
) -> None:
    prefix = f"ill-{stop_seconds}"
    with Proxy(s3.access.endpoint) as proxy:
        study = chaos.make(
            tmp_path / "study", text, **SMALL, storage=_at(s3, prefix, proxy.endpoint)
        )
        over = threading.Event()
        with ThreadPoolExecutor(1) as pool:
            trouble = pool.submit(_ill, proxy, stop_seconds, over)
            try:
                assert study.run(s3.access.keys()) == 0, study.said()
            finally:
                over.set()
            trouble.result()
    assert study.table == whole[0].table
    found = chaos.kept_in(s3.store(prefix))
    assert (found.ledgers, found.results) == (whole[1].ledgers, whole[1].results)
    assert (found.retrained, found.uploads) == ([], 0)
    ends = [event for event in study.journal if event["event"] == "end"]
    assert {end["class"] for end in ends if end["work"] != "prepare"} == {"Done"}, "none was lost"
    assert set(proxy.met) == set(Fate), "each fault must have been met"


def test_two_runners_on_one_manifest(
    s3: S3, tmp_path: Path, text: Path, whole: tuple[chaos.Study, chaos.Kept]
) -> None:
    """From two folders, so that no lock stands between them: their claims do."""
    storage = _at(s3, "shared")
    studies = [chaos.make(tmp_path / name, text, **SMALL, storage=storage) for name in "ab"]
    runs = [study.start(s3.access.keys()) for study in studies]
    for study, run in zip(studies, runs, strict=True):
        assert run.wait(timeout=500) == 0, study.said()
        assert study.table == whole[0].table
    found = chaos.kept_in(s3.store("shared"))
    assert (found.results, found.retrained) == (whole[1].results, [])


def test_a_storage_without_conditional_writes_is_refused(
    s3: S3, tmp_path: Path, text: Path
) -> None:
    with resign.without_conditions(s3) as endpoint:
        study = chaos.make(tmp_path / "study", text, **SMALL, storage=_at(s3, "bare", endpoint))
        assert study.run(s3.access.keys()) == 2
    assert f"error: spec.storage.s3.endpoint: {endpoint} lets a second conditional" in study.said()
    assert "use an S3 server that honours it" in study.said()
    assert list(s3.store("bare").list()) == []


def _await(study: chaos.Study, run: "subprocess.Popen[bytes]", words: str) -> None:
    deadline = time.monotonic() + 200
    while words not in study.said():
        assert time.monotonic() < deadline, study.said()
        assert run.poll() is None, study.said()
        time.sleep(0.05)


def test_a_bucket_that_is_deleted_is_named(s3: S3, tmp_path: Path, text: Path) -> None:
    client = s3.store()._client
    client.create_bucket(Bucket="doomed")
    storage = _at(s3, "", bucket="doomed")
    study = chaos.make(
        tmp_path / "study", text, **SMALL | {"budgets": {"tokens": ["8k", "64k"]}}, storage=storage
    )
    run = study.start(s3.access.keys())
    doomed = s3.store().beside("doomed", "", field="")
    while not any("/metrics/" in key or "/checkpoints/" in key for key in doomed.list("trials/")):
        assert run.poll() is None, study.said()  # a trial is at work once it has written
        time.sleep(0.05)
    while True:
        for key in list(doomed.list()):
            doomed.delete(key)
        with contextlib.suppress(client.exceptions.ClientError):  # a trainer may still write
            client.delete_bucket(Bucket="doomed")
            break
    assert run.wait(timeout=200) == 1
    assert "spec.storage.s3.bucket" in study.said()
    assert "has no bucket 'doomed'; create or correct it" in study.said()
    assert study.leftovers() == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 GB of its own."""
    with disks.small(tmp_path, "1g") as disk:
        yield disk


def test_a_disk_that_fills_ends_it_clearly_and_loses_nothing(
    small_disk: Path, text: Path, whole: tuple[chaos.Study, chaos.Kept]
) -> None:
    study = chaos.make(small_disk / "study", text, **SMALL)
    run = study.start()
    _await(study, run, "done   source/xs/0")
    ballast = disks.fill(small_disk, leave=LEAST_FREE_BYTES // 2)
    assert run.wait(timeout=120) == 1
    last = study.said().splitlines()[-1]
    assert last.startswith(f"error: {study.data}: its disk has ")
    assert last.endswith("free some and run the same again; everything so far is kept")
    assert study.leftovers() == []
    ballast.unlink()
    assert study.run() == 0, study.said()
    assert study.table == whole[0].table
    assert chaos.started_after_done(study) == []
    assert chaos.kept(study).results == whole[1].results


def test_a_disk_that_is_full_is_told_before_anything_starts(small_disk: Path, text: Path) -> None:
    study = chaos.make(small_disk / "study", text, **SMALL)
    disks.fill(small_disk, leave=LEAST_FREE_BYTES // 2)
    assert study.run() == 1
    assert "its disk has" in study.said().splitlines()[-1]
    assert [event["event"] for event in study.journal] == ["run"]


@pytest.mark.parametrize("leave", [0, LEAST_BESIDE_BYTES // 2])
def test_a_disk_that_fills_beside_a_given_bucket(
    s3: S3, small_disk: Path, text: Path, whole: tuple[chaos.Study, chaos.Kept], leave: int
) -> None:
    """Shards, checkpoints on their way and the journal have no room; what is in S3 is safe."""
    prefix = f"beside-{leave}"
    study = chaos.make(small_disk / "study", text, **SMALL, storage=_at(s3, prefix))
    run = study.start(s3.access.keys())
    _await(study, run, "done   source/xs/0")
    ballast = disks.fill(small_disk, leave=leave)
    assert run.wait(timeout=120) == 1
    ballast.unlink()
    assert study.leftovers() == []
    assert study.run(s3.access.keys()) == 0, study.said()
    assert study.table == whole[0].table
    assert chaos.started_after_done(study) == []
    found = chaos.kept_in(s3.store(prefix))
    assert (found.results, found.retrained) == (whole[1].results, [])
