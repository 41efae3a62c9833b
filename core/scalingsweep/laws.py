"""The two loss surfaces of a scaling-law study, and what follows from them in closed form.

`design` asks them what a grid can identify, `fit` estimates their coefficients, `report` draws
them.

    Chinchilla  L(N, D) = E + A / N^alpha + B / D^beta                  Hoffmann et al. 2022, eq. 10
    extended    L(N, D) = E + A / N^alpha + B / (D^beta N^gamma)        Zheng et al. 2024, eq. 5

Chinchilla is the extended law at gamma = 0, so one `Surface` serves both. N is counted in
parameters, D in tokens, C = 6 N D in FLOPs, L in nats per token. Every field of a surface may be a
number or an array (one value per bootstrap sample); fields, N, D, C and L broadcast against each
other as numpy does.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Values: TypeAlias = float | Floats
Role = Literal["E", "A", "B", "alpha", "beta", "gamma"]
SHARED: tuple[Role, ...] = ("E", "A", "alpha")
"""What arms with the same validation corpus and tokenizer have in common by default."""

FLOPS_PER_PARAMETER_AND_TOKEN = 6.0
"""C = 6 N D: two FLOPs a multiply-add, one pass forward and two back (Kaplan et al. 2020, table
1)."""


class Law(StrEnum):
    """Which surface is meant, as the manifest and fit.json spell it."""

    CHINCHILLA = "chinchilla"
    EXTENDED = "extended"

    @property
    def roles(self) -> tuple[Role, ...]:
        """The law's coefficients, in the order in which they are printed."""
        chinchilla: tuple[Role, ...] = ("E", "A", "B", "alpha", "beta")
        return chinchilla if self is Law.CHINCHILLA else (*chinchilla, "gamma")


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """The compute-optimal split N* = G (C/6)^a, D* = (C/6)^b / G (Hoffmann et al. 2022, eq. 4)."""

    G: Values
    a: Values
    b: Values
    valid: bool | NDArray[np.bool_]
    """False where the surface has no such optimum; G, a and b are NaN there."""

    def split(self, C: Values) -> tuple[Floats, Floats]:
        """The best (N, D) for C FLOPs."""
        budget = np.asarray(C, dtype=np.float64) / FLOPS_PER_PARAMETER_AND_TOKEN
        return np.asarray(self.G * budget**self.a), np.asarray(budget**self.b / self.G)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surface:
    """One loss surface, or as many as its fields are long."""

    E: Values
    """The irreducible loss, nats per token."""
    A: Values
    B: Values
    alpha: Values
    beta: Values
    gamma: Values = 0.0

    def loss(self, N: Values, D: Values) -> Floats:
        """L(N, D) in nats per token."""
        return np.asarray(self.E + self.capacity_term(N) + self.data_term(N, D))

    def capacity_term(self, N: Values) -> Floats:
        """A / N^alpha, in logs so that A = e^89 with alpha = 5 (a real fit) does not overflow."""
        return np.asarray(np.exp(np.log(self.A) - self.alpha * np.log(N)))

    def data_term(self, N: Values, D: Values) -> Floats:
        """B / (D^beta N^gamma)."""
        return np.asarray(np.exp(np.log(self.B) - self.beta * np.log(D) - self.gamma * np.log(N)))

    def tokens_for(self, loss: Values, N: Values) -> Floats:
        """The D at which N parameters reach `loss`; NaN where no number of tokens does.

        A size reaches only what lies above E + A / N^alpha.
        """
        left = np.asarray(loss - self.E - self.capacity_term(N), dtype=np.float64)
        reachable = np.where(left > 0, left, np.nan)
        return np.asarray(
            np.exp((np.log(self.B) - self.gamma * np.log(N) - np.log(reachable)) / self.beta)
        )

    def allocation(self) -> Allocation:
        """The split that minimises L under C = 6 N D.

        Setting dL/dN to zero along D = C / (6 N) gives (Zheng et al. 2024, eq. 7)
        G = (alpha A / ((beta - gamma) B))^(1/(alpha + beta - gamma)), a = beta/(alpha + beta -
        gamma), b = (alpha - gamma)/(alpha + beta - gamma). It is a minimum, with N* and D* both
        growing in C, only for beta > gamma and alpha > gamma (see `why_no_allocation`).
        """
        alpha, beta, gamma = np.broadcast_arrays(
            *(np.asarray(v, dtype=np.float64) for v in (self.alpha, self.beta, self.gamma))
        )
        valid = (alpha > 0) & (beta > 0) & (beta > gamma) & (alpha > gamma)
        total = np.where(valid, alpha + beta - gamma, np.nan)
        ratio = np.where(valid, beta - gamma, np.nan)
        log_G = (
            np.log(np.where(valid, alpha, np.nan)) + np.log(self.A) - np.log(ratio * self.B)
        ) / total
        return Allocation(G=np.exp(log_G), a=beta / total, b=(alpha - gamma) / total, valid=valid)

    def why_no_allocation(self) -> str:
        """One sentence on why a single surface has no compute-optimal split; empty if it has
        one.
        """
        alpha, beta, gamma = (float(np.asarray(v)) for v in (self.alpha, self.beta, self.gamma))
        if alpha <= 0 or beta <= 0:
            return "alpha or beta is not positive: the loss does not fall with N or with D"
        if beta <= gamma:
            return (
                f"gamma {gamma:.3g} >= beta {beta:.3g}: "
                "at fixed compute a larger model is always better"
            )
        if alpha <= gamma:
            return (
                f"gamma {gamma:.3g} >= alpha {alpha:.3g}: the optimal D would not grow with compute"
            )
        return ""

    def frontier(self, C: Values) -> Floats:
        """The least loss for C FLOPs; NaN without a valid allocation."""
        N, D = self.allocation().split(C)
        return self.loss(N, D)

    def flops_for(self, loss: Values) -> Floats:
        """The least FLOPs that reach `loss`; NaN where it is not above E, or without an allocation.

        On the frontier both terms fall with the same power of compute,
        L - E = (A G^-alpha + B G^(beta - gamma)) (C/6)^-(alpha beta / (alpha + beta - gamma)).
        """
        best = self.allocation()
        log_G = np.log(best.G)
        scale = np.exp(np.log(self.A) - self.alpha * log_G) + np.exp(
            np.log(self.B) + (np.asarray(self.beta) - self.gamma) * log_G
        )
        left = np.asarray(loss - np.asarray(self.E), dtype=np.float64)
        reachable = np.where(left > 0, left, np.nan)
        power = self.alpha * np.asarray(best.a)
        return np.asarray(FLOPS_PER_PARAMETER_AND_TOKEN * (scale / reachable) ** (1 / power))


def flops(N: Values, D: Values) -> Floats:
    """C = 6 N D."""
    return np.asarray(FLOPS_PER_PARAMETER_AND_TOKEN * np.asarray(N, dtype=np.float64) * D)
