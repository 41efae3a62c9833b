"""`scalingsweep fit`: a law from any table, whoever trained the models."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from scalingsweep import laws
from scalingsweep.errors import DataError
from scalingsweep_cli import files, measurements
from scalingsweep_cli.measurements import Measurements

if TYPE_CHECKING:
    from scalingsweep import fit  # it takes a second to import: not for --help, nor to refuse

OBJECTIVES = ("log-huber", "log-mse", "mse")
"""Those of `fit.Objective`; a test compares."""
FEWEST_RESAMPLES = 100
"""Fewer give no 2.5 % quantile."""


def _finite(ctx: click.Context, parameter: click.Parameter, value: float) -> float:
    if not math.isfinite(value):  # click's ranges let nan through
        raise click.BadParameter("must be a number", ctx, parameter)
    return value


def _resamples(ctx: click.Context, parameter: click.Parameter, value: int) -> int:
    if 0 < value < FEWEST_RESAMPLES:
        raise click.BadParameter(
            f"{value} is too few for an interval: at least {FEWEST_RESAMPLES}, or 0 for none",
            ctx,
            parameter,
        )
    return value


@click.command("fit")
@click.argument("csv", metavar="TABLE.csv", type=click.Path(path_type=Path))
@click.option(
    "--law",
    type=click.Choice([law.value for law in laws.Law]),
    default=laws.Law.CHINCHILLA.value,
    show_default=True,
    help="chinchilla: E + A/N^α + B/D^β; extended: E + A/N^α + B/(D^β N^γ).",
)
@click.option(
    "--objective",
    type=click.Choice(OBJECTIVES),
    default=OBJECTIVES[0],
    show_default=True,
    help="What is minimised.",
)
@click.option(
    "--delta",
    type=click.FloatRange(min=0, min_open=True),
    callback=_finite,
    default=1e-3,
    show_default=True,
    help="Where log-huber turns linear, in log loss.",
)
@click.option(
    "--bootstrap",
    type=click.IntRange(min=0, max=100_000),
    callback=_resamples,
    default=4000,
    show_default=True,
    help="Resamples for the 95 % intervals; 0: no intervals.",
)
@click.option("--by", metavar="COLUMN", help="The column that names the arm.  [default: arm]")
@click.option("--arm", "arms", multiple=True, help="Fit this arm only; may be repeated.")
@click.option("--corpus", metavar="NAME", help="Take the loss from the column loss_NAME.")
@click.option("--joint", is_flag=True, help="One fit of all arms, which share E, A and α.")
@click.option("--json", "as_json", is_flag=True, help="Print the fit as one JSON object.")
def command(
    *,
    csv: Path,
    law: str,
    objective: str,
    delta: float,
    bootstrap: int,
    by: str | None,
    arms: tuple[str, ...],
    corpus: str | None,
    joint: bool,
    as_json: bool,
) -> None:
    """Fit a scaling law to a table of N (parameters), D (tokens) and loss (nats a token).

    \b
    scalingsweep fit runs.csv
    scalingsweep fit runs.csv --law extended --json > fit.json
    scalingsweep fit observations.csv --corpus fr --arm scratch --arm cpt --joint

    Other names that are read: params, parameters, n_params for N; tokens, n_tokens, train_tokens,
    training_tokens for D; final_loss, val_loss, validation_loss for loss; in any case of letters.
    Rows are grouped by the column arm where there is one, and fitted for each arm; rows with the
    same size and seed share their noise. observations.csv is such a table: --corpus chooses the
    loss, and D is then D_target.

    Writes nothing but standard output. --json prints one object of fit.json (ARCHITECTURE.md), or
    {"fits": [...], "missing": []} where several arms were fitted.
    """  # noqa: D301 - \b is click's mark for lines that are kept
    rows = measurements.read(files.text(csv), str(csv), by=by, corpus=corpus)
    rows = _chosen(rows, arms)
    for arm in rows.arms or ("all",):
        _enough(rows, arm, laws.Law(law))
    groups = [rows] if joint else [rows.of([arm]) for arm in rows.arms]
    found = [_fit(group, law, objective, delta, bootstrap) for group in groups]
    from scalingsweep_cli import fitted, screen

    if as_json:
        objects = [one.to_json() for one in found]
        screen.json_object(objects[0] if len(objects) == 1 else {"fits": objects, "missing": []})
        return
    out = screen.console()
    for one in found:
        fitted.show(out, one, csv.name)


def _chosen(rows: Measurements, arms: Sequence[str]) -> Measurements:
    for arm in arms:
        if arm not in rows.arms:
            raise DataError(
                rows.source, f"has no arm {arm!r} (--arm); it has {', '.join(rows.arms)}"
            )
    return rows.of(arms) if arms else rows


def _enough(rows: Measurements, arm: str, law: laws.Law) -> None:
    count, least = rows.arm.count(arm), len(law.roles)
    if count < least:
        of = "" if len(rows.arms) <= 1 else f" of arm {arm}"
        raise DataError(
            rows.source,
            f"has {count} rows{of}; the {law.value} law has {least} parameters: bring more rows",
        )


def _fit(rows: Measurements, law: str, objective: str, delta: float, bootstrap: int) -> "fit.Fit":
    from scalingsweep import fit

    table = fit.Table.of(
        N=rows.N,
        D=rows.D,
        loss=rows.loss,
        arm=rows.arm,
        cluster=rows.cluster,
        source=rows.source,
    )
    return fit.fit(
        table, law=law, objective=objective, delta=delta, bootstrap=bootstrap, corpus=rows.corpus
    )
