"""What a fit does not know, said in words.

`fit` asks after solving and resampling; the answers go into fit.json's flags and warnings, and from
there onto the report.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scalingsweep import logsum
from scalingsweep.fit.result import ArmAllocation, Estimate, Parameter, Sharing, Verdict
from scalingsweep.fit.solve import Solution
from scalingsweep.fit.table import Table
from scalingsweep.laws import Floats, Law, Role

LOOSE = 0.2
"""alpha or beta is called loose when half its interval is more than this share of it."""
LOOSE_GAMMA = 0.1
"""gamma has no scale of its own but the other exponents', which are a few tenths."""
LEAST_OCTAVES = 1.0
"""Over less than a doubling of its axis a power law is a straight line, whatever its exponent."""
EXPONENTS = ("alpha", "beta", "gamma")
INVOLVED = 0.1
"""A parameter takes part in a flat direction when its component is at least this."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Flags:
    """Per parameter of theta."""

    at_bound: NDArray[np.bool_]
    identified: NDArray[np.bool_]
    flat: tuple[tuple[str, ...], ...]
    """The names that take part in each flat direction."""


def flags(solution: Solution, low: Floats | None, high: Floats | None) -> Flags:
    """Which parameters are at a bound, and which the table does not identify.

    Args:
        solution: the fit.
        low: (P,) the intervals' lower ends in theta's coordinates; None without intervals.
        high: (P,)
    """
    layout = solution.layout
    theta = solution.theta
    margin = 1e-6 * (layout.upper - layout.lower)
    at_bound = (theta <= layout.lower + margin) | (theta >= layout.upper - margin)
    J = layout.jacobian(theta[None])[0]
    null = logsum.flat_directions(J)
    flat = np.abs(null) >= INVOLVED
    ends = _linear_ends(solution, J) if low is None or high is None else (low, high)
    clear = (ends[0] > layout.lower + margin) & (ends[1] < layout.upper - margin)
    identified = ~flat.any(axis=0) & ~at_bound & (clear | ~np.isin(layout.roles, logsum.EXPONENTS))
    for i, role in enumerate(layout.roles):
        width = float(ends[1][i] - ends[0][i])
        wide = width > _widest(role, float(theta[i]))
        identified[i] &= not wide and _octaves(layout, i) >= LEAST_OCTAVES
    _follow_exponents(layout, identified)
    return Flags(
        at_bound=at_bound,
        identified=identified,
        flat=tuple(tuple(np.array(layout.names)[row].tolist()) for row in flat),
    )


def _widest(role: Role, value: float) -> float:
    """The width of an interval in theta's coordinates that says nothing any more."""
    if role in ("alpha", "beta"):
        return 2 * value
    if role == "gamma":
        return 1.0  # as wide as the exponents that it is added to are large
    return float(np.log(10)) if role == "E" else np.inf


def _octaves(layout: logsum.Layout, i: int) -> float:
    """How far an exponent's own axis, N or D, reaches over the rows that it enters."""
    if layout.roles[i] not in logsum.EXPONENTS:
        return np.inf
    axis = layout.V[i][layout.V[i] != 0]
    return float(np.ptp(axis) / np.log(2)) if axis.size else 0.0


def _follow_exponents(layout: logsum.Layout, identified: NDArray[np.bool_]) -> None:
    """E, A and B are values of terms far outside the grid: they are known only if exponents are."""
    follows: dict[Role, tuple[Role, ...]] = {
        "E": ("alpha", "beta"),
        "A": ("alpha",),
        "B": ("beta", "gamma"),
    }
    parameters = list(zip(layout.roles, layout.owners, strict=True))
    before = identified.copy()
    for i, (role, owner) in enumerate(parameters):
        for j, (other, owner_of_other) in enumerate(parameters):
            related = None in (owner, owner_of_other) or owner == owner_of_other
            if related and other in follows.get(role, ()):
                identified[i] &= before[j]


def _linear_ends(solution: Solution, J: Floats) -> tuple[Floats, Floats]:
    """Without resamples: 95 % ends from the Jacobian and the residuals' size."""
    P, n = J.shape
    residuals = solution.residuals()
    scale = np.sqrt((residuals**2).sum() / max(n - P, 1))
    covariance = np.linalg.pinv(J @ J.T, rcond=1e-14)
    half = 1.96 * scale * np.sqrt(np.maximum(np.diag(covariance), 0))
    return solution.theta - half, solution.theta + half


def warnings(
    *,
    table: Table,
    solution: Solution,
    found: Flags,
    parameters: Mapping[str, Parameter],
    allocation: Mapping[str, ArmAllocation],
    sharing: Sharing | None,
    few_clusters: int,
) -> tuple[str, ...]:
    """Everything that a careful reader should know before using the numbers, most serious first."""
    out = [
        f"{_and(direction)} cannot be told apart: no row's loss changes when they move together"
        for direction in found.flat
    ]
    out += _unidentified(solution, parameters)
    out += [
        f"{name} is loose: {_range(p.estimate)}"
        for name, p in parameters.items()
        if _loose(name, p)
    ]
    out += _second_optima(solution)
    out += [
        f"{arm} has no compute-optimal split: {a.why}"
        for arm, a in allocation.items()
        if not a.valid
    ]
    if sharing and sharing.verdict is Verdict.REJECTED:
        out.append(
            "the arms' data speak against the parameters that they share "
            f"(p = {sharing.pvalue:.2g}): fit them apart"
        )
    if 0 < table.clusters < few_clusters:
        out.append(
            f"an arm has only {table.clusters} clusters of runs: intervals come from profile "
            "likelihood with t quantiles and rest on normal noise"
        )
        out += [
            f"{name}: the {p.estimate.value:.3g} of the {solution.problem.objective} objective is "
            "beyond what normal noise allows; the residuals are not normal"
            for name, p in parameters.items()
            if name.startswith(EXPONENTS) and p.estimate.value in (p.estimate.low, p.estimate.high)
        ]
    if table.guessed_clusters:
        out.append(
            "no column says which rows are branches of one trunk: those of equal N are taken to be"
        )
    if solution.layout.law is Law.EXTENDED and len(table.arms) == 1:
        out.append(
            "gamma of one arm alone says nothing about transfer: compare it with another arm's"
        )
    return tuple(out)


def _unidentified(solution: Solution, parameters: Mapping[str, Parameter]) -> list[str]:
    """One sentence for each exponent, and for E where the exponents are not to blame."""
    out = []
    layout = solution.layout
    lost = [n for n, p in parameters.items() if not p.identified]
    for i, (name, role) in enumerate(zip(layout.names, layout.roles, strict=True)):
        p = parameters[name]
        if p.at_bound:
            out.append(f"{name} ended at its bound ({p.estimate.value:.4g}): it is no estimate")
        elif not p.identified and role in logsum.EXPONENTS:
            axis = "D" if role == "beta" else "N"
            span = f"{axis} spans only {2 ** _octaves(layout, i):.2g}×"
            why = span if _octaves(layout, i) < LEAST_OCTAVES else f"widen the grid in {axis}"
            out.append(f"{name} is not identified by these rows ({_range(p.estimate)}): {why}")
        elif not p.identified and role == "E" and not any(n.startswith(EXPONENTS) for n in lost):
            out.append(f"{name} is not identified by these rows ({_range(p.estimate)})")
    return out


def _loose(name: str, p: Parameter) -> bool:
    e = p.estimate
    if e.value is None or e.low is None or e.high is None or not p.identified or p.at_bound:
        return False
    half = (e.high - e.low) / 2
    if name.startswith("gamma"):
        return half > LOOSE_GAMMA
    return name.startswith(("alpha", "beta", "E")) and half > LOOSE * e.value


def _second_optima(solution: Solution) -> list[str]:
    """Other minima within 1 % whose exponents differ enough to be told apart."""
    exponents = np.isin(solution.layout.roles, logsum.EXPONENTS)
    out = []
    for theta, value in zip(solution.others, solution.other_values, strict=True):
        excess = value / solution.value - 1
        if excess <= 0.01 and np.abs(theta - solution.theta)[exponents].max() > 0.02:
            names = np.array(solution.layout.names)[exponents]
            text = ", ".join(f"{n} {v:.3g}" for n, v in zip(names, theta[exponents], strict=True))
            out.append(f"a second optimum is only {excess:.1%} worse: {text}")
    return out[:2]


def _range(e: Estimate) -> str:
    if e.value is None:
        return "no value"
    if e.low is None or e.high is None:
        return f"{e.value:.3g}"
    return f"{e.value:.3g}, between {e.low:.3g} and {e.high:.3g}"


def _and(names: tuple[str, ...]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
