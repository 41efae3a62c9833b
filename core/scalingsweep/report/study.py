"""What a report is drawn from: a finished (or half-finished) study, as plain values.

Built by the command (`report`) and by the worker (`fit`) from observations.csv, the step records
and fit.json; drawn by every other module of this package. Nothing here reads a file.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Row = Mapping[str, Any]
"""One row of observations.csv: numbers parsed, an empty cell None."""
CurveKey = tuple[str, str, int, str]
"""(arm, size, seed, branch); branch is `trunk` or the D of a decay, as in the metrics' keys."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One way of training, as the manifest names it."""

    name: str
    corpus: str
    source: str | None = None
    """The arm whose checkpoint it starts from; None: from scratch."""
    replay_corpus: str | None = None
    replay_ratio: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """Everything that the report shows; every part of it may be empty."""

    name: str
    rows: tuple[Row, ...] = ()
    """The rows of observations.csv, in its order."""
    arms: tuple[Arm, ...] = ()
    """In the manifest's order, which fixes each arm's colour and marker."""
    corpora: tuple[str, ...] = ()
    curves: Mapping[CurveKey, tuple[Mapping[str, Any], ...]] = field(default_factory=dict)
    """Step records (ARCHITECTURE.md) of every trunk and branch, in order of steps."""
    fits: tuple[Mapping[str, Any], ...] = ()
    """The `fits` of fit.json."""
    missing: tuple[str, ...] = ()
    """The cells of the grid without an observation, each named in words."""
    warnings: tuple[str, ...] = ()
    manifest: str = ""
    """The manifest's YAML, shown folded."""
    versions: Mapping[str, str] = field(default_factory=dict)
    totals: Mapping[str, float] = field(default_factory=dict)
    """What the sweep took: `trials`, `C` (Σ 6ND), `flops`, `seconds`, `gpuHours`, `tokens`."""

    def arm(self, name: str) -> Arm | None:
        """The arm of that name, or None."""
        return next((arm for arm in self.arms if arm.name == name), None)
