"""SIGTERM to prepare and fit: they have nothing to save, leave at once, and lose nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path

from scalingsweep.api.attempt import Attempt
from scalingsweep.api.outcome import Class, Outcome
from scalingsweep.store import Store
from scalingsweep_trainer import drill
from support import corpora, s3

SPEC = {
    "corpora": [{"name": "en", "uri": "en", "format": "text", "validation": {"fraction": 0.3}}],
    "tokenizer": {"train": {"vocabSize": 300, "corpora": ["en"]}},
    "model": {
        "contextLength": 16,
        "sizes": [{"name": "s", "hiddenSize": 8, "intermediateSize": 16, "layers": 1, "heads": 2}],
    },
    "arms": [{"name": "scratch", "corpus": "en"}],
    "budgets": {"tokens": ["1k"]},
    "training": {
        "batchTokens": {"value": 32},
        "learningRate": {"value": 0.005},
        "schedule": {"warmup": {"tokens": 320}},
        "precision": "fp32",
    },
    "fit": {"identifiability": "Warn"},
}


def test_a_stop_amid_prepare_and_fit_has_its_class(s3: s3.S3, store: Store, tmp_path: Path) -> None:
    corpora.write_pages(tmp_path / "en", "en", 30)
    stopped = _run("prepare", s3, store, tmp_path, fault="term@prepare")
    assert stopped.klass is Class.PREEMPTED
    written = set(store.list())
    done = _run("prepare", s3, store, tmp_path)
    assert done.klass is Class.DONE, done.message
    assert done.prepared is not None
    assert set(store.list()) == written, "what it had done was not done again"
    prepared = json.dumps(done.prepared.to_wire())
    stopped = _run("fit", s3, store, tmp_path, fault="term@fit", SCALINGSWEEP_PREPARED=prepared)
    assert stopped.klass is Class.PREEMPTED
    assert not list(store.list("sweeps/"))


def _run(
    command: str, s3: s3.S3, store: Store, folder: Path, *, fault: str = "", **more: str
) -> Outcome:
    path = folder / f"outcome-{command}-{fault}.json"
    attempt = Attempt(sweep="test", storage=store.location, base=str(folder))
    environment = {
        **s3.environment(),
        **more,
        "OMP_NUM_THREADS": "1",
        "SCALINGSWEEP_SPEC": json.dumps(SPEC),
        "SCALINGSWEEP_ATTEMPT": json.dumps(attempt.to_wire()),
        "SCALINGSWEEP_OUTCOME": str(path),
        **({drill.VARIABLE: fault} if fault else {}),
    }
    done = subprocess.run(
        [sys.executable, "-m", "scalingsweep_trainer.main", command],
        env={**os.environ, **environment},
        timeout=120,
    )
    outcome = Outcome.model_validate_json(path.read_bytes())
    assert (done.returncode == 7) == (outcome.klass is Class.PREEMPTED)
    return outcome
