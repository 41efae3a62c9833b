"""What a figure is to the page: title, words, legend and panels; or why nothing is drawn."""

from collections.abc import Iterable
from dataclasses import dataclass

from scalingsweep.report import cells, palette
from scalingsweep.report.panel import Dash, Panel
from scalingsweep.report.study import Arm, Study


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One entry of a legend; the page draws its swatch."""

    label: str
    colour: str = "muted"
    marker: str = ""
    line: bool = False
    dash: Dash = "solid"
    area: str = ""
    """`band` or `domain`: a filled swatch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure of the report."""

    key: str
    title: str
    caption: str
    legend: tuple[Key, ...] = ()
    panels: tuple[Panel, ...] = ()
    empty: str = ""
    """Said in place of the panels where there are none."""


def arm_keys(study: Study, arms: Iterable[Arm]) -> tuple[Key, ...]:
    """Legend entries of arms."""
    shown = {arm.name for arm in arms}
    return tuple(
        Key(label=arm.name, colour=palette.arm(place), marker=palette.marker(place))
        for place, arm in enumerate(study.arms)
        if arm.name in shown
    )


def size_keys(study: Study, most: int = 8) -> tuple[Key, ...]:
    """Legend entries of sizes: all, or some of many, first and last among them."""
    series = list(cells.sizes(study).values())
    if len(series) > most:
        step = (len(series) - 1) / (most - 1)
        series = [series[round(place * step)] for place in range(most)]
    return tuple(Key(label=one.label, colour=one.colour, marker="o") for one in series)


def place(study: Study, arm: Arm) -> int:
    """The arm's place in the manifest, which fixes its colour and marker."""
    return study.arms.index(arm)
