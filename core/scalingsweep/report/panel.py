"""One panel of a figure: data in, an element of the page out.

Called by every figure. A panel is a small drawing of a fixed size rather than a part of a large
one, because the page then sets panels side by side on a desk and below each other on a phone, and
their text stays legible on both. Matplotlib is imported late: a fit needs none of it.
"""

import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from scalingsweep import errors
from scalingsweep.report import numbers, palette, svg
from scalingsweep.report.axis import Axis, decimals

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike

_INCHES = (4.6, 3.5)
_FRAME = (0.13, 0.155, 0.855, 0.735)  # left, bottom, width, height within the figure
_CROWD = 80
Dash = Literal["solid", "dashed", "dotted"]
_DASHES: dict[str, Any] = {"solid": "-", "dashed": (0, (4, 2.5)), "dotted": (0, (1.2, 1.8))}
_MARKER_SIZE = 5.6
_WEIGHT = {"^": 1.2, "v": 1.2, "s": 0.92, "D": 0.86, "P": 1.15, "X": 1.15, "p": 1.1}
"""What makes markers of different shapes look equally large."""
_POINTS = 72.0  # SVG units per inch


def require() -> None:
    """Refuse early and in words where the drawing library is missing.

    Raises:
        SpecError: matplotlib or jinja2 is not installed.
    """
    for module in ("matplotlib", "jinja2"):
        try:
            __import__(module)
        except ImportError:
            problem = f"needs {module}: pip install 'scalingsweep[fit]'"
            raise errors.SpecError("report", problem) from None


class Panel:
    """A pair of axes on which series are drawn, each under an id of its own."""

    def __init__(self, *, key: str, title: str, description: str, x: Axis, y: Axis) -> None:
        """Start an empty panel.

        Args:
            key: unique on the page, and a valid id.
            title: printed over the panel, and its accessible name.
            description: what a reader who cannot see it is told.
            x: the horizontal axis.
            y: the vertical axis.
        """
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure

        self.key, self.title, self.description = key, title, description
        self.x, self.y = x, y
        self._series: dict[str, dict[str, str]] = {}
        with _settings():
            self._figure = Figure(figsize=_INCHES)
            FigureCanvasSVG(self._figure)
            self._figure.patch.set_visible(False)
            self._axes = self._figure.add_axes(_FRAME)
            _dress(self._axes, x, y)

    def points(
        self, x: "ArrayLike", y: "ArrayLike", *, colour: str, marker: str = "o", **data: Any
    ) -> None:
        """Markers; `data` become data attributes, with `series="points"` unless they say."""
        self._draw(
            x,
            y,
            data={"series": "points", **data},
            linestyle="none",
            marker=marker,
            markersize=_MARKER_SIZE * _WEIGHT.get(marker, 1.0),
            markerfacecolor=palette.sentinel(colour),
            markeredgecolor=palette.sentinel("plot"),
            markeredgewidth=0.6,
            zorder=4,
        )

    def line(
        self,
        x: "ArrayLike",
        y: "ArrayLike",
        *,
        colour: str,
        dash: Dash = "solid",
        width: float = 1.3,
        alpha: float = 1.0,
        **data: Any,
    ) -> None:
        """A curve: a fitted law, a training loss."""
        self._draw(
            x,
            y,
            data={"series": "line", **data},
            color=palette.sentinel(colour),
            linestyle=_DASHES[dash],
            linewidth=width,
            alpha=alpha,
            solid_capstyle="round",
            zorder=3,
        )

    def band(
        self, x: "ArrayLike", low: "ArrayLike", high: "ArrayLike", *, colour: str, **data: Any
    ) -> None:
        """The area between two curves."""
        self._axes.fill_between(
            np.asarray(x, dtype=float),
            np.clip(np.asarray(low, dtype=float), self.y.low, self.y.high),
            np.clip(np.asarray(high, dtype=float), self.y.low, self.y.high),
            color=palette.sentinel(colour),
            alpha=0.18,
            linewidth=0,
            zorder=2,
            gid=self._register({"series": "band", **data}),
        )

    def shade(self, low: float, high: float, **data: Any) -> None:
        """A background from one x to another: the domain of the measurements."""
        self._axes.axvspan(
            max(low, self.x.low),
            min(high, self.x.high),
            color=palette.sentinel("shade"),
            linewidth=0,
            zorder=0,
            gid=self._register({"series": "domain", **data}),
        )

    def level(self, y: float, *, colour: str = "muted", dash: Dash = "solid", **data: Any) -> None:
        """A horizontal reference line; none where the axis does not reach."""
        if not self.y.low <= y <= self.y.high:
            return
        ends = [self.x.low, self.x.high]
        how = {"series": "level", **data}
        self.line(ends, [y, y], colour=colour, dash=dash, width=0.9, **how)

    def contours(
        self, x: "ArrayLike", y: "ArrayLike", z: "ArrayLike", levels: Sequence[float], **data: Any
    ) -> None:
        """Lines of equal z over a grid, each with its level written on it."""
        with _settings():
            drawn = self._axes.contour(
                x,
                y,
                z,
                levels=list(levels),
                colors=palette.sentinel("muted"),
                linewidths=0.7,
                alpha=0.75,
                zorder=1,
            )
            drawn.set_gid(self._register({"series": "contour", **data}))
            places = decimals(levels)
            labels = self._axes.clabel(drawn, fmt=lambda value: f"{value:.{places}f}", fontsize=8.5)
            for label in labels:
                label.set_color(palette.sentinel("muted"))

    def svg(self, styles: svg.Styles) -> str:
        """The panel as an `<svg>` element whose classes are kept in `styles`."""
        target = io.StringIO()
        self._make_room()
        with _settings():
            metadata = {"Date": None, "Creator": None, "Format": None, "Type": None}
            self._figure.savefig(target, format="svg", metadata=metadata)
        return svg.embed(
            target.getvalue(),
            prefix=self.key,
            title=self.title,
            description=self.description,
            axes={"x": self._scale(self.x, vertical=False), "y": self._scale(self.y, vertical=True)}
            | {"figure": self.key},
            series=self._series,
            styles=styles,
        )

    def _make_room(self) -> None:
        """Smaller markers where there are so many that they would hide each other."""
        marked = [line for line in self._axes.lines if line.get_linestyle() == "None"]
        if sum(np.size(line.get_xdata()) for line in marked) > _CROWD:
            for line in marked:
                line.set_markersize(0.62 * line.get_markersize())
                line.set_markeredgewidth(0.35)

    def _draw(self, x: "ArrayLike", y: "ArrayLike", *, data: dict[str, Any], **how: Any) -> None:
        xs, ys = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
        if (np.isfinite(xs) & np.isfinite(ys)).any():
            self._axes.plot(xs, ys, gid=self._register(data), **how)

    def _register(self, data: dict[str, Any]) -> str:
        gid = f"g{len(self._series)}"
        self._series[gid] = {key: str(value) for key, value in data.items()}
        return gid

    def _scale(self, axis: Axis, *, vertical: bool) -> str:
        """`log|linear low high at-low at-high`: data values and where they lie in the SVG."""
        width, height = (inches * _POINTS for inches in _INCHES)
        left, bottom, across, up = _FRAME
        ends = (left * width, (left + across) * width)
        if vertical:  # SVG's y grows downwards
            ends = (height * (1 - bottom), height * (1 - bottom - up))
        kind = "log" if axis.log else "linear"
        return f"{kind} {axis.low!r} {axis.high!r} {ends[0]:.6f} {ends[1]:.6f}"


def _settings() -> Any:
    """Everything that makes the drawing ours and the same on every day and machine."""
    import matplotlib as mpl

    return mpl.rc_context(
        {
            "font.family": "sans-serif",
            "font.sans-serif": ["DejaVu Sans"],  # ships with matplotlib: one layout everywhere
            "font.size": 9,
            "path.simplify": False,  # every point that was given can be read back
            "svg.fonttype": "none",
            "svg.hashsalt": "scalingsweep",
            "text.parse_math": False,  # a dollar sign in a name is a dollar sign
        }
    )


def _dress(axes: "Axes", x: Axis, y: Axis) -> None:
    """Ranges, ticks, labels and a quiet frame."""
    axes.set_facecolor(palette.sentinel("plot"))
    axes.set_xscale("log" if x.log else "linear")
    axes.set_yscale("log" if y.log else "linear")
    axes.set_xlim(x.low, x.high)
    axes.set_ylim(y.low, y.high)
    for ruler, axis in ((axes.xaxis, x), (axes.yaxis, y)):
        ticks = axis.ticks()
        ruler.set_ticks(ticks, labels=_labels(axis, ticks))
        ruler.set_ticks([], minor=True)
    ink, muted, rule = (palette.sentinel(name) for name in ("ink", "muted", "rule"))
    axes.grid(color=rule, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, pad=5, labelcolor=muted, labelsize=10)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(muted)
        spine.set_linewidth(0.8)
    axes.set_xlabel(svg.clean(x.label), color=ink, labelpad=4, fontsize=10.5)
    # level and over the axis: it reads without turning one's head, and leaves the width to the plot
    axes.text(
        -_FRAME[0] / _FRAME[2],
        1.05,
        svg.clean(y.label),
        transform=axes.transAxes,
        color=ink,
        fontsize=10.5,
        parse_math=False,
    )


def _labels(axis: Axis, ticks: Sequence[float]) -> list[str]:
    ticks = [0.0 if math.isclose(tick, 0, abs_tol=1e-12) else tick for tick in ticks]
    if axis.text is numbers.loss:
        return [numbers.loss(tick, decimals(ticks)) for tick in ticks]
    if axis.text is numbers.percent:
        return [numbers.percent(tick, decimals([100 * one for one in ticks])) for tick in ticks]
    return [axis.text(tick) for tick in ticks]
