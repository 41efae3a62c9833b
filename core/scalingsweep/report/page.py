"""The page: every part of the report put into one HTML file that needs nothing else.

Called by `report.render`. The template escapes every word that comes from the study; only what this
package draws itself goes in as it is. Styles stand in one element whose hash the page's own content
security policy names, so that nothing else on it could run or load.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from scalingsweep.report import cells, figure, numbers, palette, panel, svg, swatch, tables, words
from scalingsweep.report.figures import (
    curves,
    forgetting,
    isoloss,
    parameters,
    residuals,
    savings,
    tokens,
)
from scalingsweep.report.study import Study

FIGURES = (tokens, parameters, isoloss, savings, curves, forgetting, residuals)
"""In the order of the page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Drawn:
    title: str
    svg: str


def render(study: Study) -> str:
    """The report as one HTML document.

    Raises:
        SpecError: matplotlib or jinja2 is not installed; says how to install them.
    """
    panel.require()
    import jinja2
    import markupsafe

    styles = svg.Styles()
    figures = [_figure(module.draw(study), styles) for module in FIGURES]
    style = palette.css() + _asset("style.css") + styles.css()
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    text = environment.from_string(_asset("page.html.j2")).render(
        study=study,
        subtitle=_subtitle(study),
        claims=words.claims(study),
        gamma=words.gamma(study),
        totals=tables.totals(study),
        cautions=_cautions(study),
        figures=figures,
        tables=tables.every(study),
        methods=_methods(study),
        style=style,
        style_hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        swatch=lambda key: markupsafe.Markup(swatch.draw(key)),  # noqa: S704  # made of our own constants
    )
    return svg.clean(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shown:
    key: str
    title: str
    caption: str
    legend: tuple[figure.Key, ...]
    panels: tuple[_Drawn, ...]
    empty: str

    @property
    def columns(self) -> int:
        """Panels side by side on a wide screen: pairs stay pairs, the rest goes in threes."""
        count = len(self.panels)
        return count if count < 3 else 2 if count == 4 or self.key == savings.KEY else 3


def _figure(drawn: figure.Figure, styles: svg.Styles) -> _Shown:
    return _Shown(
        key=drawn.key,
        title=drawn.title,
        caption=drawn.caption,
        legend=drawn.legend,
        panels=tuple(_Drawn(title=one.title, svg=one.svg(styles)) for one in drawn.panels),
        empty=drawn.empty,
    )


def _asset(name: str) -> str:
    return resources.files("scalingsweep.report").joinpath("templates", name).read_text("utf-8")


def _subtitle(study: Study) -> str:
    sizes = list(cells.sizes(study).values())
    N = [one.N for one in sizes if numbers.finite(one.N)]
    span = f" of {words.span(N)} parameters" if N else ""
    return (
        f"{words.several(len(study.arms), 'arm')}, {words.several(len(sizes), 'size')}{span}, "
        f"{words.several(len(study.rows), 'observation')} "
        f"on {words.listed(study.corpora) or 'no corpus'}"
    )


def _cautions(study: Study) -> list[tuple[str, Sequence[str]]]:
    """Titles and lines of the box that says what the study does not know."""
    warned = [f"{fit.get('law')}: {text}" for fit in study.fits for text in fit.get("warnings", ())]
    dropped = [
        f"row {one.get('row')}: {one.get('reason')}"
        for fit in study.fits
        for one in fit.get("dropped", ())
    ]
    groups = (
        ("Not identified", words.unidentified(study)),
        (f"Missing: {words.several(len(study.missing), 'observation')}", study.missing),
        ("Left out of a fit", dropped),
        ("Warnings", (*study.warnings, *warned)),
    )
    return [(title, list(dict.fromkeys(lines))) for title, lines in groups if lines]


def _methods(study: Study) -> list[str]:
    """How each fit was made, one sentence per different way."""
    said = []
    for fit in study.fits:
        objective, interval = fit.get("objective") or {}, fit.get("interval") or {}
        delta = numbers.finite(objective.get("delta"))
        of = f" with δ = {delta:g}" if delta is not None else ""
        method = words.METHODS.get(
            str(interval.get("method")), str(interval.get("method", "no method"))
        )
        samples = numbers.finite(interval.get("samples"))
        said.append(
            f"Fit of {fit.get('law')} over {words.listed(fit.get('arms', ()))}: "
            f"{objective.get('name', 'unknown objective')}{of}, value "
            f"{numbers.power(objective.get('value'), 6)}, on {fit.get('rows', '?')} rows in "
            f"{fit.get('clusters', '?')} clusters of (size, seed). Intervals of "
            f"{numbers.percent(interval.get('level'))} by {method}"
            f"{f', {samples:.0f} samples' if samples else ''}." + _sharing(fit) + _held_out(fit)
        )
    return said


def _sharing(fit: Mapping[str, Any]) -> str:
    sharing = fit.get("sharing")
    if not sharing:
        return ""
    pvalue = numbers.coefficient(sharing.get("pvalue"))
    verdict = "the data reject it" if sharing.get("verdict") == "rejected" else "the data allow it"
    return f" That the arms share E, A and α was tested: {verdict} (p = {pvalue})."


def _held_out(fit: Mapping[str, Any]) -> str:
    held = fit.get("holdOut")
    if not held:
        return ""
    return (
        f" Fitted without its {held.get('rows')} largest runs it foretells them to "
        f"{numbers.percent(held.get('meanRelativeError'), 2)} on average, "
        f"{numbers.percent(held.get('coverage'))} of them inside their intervals."
    )
