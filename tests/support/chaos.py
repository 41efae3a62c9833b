"""A tiny real study, killed at chosen moments, and what must be true of it afterwards."""

import contextlib
import dataclasses
import json
import os
import random
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import torch
import yaml

from scalingsweep.store import Store
from scalingsweep_cli.local import processes, s3server
from scalingsweep_trainer.trial import checkpoint, itinerary, process, source
from scalingsweep_trainer.trial.ranks import alone
from support import texts

NAME = "tiny"
SIZES = [
    {"name": "xs", "hiddenSize": 8, "intermediateSize": 16, "layers": 1, "heads": 2},
    {"name": "s", "hiddenSize": 16, "intermediateSize": 32, "layers": 1, "heads": 2},
]


def manifest(*, sizes: int = 2, arms: int = 3, **changes: Any) -> dict[str, Any]:
    """A manifest whose trials have some thousands of parameters, and save all the time."""
    common = {
        "format": "text",
        "groupBy": "file",
        "validation": {"fraction": 0.1, "maxTokens": 2000},
    }
    replay = {"corpus": "en", "ratio": 0.25}
    spec = {
        "corpora": [{"name": name, "uri": name, **common} for name in ("en", "py")],
        "tokenizer": {"train": {"vocabSize": 300, "corpora": ["en", "py"]}},
        "model": {"contextLength": 32, "sizes": SIZES[:sizes]},
        "arms": [
            {"name": "source", "corpus": "en", "budgets": {"tokens": ["16k"]}},
            {"name": "cpt", "corpus": "py", "init": {"arm": "source"}, "replay": replay},
            {"name": "scratch", "corpus": "py"},
        ][:arms],
        "budgets": {"tokens": ["8k", "16k"]},
        "training": {
            "batchTokens": {"value": 128},
            "learningRate": {"value": 0.005},
            "schedule": {"warmup": {"tokens": 1280}},
            "precision": "fp32",
        },
        "parallelTrialCount": 2,
        "retry": {"limit": 10, "backoffSeconds": 0.1},
        "checkpoints": {"everyMinutes": 0.001},
        "fit": {"bootstrap": 100, "identifiability": "Warn"},
    }
    return {
        "apiVersion": "scalingsweep.dev/v1alpha1",
        "kind": "ScalingSweep",
        "metadata": {"name": NAME},
        "spec": spec | changes,
    }


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """The study in a folder of its own."""

    folder: Path

    @property
    def data(self) -> Path:
        return self.folder / ".scalingsweep"

    @property
    def home(self) -> Path:
        return self.data / "sweeps" / NAME

    @property
    def journal(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.home / "journal.jsonl").read_text().splitlines()]

    @property
    def table(self) -> bytes:
        return (self.home / "observations.csv").read_bytes()

    def start(self, environment: Mapping[str, str] | None = None) -> "subprocess.Popen[bytes]":
        """Begin the command; what it prints goes into `run.log`."""
        with (self.folder / "run.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "scalingsweep_cli.main", "run", "sweep.yaml"],
                cwd=self.folder,
                env={**os.environ, "OMP_NUM_THREADS": "1", **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def run(self, environment: Mapping[str, str] | None = None, *, seconds: float = 1500) -> int:
        """The command from its start to its end; its exit status."""
        return self.start(environment).wait(timeout=seconds)

    def said(self) -> str:
        """What all runs printed."""
        return (self.folder / "run.log").read_text(errors="replace")

    @contextlib.contextmanager
    def store(self) -> Iterator[Store]:
        """Its objects, in its own embedded server."""
        with s3server.S3Server(self.data / "s3") as server:
            yield Store(server.access.location("local"), keys=server.access.keys())

    def leftovers(self) -> list[str]:
        """Commands of processes of any kind that belong to the folder."""
        found = []
        for one in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                told = "\n".join([*one.cmdline(), *one.environ().values()])
                if str(self.data) in told and one.status() != psutil.STATUS_ZOMBIE:
                    found.append(" ".join(one.cmdline())[:200])
        return found


def make(folder: Path, text: Path, **changes: Any) -> Study:
    """The study in a folder, over a copy of the text."""
    for name in ("en", "py"):
        shutil.copytree(text / name, folder / name)
    (folder / "sweep.yaml").write_text(yaml.safe_dump(manifest(**changes)))
    return Study(folder=folder)


def some_text(folder: Path, files: int = 60) -> Path:
    """A little of the real text: prepare is killed as often as the rest and must not be slow."""
    texts.write(folder)
    for name in ("en", "py"):
        for path in sorted((folder / name).iterdir())[files:]:
            path.unlink()
    return folder


MOMENTS = ("runner", "trial", "trial", "save", "save", "branch", "weed", "prepare", "fit")
"""What is killed: the runner, a trainer anywhere, amid a save, in a branch, the S3 server, …"""


class Killer:
    """Kills with SIGKILL at random moments, by a seed."""

    def __init__(self, study: Study, seed: int) -> None:
        self.study = study
        self.kills: list[str] = []
        """Moments in order."""
        self._random = random.Random(seed)
        self._ports: dict[int, int] = {}

    def strike(self, runner: "subprocess.Popen[bytes]", moment: str | None = None) -> None:
        """Wait for a moment of a run, a random one if none is given, and kill; or see it end."""
        # a random moment that does not come is not waited for long
        deadline = time.monotonic() + (4 if moment is None else 1500)
        moment = moment or self._random.choice(MOMENTS)
        time.sleep(self._random.uniform(0, 1.5))
        delay = self._random.uniform(0, 2 if moment in {"prepare", "fit", "trial"} else 0.02)
        while runner.poll() is None and time.monotonic() < deadline:
            if victim := self._victim(moment, runner):
                time.sleep(delay)
                with contextlib.suppress(psutil.Error):
                    if victim.is_running() and runner.poll() is None:
                        victim.kill()
                        self.kills.append(moment)
                        with (self.study.folder / "kills.log").open("a") as log:
                            log.write(f"{time.time():.3f} {moment} {victim.pid}\n")
                        if moment == "runner":
                            runner.wait()
                return
            time.sleep(0.003)

    def _victim(self, moment: str, runner: "subprocess.Popen[bytes]") -> psutil.Process | None:
        with contextlib.suppress(psutil.Error, OSError, ValueError):
            if moment == "runner":
                return psutil.Process(runner.pid)
            if moment == "weed":
                record = json.loads((self.study.data / "s3" / "server.json").read_text())
                return psutil.Process(record["pid"]) if record["pid"] else None
            if moment in {"prepare", "fit"}:
                return self._at(moment)
            if moment == "save":
                return self._saving()
            trials = [p for p in self._workers() if "trial" in p.cmdline()]
            if moment == "branch":
                trials = [
                    process for process in trials if self._branch(process) not in {"", "trunk"}
                ]
            return self._random.choice(trials) if trials else None
        return None

    def _workers(self) -> list[psutil.Process]:
        outcomes = str(self.study.home / "outcomes")
        found = []
        for one in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if one.environ().get(processes.MARK, "").startswith(outcomes):
                    found.append(one)
        return found

    def _at(self, work: str) -> psutil.Process | None:
        return next((p for p in self._workers() if work in p.cmdline()), None)

    def _saving(self) -> psutil.Process | None:
        """A trainer that has a half-written checkpoint in its folder of temporary files."""
        for shard in (self.study.home / "tmp").glob("*/*/*.distcp"):
            scratch = shard.parent.parent
            for one in self._workers():
                if one.environ().get("TMPDIR") == str(scratch):
                    return one
        return None

    def _branch(self, process: psutil.Process) -> str:
        """The branch that a trainer says it is in."""
        with contextlib.suppress(OSError):
            port = json.loads(process.environ()["SCALINGSWEEP_ATTEMPT"])["port"]
            url = f"http://127.0.0.1:{port}/progress"
            with urllib.request.urlopen(url, timeout=1) as answer:
                return str(json.load(answer)["branch"])
        return ""


def under_fire(study: Study, *, seed: int, kills: int) -> Killer:
    """Run the command again and again with that many kills and one more; then in peace."""
    killer = Killer(study, seed)
    finished = False
    while len(killer.kills) < kills and not finished:
        runner = study.start()
        while runner.poll() is None and len(killer.kills) < kills:
            killer.strike(runner)
        with contextlib.suppress(subprocess.TimeoutExpired):
            finished = runner.wait(timeout=1500) == 0
    runner = study.start()
    killer.strike(runner, "fit")  # which the others may never have let it come to
    runner.wait(timeout=1500)
    for _ in range(3):
        if study.run() == 0:
            return killer
    raise AssertionError(study.said()[-3000:])


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What S3 holds of a finished study."""

    ledgers: dict[tuple[str, str], str]
    """(trial, D) → digest of all sequences that its model was trained on."""
    results: dict[str, bytes]
    """Result keys and their bytes."""
    retrained: list[str]
    """Generations that trained although they were claimed when the trial was finished."""
    uploads: int
    """Uploads in parts that were never ended."""


def kept(study: Study) -> Kept:
    """Look into the study's embedded storage. Ends its open uploads."""
    with study.store() as store:
        return kept_in(store)


def kept_in(store: Store) -> Kept:
    """Look into a study's storage. Ends its open uploads."""
    process.settle(threads=1)
    trials = sorted(store.folders("trials/"))
    return Kept(
        ledgers={place: text for trial in trials for place, text in _ledgers(store, trial)},
        results={key: store.get(key) for key in store.list("trials/") if "/results/" in key},
        retrained=[name for trial in trials for name in _retrained(store, trial)],
        uploads=store.abort_multipart(""),
    )


def _ledgers(store: Store, trial: str) -> Iterator[tuple[tuple[str, str], str]]:
    spec = source.read_spec(store, trial)
    saved = checkpoint.found(store, trial)
    for branch in itinerary.branches(spec):
        end = itinerary.decayed(branch, saved)
        assert end is not None, f"{trial} has no model of {branch.name} tokens"
        into = {"ledger": torch.zeros(64, dtype=torch.uint8)}
        checkpoint.load(store, trial, end, into, alone("cpu"))
        yield (trial, branch.name), bytes(into["ledger"].tolist()).decode()


def _retrained(store: Store, trial: str) -> Iterator[str]:
    times = _times(store, f"trials/{trial}/")
    finished = max(at for key, at in times.items() if "/results/" in key)
    for key, at in times.items():
        if (claim := re.search(r"/claims/(\d+)$", key)) and at > finished:
            metrics = [key for key in times if f"/g{claim[1]}/metrics/" in key]
            if any(b'"loss"' in store.get(key) for key in metrics):
                yield f"{trial} g{claim[1]}"


def _times(store: Store, prefix: str) -> dict[str, float]:
    return {
        found["Key"].removeprefix(store._root): found["LastModified"].timestamp()
        for page in store._pages(prefix, {})
        for found in page.get("Contents", ())
    }


def started_after_done(study: Study) -> list[str]:
    """Trials that were started although the journal said that they were done."""
    done: set[str] = set()
    again = []
    for event in study.journal:
        if event["event"] == "end" and event["class"] == "Done" and "/" in event["work"]:
            done.add(event["work"])
        if event["event"] == "start" and event["work"] in done:
            again.append(event["work"])
    return again
