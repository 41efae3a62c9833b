"""What a planned grid will be able to say, before a GPU-hour is spent.

`plan` asks for every law of the manifest. The Jacobian of the log losses at a plausible truth tells
which parameters the grid cannot separate at all (all runs at D = 20 N leave gamma and beta
collinear), how wide the intervals of the others will be, and which further runs would mend it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from scalingsweep import laws, logsum
from scalingsweep.laws import Floats, Law, Role
from scalingsweep.logsum import Layout

TRUTH = laws.Surface(E=1.55, A=420.0, B=433.3, alpha=0.40, beta=0.20, gamma=0.08)
"""Zheng et al. 2024, table 2, CPT: the published extended law."""
TRUTH_CHINCHILLA = laws.Surface(E=1.55, A=420.0, B=719.5, alpha=0.40, beta=0.30)
"""Zheng et al. 2024, table 2, from scratch."""
SMALLEST_LOSS_CAP = 6.0
"""Nats. The published laws, carried down to tiny models, exceed the loss of a uniform guess; A and
B are then scaled down together until no run is above this, which tiny models on real text are not
(platform.md: 3.5 to 4.5)."""
LOOSE = 0.2
"""As in fit.diagnosis: half an interval of alpha or beta over its value."""
LOOSE_GAMMA = 0.1
HOPELESS = 1.0
"""An exponent known to ± 1 is not known: none is greater. Budgets rounded to whole steps give a
grid of D = 20 N full rank on paper, and gamma an interval of several units."""
INVOLVED = 0.1
Z95 = 1.96
MOST_ROWS = 6
"""At most so many further runs are proposed for an arm."""


class Verdict(StrEnum):
    """What to expect of a grid."""

    IDENTIFIED = "identified"
    LOOSE = "loose"
    """Every parameter has an estimate; some have wide intervals."""
    DEFICIENT = "deficient"
    """Some parameters cannot be told apart, or only by a noise far below the one expected."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Grid:
    """n planned losses."""

    N: Floats
    D: Floats
    arm: Sequence[str]
    """(n,) names."""
    cluster: Sequence[object] | None = None
    """(n,) what the branches of one trunk have in common, such as (size, seed); None: all
    independent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A run that would help."""

    arm: str
    N: float
    D: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Identifiability:
    """What a law's parameters will be like on a grid."""

    law: Law
    verdict: Verdict
    rank: int
    parameters: int
    condition: float
    """Of the Jacobian in centred logs with columns of length one; infinite when it is deficient."""
    unidentified: tuple[str, ...]
    half_widths: dict[str, float]
    """Predicted half 95 % intervals: absolute for exponents, relative for E; infinite if
    unidentified."""
    loose: tuple[str, ...]
    mend: tuple[Point, ...]
    text: str
    """All of it in one sentence."""


def examine(
    grid: Grid,
    law: Law | str,
    *,
    noise: float = 0.005,
    truth: laws.Surface | None = None,
    share: Sequence[Role] = (),
    known: Sequence[Role] = (),
    shared_noise: float = 0.0,
) -> Identifiability:
    """Predict what a fit of a grid will identify.

    Args:
        grid: the planned losses.
        law: which law.
        noise: the standard deviation of log losses.
        truth: where the Jacobian is taken; the published law if None.
        share: what all arms have in common; each stands for itself if empty.
        known: what is not fitted but taken from elsewhere, as the paper takes E, A and alpha of the
            CPT arm from the scratch arm.
        shared_noise: the part of the noise's variance that a cluster's rows have in common.
    """
    plan = _plan(grid, Law(law), truth, tuple(share), tuple(known))
    layout, J = plan.layout(), plan.jacobian()
    names = [n for n, fitted in zip(layout.names, plan.fitted, strict=True) if fitted]
    null = logsum.flat_directions(J)
    lost = np.asarray((np.abs(null) >= INVOLVED).any(axis=0))
    errors = np.where(lost, np.inf, _errors(J, _correlation(plan, grid, shared_noise)) * noise)
    widths = {n: float(Z95 * e) for n, e in zip(names, errors, strict=True) if n[0] not in "AB"}
    unidentified = tuple(
        n
        for n, gone in zip(names, lost, strict=True)
        if gone or (n.startswith(logsum.EXPONENTS) and widths[n] > HOPELESS)
    )
    loose = tuple(n for n in plan.loose(widths) if n not in unidentified)
    verdict = Verdict.DEFICIENT if unidentified else Verdict.LOOSE if loose else Verdict.IDENTIFIED
    mend = () if verdict is Verdict.IDENTIFIED else _mend(plan, noise)
    return Identifiability(
        law=plan.law,
        verdict=verdict,
        rank=len(J) - len(null),
        parameters=len(J),
        condition=float("inf") if len(null) else _condition(J),
        unidentified=unidentified,
        half_widths=widths,
        loose=loose,
        mend=mend,
        text=_text(plan.law, unidentified, {n: widths[n] for n in loose}, mend),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Plan:
    """A grid with the law that it is examined for."""

    N: Floats
    D: Floats
    arms: tuple[str, ...]
    arm: NDArray[np.intp]
    law: Law
    truth: laws.Surface
    share: tuple[Role, ...]
    known: tuple[Role, ...]

    def layout(self) -> Layout:
        return logsum.arrange(
            self.N, self.D, self.arm, arms=self.arms, law=self.law, share=self.share
        )

    @property
    def fitted(self) -> list[bool]:
        """Per parameter of the layout whether it is fitted at all."""
        return [role not in self.known for role in self.layout().roles]

    def jacobian(self) -> Floats:
        """(P, n) of the fitted parameters at the truth."""
        layout = self.layout()
        theta = layout.theta([self.truth] * len(self.arms))
        return np.asarray(layout.jacobian(theta[None])[0][np.array(self.fitted)])

    def loose(self, widths: dict[str, float]) -> tuple[str, ...]:
        """Which exponents would have wide intervals; those without any are not loose but lost."""
        limits: dict[Role, float] = {
            "alpha": LOOSE * float(self.truth.alpha),
            "beta": LOOSE * float(self.truth.beta),
            "gamma": LOOSE_GAMMA,
        }
        layout = self.layout()
        return tuple(
            name
            for name, role in zip(layout.names, layout.roles, strict=True)
            if role in limits and limits[role] < widths.get(name, 0.0) < np.inf
        )

    def grown(self, points: Sequence[Point]) -> "_Plan":
        """The same with further runs."""
        return replace(
            self,
            N=np.concatenate([self.N, [p.N for p in points]]),
            D=np.concatenate([self.D, [p.D for p in points]]),
            arm=np.concatenate([self.arm, [self.arms.index(p.arm) for p in points]]).astype(
                np.intp
            ),
        )


def _plan(
    grid: Grid,
    law: Law,
    truth: laws.Surface | None,
    share: tuple[Role, ...],
    known: tuple[Role, ...],
) -> _Plan:
    arms = tuple(dict.fromkeys(grid.arm))
    N, D = np.asarray(grid.N, dtype=np.float64), np.asarray(grid.D, dtype=np.float64)
    return _Plan(
        N=N,
        D=D,
        arms=arms,
        arm=np.array([arms.index(a) for a in grid.arm], dtype=np.intp),
        law=law,
        truth=_published(law, N, D) if truth is None else truth,
        share=share,
        known=known,
    )


def _published(law: Law, N: Floats, D: Floats) -> laws.Surface:
    base = TRUTH if law is Law.EXTENDED else TRUTH_CHINCHILLA
    worst = float(np.max(base.loss(N, D)))
    if worst <= SMALLEST_LOSS_CAP:
        return base
    factor = (SMALLEST_LOSS_CAP - float(base.E)) / (worst - float(base.E))
    return replace(base, A=base.A * factor, B=base.B * factor)


def _correlation(plan: _Plan, grid: Grid, shared: float) -> Floats:
    n = len(plan.N)
    if grid.cluster is None or shared == 0:
        return np.eye(n)
    ids = {c: i for i, c in enumerate(dict.fromkeys(grid.cluster))}
    cluster = np.array([ids[c] for c in grid.cluster])
    same = (cluster[:, None] == cluster) & (plan.arm[:, None] == plan.arm)
    return np.where(same, shared, 0.0) + (1 - shared) * np.eye(n)


def _errors(J: Floats, correlation: Floats) -> Floats:
    """(P,) standard errors at unit noise; true for parameters that no flat direction involves.

    For those the pseudo-inverse and the inverse agree.
    """
    information = J @ np.linalg.solve(correlation, J.T)
    scale = np.sqrt(np.maximum(np.diag(information), 1e-300))
    covariance = np.linalg.pinv(information / np.outer(scale, scale), rcond=logsum.FLAT**2)
    return np.asarray(np.sqrt(np.maximum(np.diag(covariance), 0)) / scale)


def _condition(J: Floats) -> float:
    return float(np.linalg.cond(J / np.linalg.norm(J, axis=1)[:, None]))


def _mend(plan: _Plan, noise: float) -> tuple[Point, ...]:
    """Runs added one by one until nothing is deficient or loose.

    Each is the candidate that gains most information: log det (D-optimality), with a ridge that
    makes it finite where the grid is deficient.
    """
    candidates = [p for k in range(len(plan.arms)) for p in _candidates(plan, k)]
    J = plan.grown(candidates).jacobian()
    J = J / np.linalg.norm(J, axis=1)[:, None]
    planned, new = J[:, : len(plan.N)], J[:, len(plan.N) :]
    information = planned @ planned.T + 1e-12 * np.eye(len(J))
    chosen: list[int] = []
    for _ in range(min(MOST_ROWS * len(plan.arms), len(candidates))):
        gains = np.einsum("pc,pq,qc->c", new, np.linalg.inv(information), new)
        gains[chosen] = -np.inf
        best = int(np.argmax(gains))
        chosen.append(best)
        information += np.outer(new[:, best], new[:, best])
        if _good(plan.grown([candidates[i] for i in chosen]), noise):
            break
    return tuple(candidates[i] for i in chosen)


def _good(plan: _Plan, noise: float) -> bool:
    J = plan.jacobian()
    if len(logsum.flat_directions(J)):
        return False
    errors = _errors(J, np.eye(len(plan.N))) * noise
    fitted = [n for n, f in zip(plan.layout().names, plan.fitted, strict=True) if f]
    return not plan.loose({n: float(Z95 * e) for n, e in zip(fitted, errors, strict=True)})


def _candidates(plan: _Plan, arm: int) -> list[Point]:
    """An arm's smallest, middle and largest size with a quarter of its least and four times its
    most tokens; a size four times smaller and one four times larger with such tokens.
    """
    N, D = plan.N[plan.arm == arm], plan.D[plan.arm == arm]
    sizes = np.unique(N)
    pairs = []
    for n in dict.fromkeys([sizes[0], sizes[len(sizes) // 2], sizes[-1]]):
        tokens = D[n == N]
        pairs += [(n, tokens.min() / 4), (n, tokens.max() * 4)]
    least, most = D[sizes[0] == N], D[sizes[-1] == N]
    pairs += [(sizes[0] / 4, d / 4) for d in dict.fromkeys([least.min(), least.max()])]
    pairs += [(sizes[-1] * 4, d * 4) for d in dict.fromkeys([most.min(), most.max()])]
    name = plan.arms[arm]
    return [Point(arm=name, N=float(f"{n:.3g}"), D=float(f"{d:.3g}")) for n, d in pairs]


def _text(
    law: Law, unidentified: tuple[str, ...], loose: dict[str, float], mend: tuple[Point, ...]
) -> str:
    more = "; ".join(f"{p.arm} N={p.N:.3g} D={p.D:.3g}" for p in mend)
    if unidentified:
        names = ", ".join(unidentified)
        return f"this grid cannot identify {names} of the {law} law; add runs such as {more}"
    widths = ", ".join(f"{n} ± {half:.2g}" for n, half in loose.items())
    if loose:
        return f"the {law} law will be loose in {widths} (95 %); runs such as {more} would help"
    return f"this grid identifies the {law} law"
