"""`scalingsweep plan`: what a sweep would cost and tell, before anything runs."""

from pathlib import Path

import click

from scalingsweep import plan
from scalingsweep_cli import files
from scalingsweep_cli.local.folder import Folder
from scalingsweep_cli.local.study import with_corpora


@click.command("plan")
@click.argument("manifest", metavar="SWEEP.yaml", type=click.Path(path_type=Path))
@click.option(
    "--corpus",
    "corpora",
    metavar="NAME=FOLDER",
    multiple=True,
    help="Take the text of a corpus from this folder; may be repeated.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(*, manifest: Path, corpora: tuple[str, ...], as_json: bool) -> None:
    """Say what a sweep would cost and what it could tell, before anything runs.

    \b
    scalingsweep plan sweep.yaml
    scalingsweep plan sweep.yaml --json | jq .gpuHours
    scalingsweep plan sweep.yaml --corpus en=text/en --corpus fr=text/fr

    Trials, FLOPs, GPU-hours, memory, storage; the text that is needed against the text that is
    there; and which parameters of which law the grid can identify, with runs that would mend it.
    It answers for every valid manifest, also for one that `run` would refuse.

    Writes nothing but standard output. --json has trials, observations, flops (Σ 6 N D),
    flopsTrained (trunks once), gpuHours, identifiability, warnings and more.
    """  # noqa: D301 - \b is click's mark for lines that are kept
    sweep = with_corpora(files.sweep(manifest), corpora, Path.cwd())
    planned = plan.make(sweep.spec)

    # scipy takes a second to import: not for --help, nor to refuse a manifest
    from scalingsweep import preview
    from scalingsweep_cli import forecast, kept, screen, text

    seen = preview.make(planned)
    folder = Folder.beside(manifest, sweep.metadata.name)
    found = kept.prepared(folder)
    there = [
        text.look(need, corpus, folder.base, found)
        for need, corpus in zip(seen.text, sweep.spec.corpora, strict=True)
    ]
    if as_json:
        screen.json_object(forecast.to_json(seen, there))
        return
    forecast.show(screen.console(), seen, there, sweep.metadata.name)
