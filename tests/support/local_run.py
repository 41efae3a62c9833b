"""`scalingsweep run` with the stand-in worker, as a process that the runner's tests can kill.

Run as a program it is the command's `run` with another worker; imported it has the builders.
"""

import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import yaml

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS))  # for when this is run as a program

from scalingsweep import plan, resolve  # noqa: E402
from scalingsweep.api.storage import S3Location  # noqa: E402
from scalingsweep_cli import files  # noqa: E402
from scalingsweep_cli.local import journal, runner  # noqa: E402
from scalingsweep_cli.local import study as studies  # noqa: E402
from scalingsweep_cli.local.crew import Ended, Running  # noqa: E402
from scalingsweep_cli.local.interrupt import Interrupt  # noqa: E402
from support import manifests  # noqa: E402
from support.s3 import S3  # noqa: E402


def worker(folder: Path) -> tuple[str, ...]:
    """The stand-in's command for a study in a folder."""
    return (
        "/usr/bin/env",
        f"STANDIN={folder / 'acts.json'}",
        sys.executable,
        str(TESTS / "support" / "worker.py"),
    )


@dataclasses.dataclass(slots=True, kw_only=True)
class Study:
    """A tiny study in a folder of its own."""

    folder: Path

    @property
    def data(self) -> Path:
        return self.folder / ".scalingsweep"

    @property
    def journal(self) -> list[dict[str, Any]]:
        path = self.data / "sweeps" / "small" / "journal.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()]

    @property
    def did(self) -> list[str]:
        """Work that attempts were made at, in order, as `<work> <number> <halvings>`."""
        path = self.folder / "acts.json.did"
        return path.read_text().splitlines() if path.exists() else []

    def acts(self, **acts: list[str]) -> None:
        """What attempts do; `source`, `scratch` stand for the trials of these arms."""
        named = {
            work if work in {"prepare", "fit"} else f"{work}/27k/0": list(done)
            for work, done in acts.items()
        }
        (self.folder / "acts.json").write_text(json.dumps(named))

    def start(self, *options: str) -> subprocess.Popen[str]:
        """Begin a run."""
        return subprocess.Popen(
            [sys.executable, __file__, str(self.folder / "sweep.yaml"), *options],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *options: str) -> tuple[int, str, str]:
        """A run from its start to its end: status, stdout, stderr."""
        return finish(self.start(*options))

    def wait_for(self, found: Callable[[], Any], seconds: float = 40) -> Any:
        """The first true answer of `found`."""
        deadline = time.monotonic() + seconds
        while not (answer := found()):
            assert time.monotonic() < deadline, "it did not come to that"
            time.sleep(0.05)
        return answer

    def pid_of(self, work: str) -> int:
        """Process id of the worker at some work, once it works."""
        logs = self.data / "sweeps" / "small" / "logs"

        def found() -> int:
            for log in logs.glob(f"{work}*.log"):
                if match := re.search(r"working as (\d+)", log.read_text()):
                    return int(match[1])
            return 0

        return int(self.wait_for(found))


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Wait for a run's end: status, stdout, stderr."""
    try:
        out, err = process.communicate(timeout=90)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)
        out, err = process.communicate()
        raise AssertionError(f"it does not end:\n{out}\n{err}") from None
    return process.returncode, out, err


def study(folder: Path, **changes: Any) -> Study:
    """A study of two arms of one size, cpt from source, with one try and quick retries."""
    spec = manifests.small() | {
        "model": {"contextLength": 128, "sizes": ["27k"]},
        "arms": [
            {"name": "source", "corpus": "en", "budgets": {"tokens": ["250k"]}},
            {"name": "scratch", "corpus": "fr"},
            {"name": "cpt", "corpus": "fr", "init": {"arm": "source"}},
        ],
        "budgets": {"tokens": ["250k", "700k"]},
        "retry": {"limit": 1, "backoffSeconds": 0.2},
        "fit": {"identifiability": "Warn"},
    }
    (folder / "sweep.yaml").write_text(yaml.safe_dump(manifests.whole(spec | changes)))
    made = Study(folder=folder)
    made.acts()
    planned = plan.make(manifests.parsed(spec | changes))
    prepared = manifests.prepared()
    specs = resolve.trials(planned, prepared)
    cells = [(specs[trial.key].id, D) for trial, D in planned.observations]
    (folder / "prepared.json").write_text(
        json.dumps({"prepared": prepared.to_wire(), "cells": cells})
    )
    return made


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Open:
    """The tests' own S3 server as the storage of a run."""

    s3: S3

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    @property
    def location(self) -> S3Location:
        return self.s3.access.location("runner")

    @property
    def keys(self) -> dict[str, str]:
        return self.s3.access.keys()

    def mend(self) -> bool:
        return False


class Heard:
    """A reporter that remembers."""

    def __init__(self) -> None:
        self.ends: list[Ended] = []
        self.notes: list[str] = []
        self.most = 0
        """The most attempts that ran at one time."""

    def started(self, running: Running) -> None:
        pass

    def ended(self, ended: Ended) -> None:
        self.ends.append(ended)

    def note(self, words: str) -> None:
        self.notes.append(words)

    def show(self, view: runner.View) -> None:
        self.most = max(self.most, len(view.running))

    def said(self, work: str) -> list[tuple[int, str, str]]:
        """Number, class and message of every attempt at some work."""
        return [
            (end.number, str(end.outcome.klass), end.outcome.message)
            for end in self.ends
            if journal.name(end.order.work) == work
        ]


def here(made: Study, s3: S3, **changes: Any) -> tuple[runner.End, Heard]:
    """Run a study in this very process, on the tests' S3 server."""
    manifest = made.folder / "sweep.yaml"
    study = studies.make(files.sweep(manifest), manifest, embedded=False)
    settings: dict[str, Any] = {"worker": worker(made.folder), "grace": 1.0} | changes
    study = dataclasses.replace(study, **settings)
    study.folder.make()
    heard = Heard()
    with journal.Journal(study.folder.journal) as record:
        end = runner.Runner(
            study,
            record=record,
            storage=Open(s3=s3),
            reporter=heard,
            interrupt=Interrupt(),
        ).run()
    return end, heard


def main() -> int:
    """The command's main, with another worker and a shorter grace."""
    from scalingsweep_cli import main as command
    from scalingsweep_cli.local import session

    run = session.run

    def with_standin(study: studies.Study, **options: Any) -> int:
        return run(
            dataclasses.replace(study, worker=worker(study.folder.base), grace=3.0), **options
        )

    session.run = with_standin  # of this process alone
    return command.main(["run", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
