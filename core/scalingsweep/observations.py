"""observations.csv: one row per (arm, size, seed, D), with the loss on every validation corpus.

The fit's worker builds the rows from results in S3; the command and the report read them back.
Nothing in a row depends on time or on attempts, so the same study always writes the same bytes.
"""

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from scalingsweep import cost, resolve
from scalingsweep.api.prepared import Prepared
from scalingsweep.api.result import Result
from scalingsweep.api.trial import TrialSpec
from scalingsweep.errors import DataError
from scalingsweep.plan import Key, Plan, Trial

Row = dict[str, Any]
"""One observation: text, int, float, or None where a corpus has not been evaluated yet."""

_TEXT = ("arm", "size", "trial")
_WHOLE = ("seed", "N", "N_total", "N_nonembedding", "D", "D_target", "D_replayed", "D_source")
_FIRST = (
    *("arm", "size", "seed", "N", "N_total", "N_nonembedding"),
    *("D", "D_target", "D_replayed", "D_source", "epochs", "C", "C_source", "flops", "trial"),
)

Find = Callable[[str, int, str], Result | None]
"""(trial id, D, validation digest) → the result in S3, if it is there."""


def columns(corpora: Sequence[str]) -> tuple[str, ...]:
    """The header, for corpora in the manifest's order."""
    losses = [f"loss_{name}" for name in corpora]
    return (*_FIRST, *losses, *(f"bpb_{name}" for name in corpora))


def collect(
    plan: Plan, prepared: Prepared, specs: Mapping[Key, TrialSpec], find: Find
) -> tuple[list[Row], list[str]]:
    """The rows of all results that exist, sorted, and the cells that are missing, in words."""
    arms = [arm.name for arm in plan.spec.arms]
    rows: list[Row] = []
    missing: list[str] = []
    for trial, D in plan.observations:
        row = _row(trial, D, plan, prepared)
        row["trial"] = specs[trial.key].id
        for corpus in prepared.corpora:
            result = find(row["trial"], D, corpus.validation)
            row[f"loss_{corpus.name}"] = result.loss if result else None
            row[f"bpb_{corpus.name}"] = result.bits_per_byte if result else None
        if row[f"loss_{trial.arm.corpus}"] is None:
            missing.append(f"{trial.key} at D = {D:,}")
        else:
            rows.append(row)
    rows.sort(key=lambda row: (arms.index(row["arm"]), row["N"], row["seed"], row["D"]))
    return rows, missing


def _row(trial: Trial, D: int, plan: Plan, prepared: Prepared) -> Row:
    data = resolve.data(trial, D, plan, prepared)
    counts = trial.size.counts
    return {
        "arm": trial.key.arm,
        "size": trial.key.size,
        "seed": trial.key.seed,
        "N": counts.N,
        "N_total": counts.total,
        "N_nonembedding": counts.non_embedding,
        "D": D,
        "D_target": data.target,
        "D_replayed": data.replayed,
        "D_source": data.source,
        "epochs": data.epochs,
        "C": float(cost.model_flops(counts.N, D)),
        "C_source": float(data.source_flops),
        "flops": cost.trial_flops(trial.size.shape, D),
    }


def to_csv(rows: Iterable[Row], corpora: Sequence[str]) -> str:
    """The table as text; floats in the shortest form that reads back as the same number."""
    out = io.StringIO()
    writer = csv.DictWriter(out, columns(corpora), lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    return out.getvalue()


def from_csv(text: str, where: str) -> tuple[list[Row], tuple[str, ...]]:
    """The rows of an observations.csv, and the names of its corpora.

    Args:
        text: the file's content.
        where: its name, for errors.

    Raises:
        DataError: it is no such table; names the column or the line.
    """
    reader = csv.DictReader(io.StringIO(text))
    header = tuple(reader.fieldnames or ())
    corpora = tuple(name.removeprefix("loss_") for name in header if name.startswith("loss_"))
    absent = [name for name in columns(corpora) if name not in header]
    if absent or not corpora:
        raise DataError(
            where, f"is no observations.csv: it has no column {(absent or ['loss_…'])[0]}"
        )
    rows = []
    for line, cells in enumerate(reader, start=2):
        try:
            rows.append({name: _value(name, cells[name]) for name in header})
        except (ValueError, TypeError):
            raise DataError(f"{where}:{line}", "has a cell that is no number") from None
    return rows, corpora


def _cell(value: Any) -> Any:
    return repr(value) if isinstance(value, float) else value


def _value(name: str, cell: str) -> str | int | float | None:
    if name in _TEXT:
        return cell
    if cell == "":
        return None
    return int(cell) if name in _WHOLE else float(cell)
