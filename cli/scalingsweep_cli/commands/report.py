"""`scalingsweep report`: laws and page again, from what is in storage."""

import json
import webbrowser
from pathlib import Path

import click

from scalingsweep.errors import DiskFull, SpecError, is_full
from scalingsweep_cli import kept


@click.command("report")
@click.argument("manifest", metavar="SWEEP.yaml", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The page's file.  [default: report.html in the study's .scalingsweep folder]",
)
@click.option("--open", "show", is_flag=True, help="Open the page in the browser.")
@click.option("--embedded", is_flag=True, help="The sweep was run with --embedded.")
def command(*, manifest: Path, out: Path | None, show: bool, embedded: bool) -> None:
    """Fit the laws and make the report again, from what is in the study's storage.

    \b
    scalingsweep report sweep.yaml --open
    scalingsweep report sweep.yaml --out study.html

    Nothing is trained: what the manifest says under `fit` may have changed since the run, and an
    unfinished study is reported with what is missing.

    Writes the page (one file that needs no network), and observations.csv, fit.json and
    report.html in the storage.
    """  # noqa: D301 - \b is click's mark for lines that are kept
    found = kept.find(manifest, embedded=embedded)
    study = found.study
    with kept.opened(found) as at:
        kept.some(at.rows()[0])
        variables = {
            "SCALINGSWEEP_SPEC": json.dumps(study.sweep.spec.to_wire()),
            "SCALINGSWEEP_PREPARED": json.dumps(found.prepared.to_wire()),
        }
        at.work("fit", variables)
        for name in ("observations.csv", "fit.json", "report.html"):
            _write(study.folder.home / name, at.store.get(f"{found.address}/{name}"))
            (study.folder.home / name).chmod(0o600)
    page = study.folder.home / "report.html"
    if out is not None:
        _write(out, page.read_bytes())
        page = out
    click.echo(str(page))
    if show and not webbrowser.open(page.resolve().as_uri()):
        raise SpecError("--open", f"no browser was found: open {page} yourself")


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        if is_full(error):
            raise DiskFull(path) from None
        raise SpecError(str(path), f"cannot be written ({error.strerror})") from None
