"""One run of one contender in a process of its own: its step times, first step, memory, last loss.

Ours is the worker as users start it, with its claim, step records, checkpoints and evaluation, and
is timed by its own step records. The peers time themselves.
"""

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hack.bench import task
from hack.bench.task import Task

from scalingsweep.api.attempt import Attempt
from scalingsweep.store import Store

PEERS = Path(__file__).parent / "peers"
_LOOK_SECONDS = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one run took."""

    seconds: tuple[float, ...]
    """Of each step at a constant rate, from the end of the one before."""
    first: float
    """Seconds from the start of the process to the end of its first step."""
    peak: int
    """Bytes: the largest resident set."""
    loss: float
    """Nats per token after all those steps, on the next batch."""
    records: tuple[Mapping[str, Any], ...] = ()
    """Ours: all step records, trunk and decay, in order."""


def peer(script: str, recipe: Path, extra_path: Path | None = None) -> Run:
    """Run a script of `peers`."""
    answer = recipe.with_name(f"{script}.json")
    environment = _surroundings()
    if extra_path is not None:
        environment["PYTHONPATH"] = str(extra_path)
    began = time.time()
    command = [sys.executable, str(PEERS / f"{script}.py"), str(recipe), str(answer)]
    peak = _run(command, environment)
    said = json.loads(answer.read_text())
    return Run(
        seconds=tuple(said["seconds"]),
        first=said["first"] - began,
        peak=peak,
        loss=said["loss"],
    )


def ours(made: Task, store: Store, keys: Mapping[str, str], folder: Path) -> Run:
    """Run the worker on the task, under a new id."""
    spec = task.again(made)
    attempt = Attempt(
        sweep="bench",
        storage=store.location,
        cache=str(folder / "cache"),
        port=_free_port(),
    )
    environment = {
        **_surroundings(),
        **keys,
        "SCALINGSWEEP_TRIAL": json.dumps(spec.to_wire()),
        "SCALINGSWEEP_ATTEMPT": json.dumps(attempt.to_wire()),
        "SCALINGSWEEP_OUTCOME": str(folder / "outcome.json"),
    }
    watch = _Watch(attempt.port)
    peak = _run([sys.executable, "-m", "scalingsweep_trainer.main", "trial"], environment)
    first = watch.end()
    records = _records(store, spec.id)
    tokens = spec.step_tokens
    steps = [tokens / one["tokensPerSecond"] for one in records[: made.plan.steps]]
    return Run(
        seconds=tuple(steps),
        first=first,
        peak=peak,
        loss=float(records[made.plan.steps]["loss"]),
        records=tuple(records),
    )


def _run(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run to the end; the peak of its resident set in bytes."""
    with subprocess.Popen(
        command, env=dict(environment), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        assert process.stderr is not None
        said = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{said.decode()}")
    unit = 1 if sys.platform == "darwin" else 1024
    return usage.ru_maxrss * unit


def _surroundings() -> dict[str, str]:
    """This process's environment, without the path to the tests' helpers."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return {**kept, "OMP_NUM_THREADS": "1"}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _records(store: Store, trial: str) -> list[Mapping[str, Any]]:
    """All step records of a trial's only attempt, in the order of steps."""
    found = [
        json.loads(line)
        for key in store.list(f"trials/{trial}/g0001/metrics/")
        for line in store.get(key).splitlines()
    ]
    return sorted((one for one in found if "loss" in one), key=lambda one: int(one["step"]))


class _Watch:
    """Looks at /progress until a step is done, as the live table does."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/progress"
        self._began = time.perf_counter()
        self._first: float | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def end(self) -> float:
        self._over.set()
        self._thread.join()
        assert self._first is not None, "no step was seen"
        return self._first

    def _look(self) -> None:
        while not self._over.wait(_LOOK_SECONDS):
            with (
                contextlib.suppress(OSError, ValueError),
                urllib.request.urlopen(self._url, timeout=5) as answer,
            ):
                if json.load(answer)["step"] >= 1:
                    self._first = time.perf_counter() - self._began
                    return
