"""`scalingsweep results`: what studies have found so far, as tables to read and to publish."""

from pathlib import Path

import click

from scalingsweep.errors import SpecError

FORMATS = {".csv": "csv", ".json": "json", ".parquet": "parquet", ".tex": "latex"}


@click.command("results")
@click.argument(
    "sources",
    metavar="SWEEP.yaml|TABLE.csv…",
    nargs=-1,
    required=True,
    type=click.Path(path_type=Path),
)
@click.option(
    "--parameters", is_flag=True, help="The fitted laws with their intervals, not observations."
)
@click.option(
    "--unit",
    type=click.Choice(["loss", "bpb"]),
    default="loss",
    show_default=True,
    help="loss: nats a token; bpb: bits a byte, comparable across tokenizers.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "csv", "json", "parquet", "latex"]),
    help="[default: by the ending of --out, else table]",
)
@click.option(
    "--out",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write there: .csv, .json, .parquet or .tex.  [default: standard output]",
)
@click.option("--embedded", is_flag=True, help="The sweeps were run with --embedded.")
def command(
    *,
    sources: tuple[Path, ...],
    parameters: bool,
    unit: str,
    form: str | None,
    out: Path | None,
    embedded: bool,
) -> None:
    """Print what a study has found so far, or compare several.

    \b
    scalingsweep results sweep.yaml
    scalingsweep results sweep.yaml --format csv > observations.csv
    scalingsweep results sweep.yaml --parameters --out laws.tex
    scalingsweep results baseline.yaml lower-lr.yaml
    scalingsweep results sweep.yaml published/observations.csv --out both.parquet

    One study: its observations, a row for each (arm, size, seed, D) that is done; read from its
    storage, also while `scalingsweep run` is at work. csv is observations.csv as it is.

    Several: the cells that all of them have (same arm and seed, N and D within 1 %), the loss of
    each, the difference of each from the first, and its mean by arm. A difference of the size of
    the seeds' noise means nothing: give training.seeds more than one to see it.

    --parameters: the coefficients of each fitted law, studies side by side. An observations.csv
    has those of the fit.json beside it.

    csv, json and parquet hold every digit, in one tidy table; table and latex (booktabs, names
    escaped) are rounded for reading.

    Writes nothing but standard output, or FILE.
    """  # noqa: D301 - \b is click's mark for lines that are kept
    form = _form(form, out, sources)
    from scalingsweep_cli.tables import cells, source, writing
    from scalingsweep_cli.tables import parameters as laws

    found = source.named([source.read(path, embedded=embedded) for path in sources])
    if parameters:
        answer = laws.of(found)
    elif len(found) == 1:
        answer = cells.of_one(found[0], unit)
    else:
        answer = cells.compared(found, unit)
    match form:
        case "table":
            from scalingsweep_cli import screen

            writing.show(screen.console(), answer)
            return
        case "csv":
            data = writing.to_csv(answer.data).encode()
        case "json":
            data = writing.to_json(answer).encode()
        case "parquet":
            data = writing.to_parquet(answer.data)
        case _:
            data = writing.to_latex(answer).encode()
    if out is None:
        click.echo(data.decode(), nl=False)
        return
    writing.write(out, data)


def _form(form: str | None, out: Path | None, sources: tuple[Path, ...]) -> str:
    """The format that is meant.

    Raises:
        SpecError: FILE does not tell, must not be written over, or is needed.
    """
    if out is None:
        if form == "parquet":
            raise SpecError("--format parquet", "is no text: name a file with --out")
        return form or "table"
    if any(out.resolve() == path.resolve() for path in sources):
        raise SpecError("--out", f"{out} is what is read: name another file")
    known = form or FORMATS.get(out.suffix.lower())
    if known is None or known == "table":
        raise SpecError("--out", f"{out}: give --format, or an ending of {', '.join(FORMATS)}")
    return known
