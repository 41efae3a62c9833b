"""A disk that fills while a worker uses it: its outcome names the place, and the next one goes on.

What a worker keeps on disk for a while are shards, checkpoints on their way, and text in prepare.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scalingsweep.api.attempt import Attempt
from scalingsweep.api.outcome import Class, Outcome
from scalingsweep.store import Store
from support import corpora, disks, manifests, s3, trials

MEND = "its disk is full: free some and run the same again; everything so far is kept"
PAGE = 4096
"""So much is left where Python looks whether a folder takes temporary files at all."""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with disks.small(tmp_path, "16m") as disk:
        yield disk


def test_shards_without_room(s3: s3.S3, store: Store, tmp_path: Path, disk: Path) -> None:
    spec = trials.spec(trials.corpus(store), (8,))
    (tmp_path / "cache").symlink_to(disk)
    ballast = disks.fill(disk)
    with trials.worker(s3, store, spec, tmp_path) as worker:
        outcome = worker.wait()
    assert outcome.klass is Class.INFRASTRUCTURE
    assert outcome.message == f"{tmp_path / 'cache' / 'corpora' / spec.corpus}: {MEND}"
    ballast.unlink()
    with trials.worker(s3, store, spec, tmp_path) as worker:
        assert worker.wait().budgets == spec.budgets


def test_a_checkpoint_without_room(
    s3: s3.S3, store: Store, tmp_path: Path, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = trials.spec(trials.corpus(store), (8, 16))
    monkeypatch.setenv("TMPDIR", str(disk))
    ballast = disks.fill(disk, leave=2 * PAGE)
    with trials.worker(s3, store, spec, tmp_path) as worker:
        outcome = worker.wait()
    assert (outcome.klass, outcome.message) == (Class.INFRASTRUCTURE, f"{disk}: {MEND}")
    assert list(disk.iterdir()) == [ballast], "what was begun is removed"
    ballast.unlink()
    with trials.worker(s3, store, spec, tmp_path) as worker:
        assert worker.wait().budgets == spec.budgets
    undisturbed = spec.model_copy(update={"id": "b" * 32})
    with trials.worker(s3, store, undisturbed, tmp_path) as worker:
        assert worker.wait().klass is Class.DONE
    assert trials.result(store, spec)["loss"] == trials.result(store, undisturbed)["loss"]


def test_text_without_room(s3: s3.S3, store: Store, tmp_path: Path, disk: Path) -> None:
    for name in ("en", "fr"):
        corpora.write_pages(tmp_path / "text" / name, name, 300)
    ballast = disks.fill(disk, leave=2 * PAGE)
    outcome = _prepare(s3, store, tmp_path, disk)
    assert (outcome.klass, outcome.message) == (Class.INFRASTRUCTURE, f"{disk}: {MEND}")
    assert list(disk.iterdir()) == [ballast]
    ballast.unlink()
    assert _prepare(s3, store, tmp_path, disk).klass is Class.DONE


def _prepare(s3: s3.S3, store: Store, base: Path, temporary: Path) -> Outcome:
    value = manifests.small()
    value["tokenizer"]["train"]["vocabSize"] = 300
    for corpus in value["corpora"]:
        corpus["maxEpochs"] = 100
    told = Attempt(sweep="test", storage=store.location, base=str(base))
    path = base / "outcome.json"
    path.unlink(missing_ok=True)
    environment = {
        **s3.environment(),
        "TMPDIR": str(temporary),
        "SCALINGSWEEP_SPEC": json.dumps(manifests.parsed(value).to_wire()),
        "SCALINGSWEEP_ATTEMPT": json.dumps(told.to_wire()),
        "SCALINGSWEEP_OUTCOME": str(path),
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "scalingsweep_trainer.main", "prepare"]
    subprocess.run(command, env=environment, check=False, timeout=120)
    return Outcome.model_validate_json(path.read_bytes())
