"""A table as values: what `cells` and `parameters` make, and `writing` writes in every format."""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

Value = str | int | float | bool | None


class Kind(enum.Enum):
    """What a column holds, and so how people read it. Data formats get every digit."""

    TEXT = "text"
    COUNT = "count"
    """Parameters, tokens: 27.3k."""
    LOSS = "loss"
    """Four decimals."""
    DIFFERENCE = "difference"
    """Four decimals and a sign."""
    NUMBER = "number"
    """A few significant digits."""
    INTERVAL = "interval"
    """A coefficient with its interval, as `Span`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A coefficient and the ends of its interval; None where an end is not known."""

    value: float | None
    low: float | None
    high: float | None
    identified: bool = True
    """Whether the table of the fit tells it at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column."""

    name: str
    """In data formats."""
    kind: Kind
    title: str = ""
    """For people; the name when left out."""

    @property
    def heading(self) -> str:
        """What people read."""
        return self.title or self.name

    @property
    def is_text(self) -> bool:
        """Whether it is set left."""
        return self.kind is Kind.TEXT


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """One table."""

    title: str
    columns: tuple[Column, ...]
    rows: Sequence[Sequence[Value | Span]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The same answer for programs and for people."""

    key: str
    """What its rows are, in JSON."""
    data: Sheet
    """One tidy table, for csv, json and parquet."""
    views: tuple[Sheet, ...]
    """Tables to read, for the screen and LaTeX."""
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    beside: Mapping[str, list[str]] = field(default_factory=dict)
    """What JSON holds beside the rows."""
