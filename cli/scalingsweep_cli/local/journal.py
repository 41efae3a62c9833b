"""What cannot be observed again, written down before the act that depends on it.

One JSON object a line, each synced to the disk: a run of the command began, an attempt started
(with its process), an attempt ended. The runner opens it under the folder's lock; a later run
learns from it when the sweep first started, which attempt numbers are taken, which attempts of a
dead runner were left open, and how much GPU time is used.
"""

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from scalingsweep.api.outcome import Class
from scalingsweep.errors import DataError, DiskFull, TransientError, is_full
from scalingsweep.plan import Key
from scalingsweep.world import Attempt, Job, Work


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One attempt."""

    run: int
    """Which run of the command made it, from 1."""
    work: str
    """What it was made at, as `name` writes it."""
    number: int
    pid: int
    """Of the launcher, which leads a session of its own."""
    born: float
    """The launcher's start time: with it a process id means one process only."""
    gpus: int
    attempt: Attempt


def name(work: Work) -> str:
    """How the journal and file names call a piece of work; no two share one."""
    if isinstance(work, Job):
        return str(work)
    budget = "" if work.budget is None else f"/{work.budget}"
    return f"{work.arm}/{work.size}/{work.seed}{budget}"


class Journal:
    """The file and what it says. Not shared between threads; the folder's lock keeps others out."""

    def __init__(self, path: Path) -> None:
        """Read what there is.

        Raises:
            DataError: a line is not what we write; the last one may be torn.
            TransientError: the file cannot be opened.
        """
        self.path = path
        self.first_start: float | None = None
        self.entries: dict[tuple[str, int], Entry] = {}
        self._run = 0
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._read()
            folder = os.open(path.parent, os.O_RDONLY)
            os.fsync(folder)
            os.close(folder)
        except OSError as error:
            raise self._unwritable(error) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)

    def begin(self, now: float) -> None:
        """A run of the command begins."""
        self._append({"event": "run", "time": now})

    def started(
        self, work: Work, *, now: float, pid: int, born: float, gpus: int = 0, fitted: str = ""
    ) -> Entry:
        """An attempt is about to start; its process exists and waits."""
        number = self.next_number(work)
        event = {"event": "start", "work": name(work), "number": number, "time": now}
        self._append(event | {"pid": pid, "born": born, "gpus": gpus, "fitted": fitted})
        return self.entries[name(work), number]

    def ended(
        self,
        entry: Entry,
        *,
        now: float,
        klass: Class,
        message: str,
        budgets: tuple[int, ...] = (),
        step: int | None = None,
    ) -> None:
        """An attempt has ended."""
        event = {"event": "end", "work": entry.work, "number": entry.number, "time": now}
        told = {"class": str(klass), "message": message, "budgets": list(budgets), "step": step}
        self._append(event | told)

    def next_number(self, work: Work) -> int:
        """Number of the next attempt at some work; it rises over all runs."""
        return 1 + max((n for w, n in self.entries if w == name(work)), default=0)

    def last_class(self, work: Work) -> Class | None:
        """How the last attempt of this run at some work ended; None where there was none."""
        attempts = self.of_this_run().get(work)
        return attempts[-1].klass if attempts else None

    def open_entries(self) -> list[Entry]:
        """Attempts without an end."""
        return [entry for entry in self.entries.values() if entry.attempt.running]

    def of_this_run(self) -> dict[Work, tuple[Attempt, ...]]:
        """The attempts that count for retries: a new run forgives earlier failures."""
        found: dict[Work, tuple[Attempt, ...]] = {}
        for entry in self.entries.values():
            if entry.run == self._run:
                work = work_of(entry)
                found[work] = (*found.get(work, ()), entry.attempt)
        return found

    def earlier_gpu_seconds(self) -> float:
        """GPU time of the attempts of earlier runs, whatever became of their trials."""
        return sum(
            ((entry.attempt.ended or entry.attempt.started) - entry.attempt.started) * entry.gpus
            for entry in self.entries.values()
            if entry.run != self._run
        )

    def _read(self) -> None:
        data = b""
        while chunk := os.read(self._file, 1 << 20):
            data += chunk
        whole = data[: data.rfind(b"\n") + 1]
        if len(whole) < len(data):  # a crash tore the last line: what it announced never happened
            os.ftruncate(self._file, len(whole))
        os.lseek(self._file, len(whole), os.SEEK_SET)
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                self._apply(json.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError):
                raise DataError(
                    f"{self.path}:{number}",
                    "is no record of ours: remove that line, or the file (results stay in S3)",
                ) from None

    def _append(self, event: dict[str, Any]) -> None:
        line = json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
        end = os.lseek(self._file, 0, os.SEEK_CUR)
        try:
            written = os.write(self._file, line)
            if written < len(line):
                os.write(self._file, line[written:])
            os.fsync(self._file)
        except OSError as error:
            os.ftruncate(self._file, end)
            os.lseek(self._file, end, os.SEEK_SET)
            raise self._unwritable(error) from None
        self._apply(event)

    def _apply(self, event: Mapping[str, Any]) -> None:
        match event["event"]:
            case "run":
                self._run += 1
                if self.first_start is None:
                    self.first_start = float(event["time"])
            case "start":
                self.entries[event["work"], event["number"]] = Entry(
                    run=self._run,
                    work=event["work"],
                    number=event["number"],
                    pid=int(event["pid"]),
                    born=float(event["born"]),
                    gpus=int(event["gpus"]),
                    attempt=Attempt(
                        started=float(event["time"]),
                        gpus=int(event["gpus"]),
                        fitted=str(event["fitted"]),
                    ),
                )
            case "end":
                at = event["work"], event["number"]
                entry = self.entries[at]
                ended = dataclasses.replace(
                    entry.attempt,
                    ended=float(event["time"]),
                    klass=Class(event["class"]),
                    message=event["message"],
                    budgets=tuple(event["budgets"]),
                    step=event.get("step"),
                )
                self.entries[at] = dataclasses.replace(entry, attempt=ended)
            case unknown:
                raise ValueError(unknown)

    def _unwritable(self, error: OSError) -> TransientError:
        if is_full(error):
            return DiskFull(self.path)
        return TransientError(
            f"{self.path}: cannot be written ({error.strerror}): mend that and run the same again; "
            "everything so far is kept"
        )


def work_of(entry: Entry) -> Work:
    """What an entry was made at."""
    if entry.work in set(Job):
        return Job(entry.work)
    arm, size, seed, *budget = entry.work.split("/")
    return Key(arm=arm, size=size, seed=int(seed), budget=int(budget[0]) if budget else None)
