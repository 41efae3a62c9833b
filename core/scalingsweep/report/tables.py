"""The report's tables, as plain cells: the page sets them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from scalingsweep.report import cells, equal, law, numbers
from scalingsweep.report.study import Study
from scalingsweep.report.words import METHODS, SYMBOLS, listed


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A caption, columns and rows of text; `words` columns are set left, numbers right."""

    key: str
    title: str
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: frozenset[int] = frozenset({0})
    empty: str = ""
    headings: Mapping[int, str] = field(default_factory=dict)
    """Printed across the table before the row of that place."""
    folded: bool = False
    """Long ones begin closed; print opens them."""


def every(study: Study) -> tuple[Table, ...]:
    """All tables, in the order in which they answer questions."""
    return parameters(study), allocation(study), savings(study), observations(study)


def parameters(study: Study) -> Table:
    """Each fit's parameters with intervals."""
    rows: list[tuple[str, ...]] = []
    headings = {}
    for fit in study.fits:
        headings[len(rows)] = f"{fit.get('law', '')} law over {listed(fit.get('arms', ()))}"
        for label, entry in (fit.get("parameters") or {}).items():
            value, low, high = (entry.get(key) for key in ("value", "low", "high"))
            rows.append(
                (
                    _symbol(label),
                    numbers.coefficient(value, low, high),
                    numbers.interval(low, high),
                    "yes" if entry.get("shared") else "no",
                    _identified(entry),
                )
            )
    return Table(
        key="parameters",
        title="Parameters",
        caption="Fitted coefficients, N in parameters, D in tokens, loss in nats per token. "
        + _how(study),
        columns=("Parameter", "Value", "Interval", "Shared", "Identified?"),
        rows=tuple(rows),
        headings=headings,
        words=frozenset({0, 3, 4}),
        empty="There is no fit.",
    )


def _symbol(label: str) -> str:
    name, bracket, arm = label.partition("[")
    return SYMBOLS.get(name, name) + (f" of {arm.removesuffix(']')}" if bracket else "")


def _identified(entry: Mapping[str, Any]) -> str:
    if entry.get("atBound"):
        return "no: at its bound"
    return {True: "yes", False: "no"}.get(entry.get("identified"), numbers.DASH)  # type: ignore[arg-type]  # None and absent are answers


def _how(study: Study) -> str:
    intervals = {
        (entry.get("level"), entry.get("method"))
        for entry in (fit.get("interval") or {} for fit in study.fits)
        if entry
    }
    words = [
        f"{numbers.percent(level)} by {METHODS.get(str(method), str(method))}"
        for level, method in sorted(intervals, key=str)
    ]
    return f"Intervals: {'; '.join(words)}." if words else ""


def allocation(study: Study) -> Table:
    """The compute-optimal split of every fit and arm."""
    rows = []
    for fit in study.fits:
        for arm, entry in (fit.get("allocation") or {}).items():
            valid = entry.get("valid", True)
            rows.append(
                (
                    arm,
                    str(fit.get("law", "")),
                    *(text for name in ("G", "a", "b") for text in _estimate(entry.get(name))),
                    "yes" if valid else f"no: {entry.get('why') or 'unknown'}",
                )
            )
    return Table(
        key="allocation",
        title="Compute-optimal allocation",
        caption="N* = G (C/6)^a and D* = (C/6)^b / G, with C = 6ND in FLOPs.",
        columns=("Arm", "Law", "G", "interval", "a", "interval", "b", "interval", "Valid?"),
        rows=tuple(rows),
        words=frozenset({0, 1, 8}),
        empty="There is no fit.",
    )


def _estimate(entry: Mapping[str, Any] | None) -> tuple[str, str]:
    if not entry:
        return numbers.DASH, numbers.DASH
    value, low, high = (entry.get(key) for key in ("value", "low", "high"))
    return numbers.coefficient(value, low, high), numbers.interval(low, high)


def savings(study: Study) -> Table:
    """The pairs of runs of equal loss behind the headline."""
    rows = [
        (
            cpt.name,
            point.size,
            point.seed,
            numbers.loss(point.loss),
            numbers.count(point.D_scratch),
            numbers.count(point.D_cpt),
            numbers.percent(point.tokens_saved, 1),
            numbers.percent(point.flops_saved, 1),
            numbers.percent(point.flops_saved_with_source, 1),
        )
        for scratch, cpt in law.pairs(study)
        for point in equal.points(study, scratch, cpt)
    ]
    return Table(
        key="savings",
        title="Runs of equal loss",
        caption=(
            "Tokens at which both arms reach the same loss, interpolated between runs of one size "
            "and seed. The last column charges the whole of the source’s training to this arm."
        ),
        columns=(
            "Arm",
            "Size",
            "Seed",
            "Loss",
            "D from scratch",
            "D of CPT",
            "Tokens saved",
            "C saved",
            "with the source’s",
        ),
        rows=tuple(rows),
        words=frozenset({0, 1}),
        empty="No two runs can be compared at equal loss.",
        folded=len(rows) > 24,
    )


def observations(study: Study) -> Table:
    """observations.csv, in units that people read."""
    corpora = [name for name in study.corpora if any(f"loss_{name}" in row for row in study.rows)]
    kinds = [(kind, name) for name in corpora for kind in ("loss", "bpb")]
    rows = [
        (
            str(row.get("arm", "")),
            cells.size(row),
            str(row.get("seed", "")),
            numbers.count(row.get("N"), 4),
            numbers.count(row.get("D"), 4),
            numbers.count(row.get("D_target"), 4),
            numbers.count(row.get("D_source"), 4),
            _epochs(row.get("epochs")),
            numbers.power(row.get("C")),
            *(numbers.loss(row.get(f"{kind}_{name}")) for kind, name in kinds),
        )
        for row in study.rows
    ]
    heads = {"loss": "Loss", "bpb": "Bits/byte"}
    return Table(
        key="observations",
        title="Observations",
        caption="One row per run and budget; losses in nats per token on each validation corpus.",
        columns=(
            *("Arm", "Size", "Seed", "N", "D", "D of target", "D of source", "Epochs", "C"),
            *(f"{heads[kind]}, {name}" for kind, name in kinds),
        ),
        rows=tuple(rows),
        words=frozenset({0, 1}),
        empty="No observation yet.",
        folded=len(rows) > 24,
    )


def _epochs(value: Any) -> str:
    number = numbers.finite(value)
    return numbers.DASH if number is None else f"{number:.2f}"


def totals(study: Study) -> Sequence[tuple[str, str]]:
    """What the sweep took, as name and value."""
    known: dict[str, tuple[str, Callable[[Any], str]]] = {
        "trials": ("trials", numbers.count),
        "C": ("C = Σ 6ND, FLOPs", numbers.power),
        "flops": ("FLOPs computed", numbers.power),
        "tokens": ("tokens", numbers.count),
        "gpuHours": ("GPU-hours", numbers.count),
        "seconds": ("wall time", numbers.duration),
    }
    shown = [("observations", str(len(study.rows)))]
    for name, value in study.totals.items():
        words, text = known.get(name, (name, numbers.power))
        shown.append((words, text(value)))
    return shown
