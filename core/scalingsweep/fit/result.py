"""A fit as a value, and as one object of fit.json.

Made by `fit`, written by the trainer and the command, read by `report`. Key names are the contract
of ARCHITECTURE.md, "Observations and fits".
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np

from scalingsweep import laws
from scalingsweep.fit.objective import Objective
from scalingsweep.fit.solve import Solution
from scalingsweep.fit.table import Dropped, Table
from scalingsweep.laws import Floats, Law


class Method(StrEnum):
    """Where the intervals come from."""

    BOOTSTRAP_ROWS = "bootstrap-rows"
    BOOTSTRAP_CLUSTERS = "bootstrap-clusters"
    PROFILE_T = "profile-t"
    NONE = "none"
    """No intervals were asked for."""


class Verdict(StrEnum):
    """Whether the arms may share what they share."""

    FITS = "fits"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A number and its interval; the ends are None where none was asked for or none exists."""

    value: float | None
    low: float | None = None
    high: float | None = None

    def to_json(self) -> dict[str, float | None]:
        return {"value": self.value, "low": self.low, "high": self.high}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One fitted coefficient, in raw units."""

    estimate: Estimate
    shared: bool
    at_bound: bool
    identified: bool

    def to_json(self) -> dict[str, float | bool | None]:
        return {
            **self.estimate.to_json(),
            "shared": self.shared,
            "atBound": self.at_bound,
            "identified": self.identified,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmAllocation:
    """An arm's compute-optimal split N* = G (C/6)^a, D* = (C/6)^b / G."""

    G: Estimate
    a: Estimate
    b: Estimate
    valid: bool
    why: str

    def to_json(self) -> dict[str, Any]:
        return {
            "G": self.G.to_json(),
            "a": self.a.to_json(),
            "b": self.b.to_json(),
            "valid": self.valid,
            "why": self.why,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharing:
    """The test of what the arms were made to share."""

    statistic: float
    pvalue: float
    verdict: Verdict

    def to_json(self) -> dict[str, Any]:
        return {
            "statistic": self.statistic,
            "pvalue": self.pvalue,
            "verdict": self.verdict.value,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """The loss of a run that was not made; the interval is that of one run, not of the law
    alone.
    """

    arm: str
    flops: float
    N: float | None
    D: float | None
    loss: Estimate

    def to_json(self) -> dict[str, Any]:
        return {
            "arm": self.arm,
            "flops": self.flops,
            "N": self.N,
            "D": self.D,
            "loss": self.loss.to_json(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldOut:
    """How well a fit of the smaller runs foretold the larger ones."""

    rows: int
    mean_relative_error: float
    coverage: float
    """The share of held-out losses inside their 95 % prediction intervals."""

    def to_json(self) -> dict[str, Any]:
        return {
            "rows": self.rows,
            "meanRelativeError": self.mean_relative_error,
            "coverage": self.coverage,
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fit:
    """A law fitted to a table: what is known, how well, and what is not."""

    law: Law
    arms: tuple[str, ...]
    corpus: str
    objective: Objective
    delta: float
    value: float
    """Of the objective at the optimum."""
    rows: int
    clusters: int
    dropped: tuple[Dropped, ...]
    parameters: Mapping[str, Parameter]
    contrasts: Mapping[str, Estimate]
    """Differences of exponents between arms, such as gamma[cpt]-gamma[scratch]."""
    method: Method
    level: float
    samples: int
    allocation: Mapping[str, ArmAllocation]
    sharing: Sharing | None
    predictions: tuple[Prediction, ...]
    hold_out: HoldOut | None
    warnings: tuple[str, ...]
    sha256: str
    versions: Mapping[str, str]
    table: Table = field(repr=False)
    solution: Solution = field(repr=False)
    draws: Floats = field(repr=False)
    """(samples, P): the optimum of every resample, for bands."""

    def surface(self, arm: str) -> laws.Surface:
        """The fitted law of an arm."""
        return self.solution.surface(self.arms.index(arm))

    def surfaces(self, arm: str) -> laws.Surface:
        """Its resamples, as one surface whose fields have shape (samples,)."""
        return self.solution.layout.surface(self.draws, self.arms.index(arm))

    def band(self, arm: str, N: Floats, D: Floats) -> tuple[Floats, Floats]:
        """The interval of the law itself (not of a run) at points of one shape."""
        column = self.solution.layout.surface(self.draws[:, None, :], self.arms.index(arm))
        losses = column.loss(np.ravel(N), np.ravel(D))
        tail = (1 - self.level) / 2
        low, high = np.quantile(losses, [tail, 1 - tail], axis=0)
        return low.reshape(np.shape(N)), high.reshape(np.shape(N))

    def to_json(self) -> dict[str, Any]:
        """The object of fit.json; every number is a JSON number or null, in full precision."""
        return {
            "law": self.law.value,
            "arms": list(self.arms),
            "corpus": self.corpus,
            "objective": {
                "name": self.objective.value,
                "delta": self.delta if self.objective is Objective.LOG_HUBER else None,
                "value": self.value,
            },
            "rows": self.rows,
            "clusters": self.clusters,
            "dropped": [{"row": d.row, "reason": d.reason} for d in self.dropped],
            "parameters": {name: p.to_json() for name, p in self.parameters.items()},
            "contrasts": {name: c.to_json() for name, c in self.contrasts.items()},
            "interval": {
                "method": self.method.value,
                "level": self.level,
                "samples": self.samples,
            },
            "allocation": {arm: a.to_json() for arm, a in self.allocation.items()},
            "sharing": self.sharing.to_json() if self.sharing else None,
            "predictions": [p.to_json() for p in self.predictions],
            "holdOut": self.hold_out.to_json() if self.hold_out else None,
            "warnings": list(self.warnings),
            "data": {"sha256": self.sha256},
            "versions": dict(self.versions),
        }
