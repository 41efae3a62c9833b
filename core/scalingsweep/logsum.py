"""The laws as a sum of exponentials of linear forms, the shape in which they are solved and
examined.

With x = log N - mean log N and y = log D - mean log D,

    log L = log( exp(e) + exp(a - alpha x) + exp(b - beta y - gamma x) )

so every log term is linear in theta = (e, a, b, alpha, beta, gamma), and sharing parameters between
arms only changes which entries of one fixed matrix V are zero. `design` reads the Jacobian of a
planned grid from it, `fit` solves it. Centring and logs take the condition of JᵀJ on a typical grid
from 1.8e13 to 4e3.

Shapes: R parameter vectors, P parameters, n rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scalingsweep import laws
from scalingsweep.laws import Floats, Law, Role

TERM_OF_ROLE: dict[Role, int] = {"E": 0, "A": 1, "alpha": 1, "B": 2, "beta": 2, "gamma": 2}
EXPONENTS: tuple[Role, ...] = ("alpha", "beta", "gamma")
EXPONENT_BOUND = 10.0
"""Exponents are kept in [0, 10] (gamma in [-10, 10]); published ones lie between 0.05 and 1."""
VANISHING = 1e-4
"""A term below this share of the least loss is nothing a table of losses can see: its bound."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Layout:
    """Which parameters there are, and how each enters each row."""

    law: Law
    arms: tuple[str, ...]
    roles: tuple[Role, ...]
    owners: tuple[int | None, ...]
    """Per parameter the index of its arm, or None where all arms share it."""
    V: Floats
    """(P, n): the derivative of a row's log term by the parameter; zero in other arms' rows."""
    term: NDArray[np.intp]
    """(P,): 0, 1 or 2, the term that the parameter belongs to."""
    log_N0: float
    log_D0: float
    lower: Floats
    upper: Floats

    @property
    def names(self) -> tuple[str, ...]:
        """`alpha` where there is one for all, `alpha[cpt]` where each arm has its own."""
        if len(self.arms) == 1:
            return self.roles
        return tuple(
            role if owner is None else f"{role}[{self.arms[owner]}]"
            for role, owner in zip(self.roles, self.owners, strict=True)
        )

    def index(self, role: Role, arm: int) -> int | None:
        """Where an arm's parameter stands in theta; None if the law has none of that role."""
        for i, (r, owner) in enumerate(zip(self.roles, self.owners, strict=True)):
            if r == role and owner in (None, arm):
                return i
        return None

    def log_terms(self, theta: Floats) -> Floats:
        """(R, P) -> (3, R, n): the logarithm of each term of the law on each row."""
        out = np.empty((3, len(theta), self.V.shape[1]))
        for k in range(3):
            np.matmul(theta[:, self.term == k], self.V[self.term == k], out=out[k])
        return out

    def log_loss(self, theta: Floats) -> tuple[Floats, Floats]:
        """(R, P) -> log L of shape (R, n), and each term's share of L, of shape (3, R, n)."""
        terms = self.log_terms(theta)
        top = terms.max(axis=0)
        np.subtract(terms, top, out=terms)
        np.exp(terms, out=terms)
        total = terms.sum(axis=0)
        terms /= total
        return np.log(total) + top, terms

    def jacobian(self, theta: Floats) -> Floats:
        """(R, P) -> (R, P, n): d log L / d theta, which is the term's share times V."""
        _, shares = self.log_loss(theta)
        return np.ascontiguousarray(shares[self.term].transpose(1, 0, 2) * self.V)

    def surface(self, theta: Floats, arm: int = 0) -> laws.Surface:
        """The arm's law in raw units; its fields have theta's leading shape.

        Args:
            theta: (..., P)
            arm: index into `arms`.
        """

        def pick(role: Role) -> Floats:
            i = self.index(role, arm)
            return np.zeros(theta.shape[:-1]) if i is None else theta[..., i]

        alpha, beta, gamma = pick("alpha"), pick("beta"), pick("gamma")
        return laws.Surface(
            E=np.exp(pick("E")),
            A=np.exp(pick("A") + alpha * self.log_N0),
            B=np.exp(pick("B") + beta * self.log_D0 + gamma * self.log_N0),
            alpha=alpha,
            beta=beta,
            gamma=gamma,
        )

    def theta(self, surfaces: Sequence[laws.Surface]) -> Floats:
        """(P,): the parameters of given surfaces, one per arm; a shared one is taken from the
        first.
        """
        out = np.empty(len(self.roles))
        for i, (role, owner) in enumerate(zip(self.roles, self.owners, strict=True)):
            s = surfaces[owner or 0]
            centred = {
                "E": np.log(s.E),
                "A": np.log(s.A) - s.alpha * self.log_N0,
                "B": np.log(s.B) - s.beta * self.log_D0 - s.gamma * self.log_N0,
                "alpha": s.alpha,
                "beta": s.beta,
                "gamma": s.gamma,
            }
            out[i] = centred[role]
        return out


def arrange(
    N: Floats,
    D: Floats,
    arm: NDArray[np.intp],
    *,
    arms: tuple[str, ...],
    law: Law,
    share: Sequence[Role] = (),
    least_loss: float = 1.0,
    greatest_loss: float = 20.0,
) -> Layout:
    """Lay out the parameters of a law over the rows of one or several arms.

    Args:
        N: (n,) parameters.
        D: (n,) tokens.
        arm: (n,) index into `arms`.
        arms: names.
        law: which law; all arms have the same.
        share: roles that all arms have in common.
        least_loss: the least loss of the rows, which scales the lower bounds of E, A and B.
        greatest_loss: the greatest, which scales the upper ones.
    """
    x, y = np.log(N), np.log(D)
    log_N0, log_D0 = float(x.mean()), float(y.mean())
    columns: dict[Role, Floats] = {
        "E": np.ones_like(x),
        "A": np.ones_like(x),
        "B": np.ones_like(x),
        "alpha": log_N0 - x,
        "beta": log_D0 - y,
        "gamma": log_N0 - x,
    }
    placed: list[tuple[Role, int | None]] = []
    for role in law.roles:
        shared = role in share or len(arms) == 1
        placed += [(role, None)] if shared else [(role, k) for k in range(len(arms))]
    V = np.stack(
        [
            columns[r] * (1.0 if owner is None else (arm == owner).astype(float))
            for r, owner in placed
        ]
    )
    floor, ceiling = np.log(least_loss * VANISHING), np.log(greatest_loss * 1e3)
    lowest: dict[Role, float] = {"alpha": 0.0, "beta": 0.0, "gamma": -EXPONENT_BOUND}
    lower = np.array([lowest.get(r, floor) for r, _ in placed])
    upper = np.array([EXPONENT_BOUND if r in EXPONENTS else ceiling for r, _ in placed])
    return Layout(
        law=law,
        arms=arms,
        roles=tuple(r for r, _ in placed),
        owners=tuple(owner for _, owner in placed),
        V=V,
        term=np.array([TERM_OF_ROLE[r] for r, _ in placed], dtype=np.intp),
        log_N0=log_N0,
        log_D0=log_D0,
        lower=lower,
        upper=upper,
    )


FLAT = 1e-7
"""A singular value below this share of the largest, columns scaled to one, is zero but for
rounding."""


def flat_directions(J: Floats) -> Floats:
    """(F, P): the directions of theta along which no row's loss changes; F is 0 on a good grid.

    Args:
        J: (P, n), the Jacobian of the log losses.
    """
    scale = np.linalg.norm(J, axis=1)
    scaled = J / np.where(scale > 0, scale, 1.0)[:, None]
    U, singular, _ = np.linalg.svd(scaled, full_matrices=True)
    rank = int((singular > FLAT * singular.max(initial=0.0)).sum())
    return np.asarray(U[:, rank:].T)
