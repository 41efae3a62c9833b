"""An axis of a panel: its range, its ticks in words that people use, and the numbers that undo it.

Called by the figures, which make two per panel, often shared by all panels of a figure.
"""

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from scalingsweep.report import numbers

_MANTISSAS = ((1.0,), (1.0, 3.0), (1.0, 2.0, 5.0), (1.0, 1.5, 2.0, 3.0, 5.0, 7.0))
"""Coarse to fine; the first that gives three ticks is taken."""
_MOST_TICKS = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """A range of data values, linear or logarithmic."""

    label: str
    low: float
    high: float
    log: bool = False
    text: Callable[[float], str] = numbers.count
    """How a tick is printed."""

    @classmethod
    def over(
        cls,
        values: Iterable[float],
        *,
        label: str,
        log: bool = False,
        text: Callable[[float], str] = numbers.count,
        pad: float = 0.06,
    ) -> Self:
        """An axis that holds all the values, with a margin of `pad` of its length.

        Values that the axis cannot hold (not finite; on a log axis not positive) are left out.
        """
        kept = [v for v in values if math.isfinite(v) and (v > 0 or not log)]
        if not kept:
            kept = [1.0, 10.0]
        ends = [math.log(v) for v in (min(kept), max(kept))] if log else [min(kept), max(kept)]
        span = ends[1] - ends[0]
        if span < 1e-9 * max(1.0, abs(ends[0])):
            # one value alone: room around it, so that it stands in the middle
            span = math.log(4) if log else max(abs(ends[0]) * 0.2, 0.1)
            ends = [ends[0] - span / 2, ends[1] + span / 2]
        ends = [ends[0] - pad * span, ends[1] + pad * span]
        low, high = (math.exp(end) for end in ends) if log else ends
        return cls(label=label, low=low, high=high, log=log, text=text)

    def ticks(self) -> list[float]:
        """At most seven values, round ones."""
        return self._log_ticks() if self.log else _steps(self.low, self.high)

    def _log_ticks(self) -> list[float]:
        if self.high < 4 * self.low:
            return _steps(self.low, self.high)
        first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        every = max(1, math.ceil((last - first) / _MOST_TICKS))
        best = [10.0**e for e in range(first, last + 1, every)]
        best = [tick for tick in best if self.low <= tick <= self.high]
        for mantissas in _MANTISSAS if every == 1 else ():
            ticks = [m * 10.0**e for e in range(first, last + 1) for m in mantissas]
            ticks = [tick for tick in ticks if self.low <= tick <= self.high]
            if len(best) < 3 and len(ticks) <= _MOST_TICKS:
                best = ticks
        return best if len(best) >= 2 else _steps(self.low, self.high)


def _steps(low: float, high: float, about: int = 5) -> list[float]:
    """Round values, evenly spaced, within the range."""
    rough = (high - low) / about
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * m for m in (1, 2, 2.5, 5, 10) if unit * m >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [first * step + k * step for k in range(int((high - first * step) / step + 1e-9) + 1)]


def decimals(ticks: Sequence[float]) -> int:
    """Decimals that tell neighbouring ticks apart."""
    if len(ticks) < 2:
        return 2
    step = min(b - a for a, b in itertools.pairwise(ticks))
    return next((d for d in range(6) if abs(step * 10**d - round(step * 10**d)) < 1e-6), 6)
