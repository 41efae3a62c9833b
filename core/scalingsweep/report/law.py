"""A fitted law of one arm, as the figures use it: the seam between fit.json and `laws`.

A Fit's parameters are found for an arm here, and of several fits that hold the arm the one that the
report speaks of is chosen. All formulas are those of `scalingsweep.laws`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from scalingsweep import laws
from scalingsweep.report import numbers
from scalingsweep.report.study import Arm, Study

PARAMETERS = ("E", "A", "B", "alpha", "beta", "gamma")


@dataclass(frozen=True, slots=True, kw_only=True)
class Law:
    """An arm's surface and the Fit that it comes from."""

    arm: str
    fit: Mapping[str, Any]
    surface: laws.Surface
    draws: laws.Surface | None
    """Its resamples, fields of shape (samples, 1), so that they broadcast against points; None
    where fit.json carries none: then there are no bands."""


def parameter(fit: Mapping[str, Any], name: str, arm: str) -> Mapping[str, Any] | None:
    """A parameter of an arm: its own in a joint fit, else the shared one, else None."""
    found = fit.get("parameters") or {}
    entry = found.get(f"{name}[{arm}]", found.get(name))
    return entry if isinstance(entry, Mapping) else None


def read(fit: Mapping[str, Any], arm: str) -> Law | None:
    """The arm's law in this fit, or None where a parameter is missing or not finite."""
    values = {}
    for name in PARAMETERS:
        entry = parameter(fit, name, arm)
        value = numbers.finite(entry.get("value")) if entry else None
        if value is None and name == "gamma" and fit.get("law") == laws.Law.CHINCHILLA:
            value = 0.0
        if value is None or (value <= 0 and name in {"A", "B"}):
            return None
        values[name] = value
    return Law(arm=arm, fit=fit, surface=laws.Surface(**values), draws=_draws(fit, arm))


def _draws(fit: Mapping[str, Any], arm: str) -> laws.Surface | None:
    """`draws: {arm: {role: [number, …]}}` of fit.json, without resamples that are no law."""
    drawn = (fit.get("draws") or {}).get(arm)
    if not drawn:
        return None
    gamma = drawn.get("gamma") or [0.0] * len(drawn["E"])
    columns = {**drawn, "gamma": gamma}
    table = np.array([columns[name] for name in PARAMETERS], dtype=np.float64)
    sound = np.isfinite(table).all(axis=0) & (table[1] > 0) & (table[2] > 0)
    values = dict(zip(PARAMETERS, table[:, sound, None], strict=True))
    return laws.Surface(**values) if sound.sum() >= _LEAST_DRAWS else None


def ends(fit: Mapping[str, Any], values: laws.Floats) -> tuple[laws.Floats, laws.Floats]:
    """The interval over the first axis, at the fit's own level; NaN where too few are finite."""
    level = numbers.finite((fit.get("interval") or {}).get("level")) or 0.95
    few = np.isfinite(values).sum(axis=0) < _LEAST_DRAWS
    # an all-NaN column has no quantile, and numpy warns of it
    kept = np.where(few, 0.0, values)
    low, high = np.nanquantile(kept, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return np.where(few, np.nan, low), np.where(few, np.nan, high)


_LEAST_DRAWS = 40
"""Fewer say nothing about the ends of a 95 % interval."""


def of(study: Study, arm: str) -> Law | None:
    """The law that the report speaks of for an arm.

    The extended law before Chinchilla's (γ is fitted in every arm), and a joint fit before a single
    one unless the test of sharing rejected it.
    """
    found = [read(fit, arm) for fit in study.fits if arm in fit.get("arms", ())]
    return min((law for law in found if law), key=lambda law: _rank(law.fit), default=None)


def _rank(fit: Mapping[str, Any]) -> tuple[bool, bool, int]:
    arms = fit.get("arms", ())
    rejected = len(arms) > 1 and (fit.get("sharing") or {}).get("verdict") == "rejected"
    return rejected, fit.get("law") != laws.Law.EXTENDED, -len(arms)


def label(law: Law) -> str:
    """How the fit is called in words."""
    name = "Chinchilla’s law" if law.fit.get("law") == laws.Law.CHINCHILLA else "the extended law"
    arms = law.fit.get("arms", ())
    if len(arms) < 2:
        return name
    if not any(p.get("shared") for p in law.fit.get("parameters", {}).values()):
        return f"{name}, fitted to each arm for itself"
    return f"{name}, fitted jointly over {', '.join(arms[:-1])} and {arms[-1]}"


def pairs(study: Study) -> list[tuple[Arm, Arm]]:
    """(from scratch, CPT) for every arm that continues another and has one to be compared with."""
    found = []
    for arm in study.arms:
        scratch = next(
            (one for one in study.arms if one.source is None and one.corpus == arm.corpus), None
        )
        if arm.source is not None and scratch is not None:
            found.append((scratch, arm))
    return found
