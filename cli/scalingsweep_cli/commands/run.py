"""`scalingsweep run`: a study on this machine, from text to the report."""

import shlex
from pathlib import Path

import click


@click.command("run")
@click.argument("manifest", metavar="SWEEP.yaml", type=click.Path(path_type=Path))
@click.option(
    "--corpus",
    "corpora",
    metavar="NAME=FOLDER",
    multiple=True,
    help="Take the text of a corpus from this folder; may be repeated.",
)
@click.option(
    "--embedded",
    is_flag=True,
    help="Keep everything in the embedded S3 server although the manifest names a bucket.",
)
@click.option(
    "--plain", is_flag=True, help="Plain lines also on a terminal: one for each thing that happens."
)
def command(manifest: Path, corpora: tuple[str, ...], embedded: bool, plain: bool) -> int:
    """Run a sweep on this machine: prepare the text, train every trial, fit, write the report.

    \b
    scalingsweep run sweep.yaml
    scalingsweep run sweep.yaml --corpus en=text/en --corpus fr=text/fr
    scalingsweep run cluster.yaml --embedded --corpus en=text/en

    Ctrl-C (or SIGTERM) makes every trial save and stop, a second one ends them at once; the same
    command goes on from there, also after a crash. Nothing that is finished is trained again.

    Everything is kept in .scalingsweep/ beside the manifest: the embedded S3 server's data, logs,
    and at the end observations.csv, fit.json and report.html, whose path is the last line.
    """  # noqa: D301 - \b is click's mark for lines that are kept
    from scalingsweep_cli import files
    from scalingsweep_cli.local import study as studies

    sweep = studies.with_corpora(files.sweep(manifest), corpora, Path.cwd())
    study = studies.make(sweep, manifest, embedded=embedded)
    from scalingsweep_cli.local import session

    arguments = ["run", str(manifest), *(f"--corpus={text}" for text in corpora)]
    again = shlex.join(["scalingsweep", *arguments, *["--embedded"] * embedded])
    return session.run(study, again=again, plain=plain)
