"""A fitted law on a screen: its coefficients with what is known of each, and the best split.

`scalingsweep fit` prints this; the report's page says the same with figures.
"""

from rich.console import Console

from scalingsweep.fit.result import Estimate, Fit, Method, Parameter
from scalingsweep.laws import Law
from scalingsweep_cli import screen

EQUATIONS = {
    Law.CHINCHILLA: "L = E + A/N^α + B/D^β",
    Law.EXTENDED: "L = E + A/N^α + B/(D^β N^γ)",
}
_COLUMNS = ("value", "low", "high")
_METHODS = {
    Method.BOOTSTRAP_ROWS: "bootstrap over rows",
    Method.BOOTSTRAP_CLUSTERS: "bootstrap over clusters of rows that share a trunk",
    Method.PROFILE_T: "profile likelihood with t quantiles (too few clusters for a bootstrap)",
}


def show(out: Console, fit: Fit, source: str) -> None:
    """Print one fit: the law, coefficients with intervals, allocation, warnings."""
    of = f", arm {', '.join(fit.arms)}" if fit.arms != ("all",) else ""
    corpus = f", loss on {fit.corpus}" if fit.corpus else ""
    screen.heading(out, f"{fit.law.value}: {EQUATIONS[fit.law]}")
    out.print(f"{source}{of}{corpus}: {fit.rows} rows, {fit.clusters} clusters", soft_wrap=True)
    delta = f" (δ = {fit.delta:g})" if fit.objective.value == "log-huber" else ""
    out.print(f"{fit.objective.value}{delta} at its minimum: {fit.value:.7g}", soft_wrap=True)
    if fit.method in _METHODS:
        out.print(
            f"{100 * fit.level:g} % intervals: {_METHODS[fit.method]}, {fit.samples:,} samples",
            soft_wrap=True,
        )
    estimates = [
        (name, *_cells(parameter.estimate), _known(parameter))
        for name, parameter in fit.parameters.items()
    ]
    estimates += [(name, *_cells(estimate), "") for name, estimate in fit.contrasts.items()]
    made = screen.table(("parameter", *_COLUMNS, "known?"), estimates)
    made.columns[-1].justify = "left"
    out.print(made)
    _allocation(out, fit)
    if fit.sharing:
        out.print(
            f"One E, A and α for all arms: {fit.sharing.verdict.value} "
            f"(F = {fit.sharing.statistic:.3g}, p = {fit.sharing.pvalue:.3g})",
            soft_wrap=True,
        )
    for words in fit.warnings:
        screen.warning(out, words)


def _allocation(out: Console, fit: Fit) -> None:
    valid = {arm: split for arm, split in fit.allocation.items() if split.valid}
    if valid:
        screen.heading(out, "Compute-optimal: N* = G (C/6)^a, D* = (C/6)^b / G")
        rows = [
            (letter if len(fit.arms) == 1 else f"{letter}[{arm}]", *_cells(estimate))
            for arm, split in valid.items()
            for letter, estimate in (("G", split.G), ("a", split.a), ("b", split.b))
        ]
        out.print(screen.table(("split", *_COLUMNS), rows))
    for arm, split in fit.allocation.items():
        if not split.valid:
            of = f" of {arm}" if len(fit.arms) > 1 else ""
            screen.warning(out, f"no compute-optimal split{of}: {split.why}")


def _cells(estimate: Estimate) -> tuple[str, str, str]:
    return _number(estimate.value), _number(estimate.low), _number(estimate.high)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.6g}"


def _known(parameter: Parameter) -> str:
    words = ["identified" if parameter.identified else "NOT identified"]
    if parameter.at_bound:
        words.append("at its bound")
    if parameter.shared:
        words.append("shared")
    return ", ".join(words)
