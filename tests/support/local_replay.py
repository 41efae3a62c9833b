"""A recorded trace lived through by the runner of one machine: `scalingsweep run`'s own loop.

Its journal, processes and outcome files are real. The clock is the trace's, and the workers are
processes that end when, and in the way that, those of the recorded study did.
"""

import dataclasses
import signal
import time
from pathlib import Path
from typing import Any, Self

import yaml

from scalingsweep.api.storage import S3Location
from scalingsweep_cli import files
from scalingsweep_cli.local import journal, runner
from scalingsweep_cli.local import machine as machines
from scalingsweep_cli.local import study as studies
from scalingsweep_cli.local.crew import Running
from scalingsweep_cli.local.interrupt import Interrupt
from support import replays
from support.local_run import Heard

_WORKER = """
trap '' TERM
mkfifo "$SCALINGSWEEP_OUTCOME.end" && read -r status < "$SCALINGSWEEP_OUTCOME.end"
case $status in -*) kill "$status" $$ ;; *) exit "$status" ;; esac
"""


def replay(trace: dict[str, Any], folder: Path) -> list[replays.Seen]:
    """What the runner of one machine sees, which has as many GPUs as the study uses at once."""
    manifest = folder / "sweep.yaml"
    manifest.write_text(yaml.safe_dump(trace["manifest"]))
    sweep = files.sweep(manifest)
    gpus = tuple(machines.Gpu(token=str(n), model=None) for n in range(2))
    study = dataclasses.replace(
        studies.make(sweep, manifest, embedded=True),
        worker=("/bin/sh", "-c", _WORKER),
        gpus=gpus,
        plan=studies.localise(sweep, gpus),
    )
    study.folder.make()
    with replays.heard() as ear, journal.Journal(study.folder.journal) as record:
        machine = _Machine(trace, ear)
        runner.Runner(
            study,
            record=record,
            storage=_Nowhere(),
            reporter=machine,
            interrupt=machine.interrupt,
            now=lambda: machine.now,
            sleep=machine.go_on,
        ).run()
    return ear.seen[: len(trace["points"])]


class _Machine(Heard):
    """The machine's clock, and the hands of fate on its processes."""

    def __init__(self, trace: dict[str, Any], ear: replays.Ear) -> None:
        super().__init__()
        self.now = replays.BEGAN
        self.interrupt = Interrupt()
        self._points = list(trace["points"])
        self._ear = ear
        self._running: dict[str, Running] = {}

    def started(self, running: Running) -> None:
        self._running[journal.name(running.work)] = running

    def go_on(self, seconds: float) -> None:
        """Between two looks the next thing happens; a runner that strays has come to its end."""
        del seconds
        point = self._points.pop(0)
        strays = self._ear.seen[-1].decision != point["decision"]
        if strays or not self._points:
            self.interrupt.number, self.interrupt.times = signal.SIGTERM, 2
            self._points = [point]
            return
        self.now = replays.BEGAN + self._points[0]["at"]
        for event in self._points[0]["events"]:
            _end(self._running.pop(event["work"]), event)


def _end(running: Running, event: dict[str, Any]) -> None:
    """A worker leaves its outcome and goes."""
    outcome = Path(running.launched.mark)
    ear = outcome.with_name(f"{outcome.name}.end")
    while not ear.is_fifo():
        time.sleep(0.01)
    if event["outcome"] is not None:
        outcome.write_text(event["outcome"])
    ear.write_text(f"{event['status']}\n")
    running.launched.process.wait(timeout=10)


class _Nowhere:
    """A storage that no worker writes to."""

    location = S3Location(bucket="none")
    keys: dict[str, str] = {}  # noqa: RUF012 - never written

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def mend(self) -> bool:
        return False
