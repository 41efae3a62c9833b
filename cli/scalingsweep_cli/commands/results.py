"""`scalingsweep results`: the observations that a study has so far."""

from pathlib import Path

import click

from scalingsweep import observations, quantity
from scalingsweep_cli import kept, screen

MOST_MISSING = 5
"""So many missing cells are named; the others are counted."""


@click.command("results")
@click.argument("manifest", metavar="SWEEP.yaml", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "csv", "json"]),
    default="table",
    show_default=True,
    help="csv: observations.csv; json: {observations, missing}.",
)
@click.option("--embedded", is_flag=True, help="The sweep was run with --embedded.")
def command(*, manifest: Path, form: str, embedded: bool) -> None:
    """Print the observations so far: one row for each (arm, size, seed, D) that is done.

    \b
    scalingsweep results sweep.yaml
    scalingsweep results sweep.yaml --format csv > observations.csv

    They are read from the study's storage, also while `scalingsweep run` is at work. Losses are
    nats a token on each corpus's held-out text.

    Writes nothing but standard output.
    """  # noqa: D301 - \b is click's mark for lines that are kept
    found = kept.find(manifest, embedded=embedded)
    with kept.opened(found) as study:
        rows, missing = study.rows()
    corpora = [corpus.name for corpus in found.prepared.corpora]
    if form == "csv":
        click.echo(observations.to_csv(rows, corpora), nl=False)
    elif form == "json":
        screen.json_object({"observations": rows, "missing": missing})
    else:
        _show(rows, missing, corpora)


def _show(rows: list[observations.Row], missing: list[str], corpora: list[str]) -> None:
    out = screen.console()
    if rows:
        names = ("arm", "size", "seed", "N", "D", *(f"loss_{name}" for name in corpora))
        cells = [[_cell(name, row[name]) for name in names] for row in rows]
        out.print(screen.table(names, cells, text=2))
    out.print(f"{len(rows)} observations of {len(rows) + len(missing)} planned")
    for words in missing[:MOST_MISSING]:
        screen.note(out, f"missing: {words}")
    if len(missing) > MOST_MISSING:
        screen.note(out, f"and {len(missing) - MOST_MISSING} more")


def _cell(name: str, value: str | float | None) -> str:
    if value is None:
        return "–"
    if name in {"N", "D"}:
        return quantity.label(int(value))
    return f"{value:.4f}" if isinstance(value, float) else str(value)
