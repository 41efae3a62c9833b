"""One measured figure: a ratio, what it must be, and the values that it was made of."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from hack.bench.pairs import Ratio


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A row of the table."""

    name: str
    asked: str
    """What was promised, as text; empty where nothing was."""
    ratio: Ratio
    values: Mapping[str, Sequence[float]]
    """Who → one value a turn."""

    @classmethod
    def of(
        cls, name: str, asked: str, ratio: Ratio, values: Mapping[str, Sequence[float]]
    ) -> "Figure":
        return cls(name=name, asked=asked, ratio=ratio, values=values)

    def row(self) -> tuple[str, str, str, str]:
        """Name, ratio with quartiles, what was asked, medians of what was compared."""
        medians = (f"{who} {statistics.median(values):.4g}" for who, values in self.values.items())
        return self.name, str(self.ratio), self.asked, ", ".join(medians)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)
