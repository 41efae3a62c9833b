"""What is kept of a study that ran on this machine: found by its manifest, opened to be read.

`results`, `report` and `export` look here. Nothing of it starts a trial or prepares text: ids come
from what the last run's prepare answered, results from storage.
"""

import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from scalingsweep import observations, resolve
from scalingsweep.api import result
from scalingsweep.api.outcome import Class, Outcome
from scalingsweep.api.prepared import Prepared
from scalingsweep.api.storage import S3Location
from scalingsweep.api.trial import TrialSpec
from scalingsweep.errors import DataError, FitError, SpecError, TransientError
from scalingsweep.plan import Key
from scalingsweep.store import Store
from scalingsweep.world import Job
from scalingsweep_cli import files
from scalingsweep_cli.local import applied, ending, journal, orders, s3server, storage
from scalingsweep_cli.local.folder import Folder
from scalingsweep_cli.local.orders import Order
from scalingsweep_cli.local.study import Study, localise

_LOG_LINES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One study."""

    study: Study
    prepared: Prepared
    specs: Mapping[Key, TrialSpec]
    """Of every planned trial, with its id."""

    @property
    def address(self) -> str:
        """The keys of its results begin so."""
        metadata = self.study.sweep.metadata
        return f"sweeps/{metadata.namespace}/{metadata.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Open:
    """A study with its storage."""

    kept: Kept
    location: S3Location
    keys: Mapping[str, str]
    """Credentials."""

    @property
    def store(self) -> Store:
        """Its objects."""
        return Store(self.location, keys=self.keys)

    def rows(self) -> tuple[list[observations.Row], list[str]]:
        """The observations so far, and what is missing, in words."""
        store = self.store
        there = {
            spec.id: set(store.list(f"trials/{spec.id}/results/"))
            for spec in self.kept.specs.values()
        }

        def find(trial: str, tokens: int, validation: str) -> result.Result | None:
            key = result.key(trial, tokens, validation)
            return (
                result.Result.from_wire(store.get_json(key), key) if key in there[trial] else None
            )

        study = self.kept.study
        return observations.collect(study.plan, self.kept.prepared, self.kept.specs, find)

    def work(self, command: str, variables: Mapping[str, str]) -> Outcome:
        """Run the worker once, here and now, and wait for it.

        Raises:
            SpecError: what the worker says is to be mended.
            TransientError: it failed otherwise; the end of its log is in the message.
        """
        study = self.kept.study
        order = Order(work=Job.FIT, command=command, variables=variables)
        attempt = orders.attempt(order, study, number=1, location=self.location, gpus=(), port=0)
        with tempfile.TemporaryDirectory(prefix="scalingsweep-") as made:
            told, log = Path(made) / "outcome.json", Path(made) / "log"
            environment = orders.environment(order, attempt, keys=self.keys, gpus=())
            with log.open("wb") as output:
                done = subprocess.run(
                    [*study.worker, command],
                    env={**environment, "SCALINGSWEEP_OUTCOME": str(told)},
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    check=False,
                )
            outcome = ending.read(told)
            words = " / ".join(log.read_text(errors="replace").splitlines()[-_LOG_LINES:])
        return _checked(outcome, command, done.returncode, words)


def find(manifest: Path, *, embedded: bool) -> Kept:
    """The study of a manifest that was run from where it lies.

    Args:
        manifest: the file.
        embedded: whether it was run with --embedded.

    Raises:
        SpecError: it was not, or not as it is now.
    """
    sweep = files.sweep(manifest)
    folder = Folder.beside(manifest, sweep.metadata.name)
    found = prepared(folder)
    if found is None:
        raise SpecError(
            str(manifest),
            f"{sweep.metadata.name} has not been run here (no prepared text in {folder.home}): "
            f"`scalingsweep run {manifest}` first",
        )
    if [corpus.name for corpus in found.corpora] != [c.name for c in sweep.spec.corpora]:
        raise SpecError(
            "spec.corpora", f"changed since the last run: `scalingsweep run {manifest}` first"
        )
    study = Study(sweep=sweep, plan=localise(sweep, ()), folder=folder, embedded=embedded)
    applied.check(folder, study.spec)
    return Kept(study=study, prepared=found, specs=resolve.trials(study.plan, found))


@contextmanager
def opened(kept: Kept) -> Iterator[Open]:
    """The study with its storage; an embedded server of ours runs as long as the block.

    Raises:
        SpecError: its data are gone.
    """
    study = kept.study
    if study.sweep.spec.storage is not None and not study.embedded:
        with storage.of(study.sweep.spec, study.folder, embedded=False) as given:
            yield Open(kept=kept, location=given.location, keys=given.keys)
        return
    if not study.folder.s3.is_dir():
        raise SpecError(
            str(study.folder.s3), "is gone, and the results with it: run the sweep again"
        )
    with s3server.S3Server(study.folder.s3) as server:
        location = server.access.location(storage.PREFIX)
        yield Open(kept=kept, location=location, keys=server.access.keys())


def prepared(folder: Folder) -> Prepared | None:
    """The answer of the last prepare that was done."""
    name = journal.name(Job.PREPARE)
    paths = folder.outcome(name, 1).parent.glob(f"{name}-a*.json")
    for path in sorted(paths, key=_number, reverse=True):
        outcome = ending.read(path, Job.PREPARE)
        if outcome is not None and outcome.klass is Class.DONE and outcome.prepared is not None:
            return outcome.prepared
    return None


def _number(path: Path) -> int:
    return int(path.stem.rpartition("-a")[2])


def _checked(outcome: Outcome | None, command: str, status: int, words: str) -> Outcome:
    if outcome is None:
        raise TransientError(f"`scalingsweep-worker {command}` ended with {status}: {words}")
    match outcome.klass:
        case Class.DONE:
            return outcome
        case Class.BAD_CONFIGURATION:
            raise SpecError("", outcome.message)
        case Class.BAD_DATA:
            raise DataError("", outcome.message)
        case _:
            raise TransientError(f"{outcome.klass}: {outcome.message}")


def some(rows: list[observations.Row]) -> None:
    """Refuse a study without any observation.

    Raises:
        FitError: there is none.
    """
    if not rows:
        raise FitError("no observation is there yet: no trial has finished")
