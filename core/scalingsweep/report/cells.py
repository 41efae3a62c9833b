"""Questions to the rows of observations.csv that several figures and tables ask.

Every number that is plotted comes through here, so that a row without a value is left out in one
way everywhere.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from scalingsweep.report import numbers, palette
from scalingsweep.report.study import Arm, Row, Study


def number(row: Row, name: str) -> float | None:
    """A column of a row as a finite number, or None."""
    return numbers.finite(row.get(name))


def size(row: Row) -> str:
    """The label of a row's size, as text."""
    return str(row.get("size", ""))


def D(row: Row) -> float | None:
    """The tokens on which a row is fitted: D_target, for an arm with replay less than D."""
    target = number(row, "D_target")
    return target if target is not None else number(row, "D")


def of(study: Study, arm: str) -> list[Row]:
    """The rows of an arm that have N and D."""
    return [
        row
        for row in study.rows
        if row.get("arm") == arm and (number(row, "N") or 0) > 0 and (D(row) or 0) > 0
    ]


def with_loss(study: Study, arm: Arm, corpus: str | None = None) -> list[Row]:
    """The rows of an arm that have a loss on the corpus (its own, if none is named)."""
    column = f"loss_{corpus or arm.corpus}"
    return [row for row in of(study, arm.name) if number(row, column) is not None]


def column(rows: Iterable[Row], name: str) -> list[float]:
    """A column's numbers, of rows known to have them."""
    values = (D(row) if name == "D_target" else number(row, name) for row in rows)
    return [value for value in values if value is not None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """An ordered thing that colours follow: a size or a budget."""

    label: str
    colour: str
    N: float


def sizes(study: Study) -> dict[str, Series]:
    """The sizes by growing N, each with its colour, by their label."""
    least: dict[str, float] = {}
    for row in study.rows:
        N = number(row, "N")
        if N is not None and N > 0:
            least[size(row)] = min(N, least.get(size(row), math.inf))
    for _, label, _, _ in study.curves:
        # a size that has trained but has no observation yet: last, with no N to show
        least.setdefault(str(label), math.inf)
    ordered = sorted(least, key=lambda label: (least[label], label))
    return {
        label: Series(label=label, colour=palette.ramp(rank, len(ordered)), N=least[label])
        for rank, label in enumerate(ordered)
    }


def by_size(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Rows by their size's label."""
    grouped: dict[str, list[Row]] = {}
    for row in rows:
        grouped.setdefault(size(row), []).append(row)
    return grouped


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Rows of one corpus that belong to one budget, whatever it was given as."""

    label: str
    rows: tuple[Row, ...]


_RULES: tuple[tuple[Callable[[float, float], float], Callable[[float], str]], ...] = (
    (lambda _, D: D, lambda value: f"D = {numbers.count(value)} tokens"),
    (lambda N, D: D / N, lambda value: f"D = {numbers.count(value)} N"),
    (lambda N, D: 6 * N * D, lambda value: f"C = {numbers.power(value)} FLOPs"),
)


def budgets(rows: Sequence[Row]) -> list[Budget]:
    """Rows grouped by the rule that explains their D in the fewest groups: D, D/N or C.

    The manifest's own words are not asked: a table that was not made by a sweep has none.
    """
    best: list[Budget] | None = None
    for quantity, words in _RULES:
        values = [quantity(number(row, "N") or 1.0, _all(row)) for row in rows]
        groups = _near(values)
        if best is None or len(groups) < len(best):
            best = [
                Budget(
                    label=words(float(np.median([values[place] for place in places]))),
                    rows=tuple(rows[place] for place in places),
                )
                for places in groups
            ]
    return best or []


def _all(row: Row) -> float:
    # budgets are given in all tokens of a run, replayed ones too
    return number(row, "D") or D(row) or 1.0


def _near(values: Sequence[float], tolerance: float = 0.12) -> list[list[int]]:
    """Places of values that lie within 12 % of their neighbour: budgets round to whole steps."""
    groups: list[list[int]] = []
    last = -math.inf
    for place in sorted(range(len(values)), key=lambda place: values[place]):
        at = math.log(values[place])
        if at - last > tolerance:
            groups.append([])
        groups[-1].append(place)
        last = at
    return groups
