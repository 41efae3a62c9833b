"""Reads a report back: the panels of its figures, and the numbers that are plotted in them.

Only what is on the page is used: coordinates in the SVG, and each panel's `data-x` and `data-y`,
which say how data became coordinates.
"""

import math
import re
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree as ET


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One group of a panel: its data attributes and its points in data units."""

    data: dict[str, str]
    points: list[tuple[float, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    key: str
    element: ET.Element
    series: list[Series]

    def of(self, series: str, /, **data: Any) -> list[Series]:
        """The series of that kind whose data attributes are as given."""
        wanted = {"series": series, **{key: str(value) for key, value in data.items()}}
        return [one for one in self.series if wanted.items() <= one.data.items()]

    def points(self, series: str = "points", /, **data: Any) -> list[tuple[float, float]]:
        """The points of those series, one after another."""
        return [point for one in self.of(series, **data) for point in one.points]


def panels(html: str, figure: str) -> list[Panel]:
    """The panels of the figure with that key, in the page's order."""
    found = re.search(rf'<figure id="figure-{figure}".*?</figure>', html, re.DOTALL)
    assert found, f"no figure {figure}"
    drawn = re.findall(r"<svg [^>]*data-figure=.*?</svg>", found[0], re.DOTALL)
    return [_panel(ET.fromstring(one)) for one in drawn]


def _panel(root: ET.Element) -> Panel:
    x, y = (_inverse(root.get(f"data-{name}", "")) for name in "xy")
    series = []
    for node in root.iter("g"):
        if node.get("data-series"):
            data = {k.removeprefix("data-"): v for k, v in node.items() if k.startswith("data-")}
            at = [(float(use.get("x", "")), float(use.get("y", ""))) for use in node.iter("use")]
            at = at or [point for path in node.iter("path") for point in _path(path.get("d", ""))]
            series.append(Series(data=data, points=[(x(a), y(b)) for a, b in at]))
    return Panel(key=root.get("data-figure", ""), element=root, series=series)


def _path(text: str) -> list[tuple[float, float]]:
    numbers = [float(one) for one in re.findall(r"-?\d+(?:\.\d+)?", text)]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def _inverse(scale: str) -> Any:
    kind, *numbers = scale.split()
    low, high, start, end = (float(one) for one in numbers)
    if kind == "log":
        low, high = math.log(low), math.log(high)

    def data(at: float) -> float:
        value = low + (at - start) / (end - start) * (high - low)
        return math.exp(value) if kind == "log" else value

    return data
