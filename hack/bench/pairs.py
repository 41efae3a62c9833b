"""How two things are compared here: in turns, and by the median of the ratios of each turn.

A shared machine drifts by tens of percent within minutes, which a ratio of two medians keeps and
the ratio within one turn does not. The order within a turn changes from turn to turn.
"""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """The median of paired ratios, and the quartiles about it."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.3g} ({self.low:.3g} … {self.high:.3g})"


def turns(rounds: int, runners: Mapping[str, Callable[[], T]]) -> dict[str, list[T]]:
    """Run each of them once a round; name → one result a round."""
    names = list(runners)
    found: dict[str, list[T]] = {name: [] for name in names}
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            found[name].append(runners[name]())
    return found


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Ratio:
    """Ours over theirs, turn by turn."""
    return spread([one / other for one, other in zip(ours, theirs, strict=True)])


def spread(values: Sequence[float]) -> Ratio:
    """Median and quartiles; of fewer than three values their extremes."""
    if len(values) < 3:
        return Ratio(median=statistics.median(values), low=min(values), high=max(values))
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return Ratio(median=median, low=low, high=high)
