"""Fitted laws as sheets: a long table for programs, and laws side by side for people."""

from collections.abc import Mapping, Sequence
from typing import Any

from scalingsweep.errors import FitError
from scalingsweep_cli.tables.sheet import Answer, Column, Kind, Sheet, Span, Value
from scalingsweep_cli.tables.source import Source

_TEXTS = ("study", "law", "arms", "corpus", "parameter")
_NUMBERS = ("value", "low", "high", "level")
_FLAGS = ("shared", "atBound", "identified")
_SYMBOLS = {"alpha": "α", "beta": "β", "gamma": "γ"}


def of(sources: Sequence[Source]) -> Answer:
    """The parameters of every fit of every study, with their intervals.

    Raises:
        FitError: a study has none yet.
    """
    for source in sources:
        if not source.fits:
            raise FitError(
                f"{source.name} has no fit yet: `scalingsweep report {source.path}` makes one"
                if source.path.suffix != ".csv"
                else f"{source.name} has no fit: there is no fit.json beside {source.path}"
            )
    long = [row for source in sources for fit in source.fits for row in _rows(source, fit)]
    columns = (
        *(Column(name=name, kind=Kind.TEXT) for name in _TEXTS),
        *(Column(name=name, kind=Kind.NUMBER) for name in _NUMBERS),
        *(Column(name=name, kind=Kind.TEXT) for name in (*_FLAGS, "method")),
        *(Column(name=name, kind=Kind.COUNT) for name in ("rows", "clusters")),
    )
    return Answer(
        key="parameters",
        data=Sheet(title="", columns=columns, rows=long),
        views=tuple(_views(sources)),
        notes=(
            "value [low, high]: 95 % intervals; ? where an end does not exist; * not identified",
        ),
        warnings=tuple(
            f"{source.name}, {fit['law']} of {', '.join(fit['arms'])}: {words}"
            for source in sources
            for fit in source.fits
            for words in fit.get("warnings", ())
        ),
    )


def _rows(source: Source, fit: Mapping[str, Any]) -> list[list[Value]]:
    interval = fit.get("interval") or {}
    return [
        [
            source.name,
            fit["law"],
            "+".join(fit["arms"]),
            fit.get("corpus"),
            name,
            *(entry.get(key) for key in ("value", "low", "high")),
            interval.get("level"),
            *(str(entry[key]).lower() if key in entry else None for key in _FLAGS),
            interval.get("method"),
            fit.get("rows"),
            fit.get("clusters"),
        ]
        for name, entry in {**fit["parameters"], **(fit.get("contrasts") or {})}.items()
    ]


def _views(sources: Sequence[Source]) -> list[Sheet]:
    """A sheet for each (law, arms): a row for each parameter, a column for each study."""
    groups: dict[tuple[str, str, str], dict[str, Mapping[str, Any]]] = {}
    for source in sources:
        for fit in source.fits:
            key = fit["law"], ", ".join(fit["arms"]), fit.get("corpus") or ""
            groups.setdefault(key, {})[source.name] = fit
    return [_view(*key, fits) for key, fits in groups.items()]


def _view(law: str, arms: str, corpus: str, fits: Mapping[str, Mapping[str, Any]]) -> Sheet:
    entries = {
        study: {**fit["parameters"], **(fit.get("contrasts") or {})} for study, fit in fits.items()
    }
    names = dict.fromkeys(name for found in entries.values() for name in found)
    rows: list[list[Value | Span]] = [
        [_symbol(name), *(_span(found.get(name)) for found in entries.values())] for name in names
    ]
    rows.append(["rows", *(fit.get("rows") for fit in fits.values())])
    on = f", loss on {corpus}" if corpus else ""
    return Sheet(
        title=f"{law}: {arms}{on}",
        columns=(
            Column(name="parameter", kind=Kind.TEXT),
            *(Column(name=study, kind=Kind.INTERVAL) for study in fits),
        ),
        rows=rows,
    )


def _span(entry: Mapping[str, Any] | None) -> Span | None:
    if entry is None:
        return None
    return Span(
        value=entry.get("value"),
        low=entry.get("low"),
        high=entry.get("high"),
        identified=entry.get("identified") is not False,
    )


def _symbol(name: str) -> str:
    for word, letter in _SYMBOLS.items():
        name = name.replace(word, letter)
    return name
