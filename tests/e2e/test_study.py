"""A whole study from the manifest to the report, with the real command, S3 server and trainers."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from scalingsweep import observations
from scalingsweep.store import Store
from scalingsweep_cli.local import s3server
from support import texts

RECOMPUTE = Path(__file__).parents[1] / "support" / "recompute.py"
SIZES = [
    {"name": "xs", "hiddenSize": 8, "intermediateSize": 32, "layers": 1, "heads": 2},
    {"name": "s", "hiddenSize": 16, "intermediateSize": 64, "layers": 1, "heads": 2},
    {"name": "m", "hiddenSize": 32, "intermediateSize": 128, "layers": 1, "heads": 2},
]


def manifest(**changes: Any) -> dict[str, Any]:
    validation = {"fraction": 0.1, "maxTokens": 3000}
    common = {"format": "text", "groupBy": "file", "validation": validation}
    spec = {
        "corpora": [{"name": name, "uri": name, **common} for name in ("en", "py")],
        "tokenizer": {"train": {"vocabSize": 300, "corpora": ["en", "py"]}},
        "model": {"contextLength": 32, "sizes": SIZES[:2]},
        "arms": [
            {"name": "source", "corpus": "en", "budgets": {"tokens": ["25k"]}},
            {"name": "scratch", "corpus": "py"},
            {"name": "cpt", "corpus": "py", "init": {"arm": "source"}},
            {
                "name": "replay",
                "corpus": "py",
                "init": {"arm": "source"},
                "replay": {"corpus": "en", "ratio": 0.25},
            },
        ],
        "budgets": {"tokens": ["12k", "25k"]},
        "training": {
            "batchTokens": {"value": 256},
            "learningRate": {"value": 0.005},
            "schedule": {"warmup": {"tokens": 2560}},
            "precision": "fp32",
        },
        "parallelTrialCount": 2,
        "retry": {"limit": 0},
        "fit": {"bootstrap": 100, "identifiability": "Warn"},
    }
    return {
        "apiVersion": "scalingsweep.dev/v1alpha1",
        "kind": "ScalingSweep",
        "metadata": {"name": "tiny"},
        "spec": spec | changes,
    }


def command(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "scalingsweep_cli.main", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def run(folder: Path, **changes: Any) -> subprocess.CompletedProcess[str]:
    (folder / "sweep.yaml").write_text(yaml.safe_dump(manifest(**changes)))
    done = command(folder, "run", "sweep.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def table(folder: Path) -> str:
    return (folder / ".scalingsweep/sweeps/tiny/observations.csv").read_text()


def splits(folder: Path) -> dict[str, Path]:
    """Corpus → a folder with the shards of its held-out split, downloaded from the study's S3."""
    outcomes = sorted((folder / ".scalingsweep/sweeps/tiny/outcomes").glob("prepare*"))
    prepared = json.loads(outcomes[-1].read_text())["prepared"]
    made = {}
    with s3server.S3Server(folder / ".scalingsweep/s3") as server:
        store = Store(server.access.location("local"), keys=server.access.keys())
        for corpus in prepared["corpora"]:
            target = folder / "splits" / corpus["name"]
            target.mkdir(parents=True, exist_ok=True)
            for key in list(store.list(f"validation/{corpus['validation']}/")):
                store.download_file(key, target / Path(key).name)
            made[corpus["name"]] = target
    return made


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the study has been run once."""
    folder = texts.write(tmp_path_factory.mktemp("study"))
    run(folder)
    return folder


def test_every_planned_observation_is_there(study: Path) -> None:
    rows, corpora = observations.from_csv(table(study), "observations.csv")
    assert corpora == ("en", "py")
    assert len(rows) == 2 * (1 + 3 * 2)
    assert all(0 < row["loss_py"] < 10 for row in rows)


def test_the_fit_and_the_report_are_there(study: Path) -> None:
    fits = json.loads((study / ".scalingsweep/sweeps/tiny/fit.json").read_text())
    assert fits["missing"] == []
    assert {fit["law"] for fit in fits["fits"]} <= {"chinchilla", "extended"}
    page = (study / ".scalingsweep/sweeps/tiny/report.html").read_text()
    assert "<svg" in page


def test_an_exported_checkpoint_gives_its_losses_without_us(study: Path) -> None:
    rows, _ = observations.from_csv(table(study), "observations.csv")
    row = next(row for row in rows if row["arm"] == "cpt" and row["size"] == "s")
    target = study / "exported"
    done = command(
        study, "export", "sweep.yaml", "--trial", "cpt/s", "--tokens", str(row["D"]), str(target)
    )
    assert done.returncode == 0, done.stderr
    for corpus, split in splits(study).items():
        found = subprocess.run(
            [sys.executable, RECOMPUTE, target, split],
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
        assert float(found.stdout) == pytest.approx(row[f"loss_{corpus}"], abs=1e-4)


def test_running_again_trains_nothing_and_changes_no_byte(study: Path) -> None:
    before = hashlib.sha256(table(study).encode()).hexdigest()
    journal = study / ".scalingsweep/sweeps/tiny/journal.jsonl"
    attempts = journal.read_text().count('"scratch')
    run(study)
    assert hashlib.sha256(table(study).encode()).hexdigest() == before
    assert journal.read_text().count('"scratch') == attempts


def test_a_new_budget_and_a_new_size_leave_the_old_rows_as_they_are(study: Path) -> None:
    before = table(study).splitlines()
    run(
        study,
        budgets={"tokens": ["12k", "18k", "25k"]},
        model={"contextLength": 32, "sizes": SIZES},
    )
    after = table(study).splitlines()
    assert len(after) == 1 + 3 * (1 + 3 * 3)
    assert [line for line in after if line in before] == before
