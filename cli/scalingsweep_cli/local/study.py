"""What one run of the command is about, settled before anything starts."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from scalingsweep import plan as planning
from scalingsweep.api.sweep import ScalingSweep, SweepSpec
from scalingsweep.errors import SpecError
from scalingsweep_cli.local import machine
from scalingsweep_cli.local.folder import Folder

WORKER = (sys.executable, "-m", "scalingsweep_trainer.main")
"""`scalingsweep-worker` of this very installation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """One sweep on one machine."""

    sweep: ScalingSweep
    """With the addresses of --corpus; its resources are still the cluster's."""
    plan: planning.Plan
    """With this machine's resources."""
    folder: Folder
    gpus: tuple[machine.Gpu, ...] = ()
    embedded: bool = False
    """Whether the embedded server is used although the manifest names a bucket."""
    refusal: str = ""
    """Why the grid may not run, else nothing."""
    worker: Sequence[str] = field(default=WORKER)
    """The worker's command."""
    grace: float = 30.0
    """Seconds between SIGTERM and SIGKILL."""

    @property
    def spec(self) -> SweepSpec:
        """The manifest's spec with the storage that is used; None is the embedded server."""
        spec = self.sweep.spec
        return spec.model_copy(update={"storage": None}) if self.embedded else spec


def make(sweep: ScalingSweep, manifest: Path, *, embedded: bool) -> Study:
    """The study of a manifest on this machine.

    Raises:
        SpecError: it may not run: it is suspended, or its grid cannot identify its laws.
    """
    from scalingsweep import preview  # it brings scipy: a second that reading a study need not wait

    if sweep.spec.suspend:
        raise SpecError("spec.suspend", "is true: set it to false to run")
    gpus = machine.gpus() if any(rule.gpus_per_node for rule in sweep.spec.resources) else ()
    plan = localise(sweep, gpus)
    refusal = preview.make(plan).refusal
    if refusal:
        raise SpecError("", refusal)
    return Study(
        sweep=sweep,
        plan=plan,
        folder=Folder.beside(manifest, sweep.metadata.name),
        gpus=gpus,
        embedded=embedded,
    )


def localise(sweep: ScalingSweep, gpus: tuple[machine.Gpu, ...]) -> planning.Plan:
    """The plan of a sweep with what this machine gives to each trial."""
    return planning.make(machine.localised(sweep.spec, gpus))


def with_corpora(sweep: ScalingSweep, given: Sequence[str], here: Path) -> ScalingSweep:
    """The sweep with other addresses of its corpora, and nothing else replaced.

    Args:
        sweep: the manifest's.
        given: `NAME=FOLDER` each; the last one of a name counts.
        here: what relative folders start from.

    Raises:
        SpecError: one is no such pair, names no corpus, or no folder.
    """
    folders: dict[str, str] = {}
    known = [corpus.name for corpus in sweep.spec.corpora]
    for text in given:
        name, sign, folder = text.partition("=")
        if not sign or not folder:
            raise SpecError("--corpus", f"{text!r} is not NAME=FOLDER")
        if name not in known:
            raise SpecError(
                "--corpus", f"no corpus is called {name!r}; there are {', '.join(known)}"
            )
        path = folder if folder.startswith("s3://") else str((here / folder).resolve())
        if not folder.startswith("s3://") and not Path(path).is_dir():
            raise SpecError("--corpus", f"{folder}: there is no such folder")
        folders[name] = path
    corpora = tuple(
        corpus.model_copy(update={"uri": folders.get(corpus.name, corpus.uri)})
        for corpus in sweep.spec.corpora
    )
    return sweep.model_copy(update={"spec": sweep.spec.model_copy(update={"corpora": corpora})})
