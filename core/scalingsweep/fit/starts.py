"""Where a fit begins: variable projection over a coarse grid of exponents.

For given exponents the law is linear in E, A and B, so the best of them comes from a non-negative
least squares in three unknowns, solved exactly by trying every subset. Only 8.6 % of the 4,500
starts in common use end near the optimum (Besiroglu et al. 2024's grid); nearly all of these do.
"""

from itertools import combinations

import numpy as np

from scalingsweep import laws
from scalingsweep.laws import Floats, Law

ALPHAS = np.array([0.03, 0.08, 0.15, 0.22, 0.3, 0.4, 0.5, 0.65, 0.85, 1.2, 2.0, 4.0])
GAMMAS = np.array([-0.3, -0.1, 0.0, 0.1, 0.25])
TRACE = 1e-3
"""A coefficient that the grid puts at zero starts at this share of the loss instead: a log has no
zero."""


def projected(N: Floats, D: Floats, loss: Floats, *, law: Law) -> laws.Surface:
    """The best E, A, B at every grid point, all of one arm: a surface with (S,) fields, best first.

    Relative errors are minimised, since (L̂ - L)/L is log L̂ - log L to first order.
    """
    gammas = GAMMAS if law is Law.EXTENDED else np.zeros(1)
    alpha, beta, gamma = (v.ravel() for v in np.meshgrid(ALPHAS, ALPHAS, gammas, indexing="ij"))
    x, y = np.log(N) - np.log(N).mean(), np.log(D) - np.log(D).mean()
    columns = np.stack(
        [
            np.broadcast_to(1 / loss, (alpha.size, loss.size)),
            np.exp(-alpha[:, None] * x) / loss,
            np.exp(-beta[:, None] * y - gamma[:, None] * x) / loss,
        ]
    )
    coefficients, misfit = _non_negative(columns)
    order = np.argsort(misfit, kind="stable")
    E, A, B = np.maximum(coefficients[:, order], TRACE * loss.mean())
    alpha, beta, gamma = alpha[order], beta[order], gamma[order]
    return laws.Surface(
        E=E,
        A=np.exp(np.log(A) + alpha * np.log(N).mean()),
        B=np.exp(np.log(B) + beta * np.log(D).mean() + gamma * np.log(N).mean()),
        alpha=alpha,
        beta=beta,
        gamma=gamma,
    )


def _non_negative(columns: Floats) -> tuple[Floats, Floats]:
    """Minimise |columnsᵀ c - 1|² over c >= 0.

    Args:
        columns: (3, S, n)

    Returns:
        c of shape (3, S) and the least squares (S,).
    """
    gram = np.einsum("isn,jsn->sij", columns, columns)
    right = columns.sum(axis=2).T
    n = columns.shape[2]
    best = np.zeros((3, gram.shape[0]))
    least = np.full(gram.shape[0], float(n))
    for size in (1, 2, 3):
        for subset in combinations(range(3), size):
            index = np.array(subset)
            matrix = gram[:, index[:, None], index[None, :]]
            ridge = 1e-12 * np.einsum("sii->si", matrix)[:, :, None] * np.eye(size)
            c = np.linalg.solve(matrix + ridge, right[:, index, None])[..., 0]
            misfit = n - (c * right[:, index]).sum(axis=1)
            take = (c >= 0).all(axis=1) & (misfit < least)
            least[take] = misfit[take]
            best[:, take] = 0.0
            best[index[:, None], np.flatnonzero(take)] = c[take].T
    return best, least


def pick(surfaces: laws.Surface, index: int) -> laws.Surface:
    """One of the surfaces that `projected` returns."""
    return laws.Surface(
        E=np.asarray(surfaces.E)[index],
        A=np.asarray(surfaces.A)[index],
        B=np.asarray(surfaces.B)[index],
        alpha=np.asarray(surfaces.alpha)[index],
        beta=np.asarray(surfaces.beta)[index],
        gamma=np.asarray(surfaces.gamma)[index],
    )


def data_terms_given(
    first: laws.Surface, N: Floats, D: Floats, loss: Floats, *, law: Law
) -> laws.Surface:
    """Another arm's surface with the E, A and alpha of `first`: a line through what is left of its
    loss.
    """
    left = np.maximum(loss - np.asarray(first.E) - first.capacity_term(N), TRACE * loss)
    columns = [np.ones_like(N), -np.log(D)]
    if law is Law.EXTENDED:
        columns.append(-np.log(N))
    solution, *_ = np.linalg.lstsq(np.stack(columns, axis=1), np.log(left), rcond=None)
    log_B, beta, gamma = (*solution.tolist(), 0.0)[:3]
    return laws.Surface(
        E=first.E,
        A=first.A,
        B=np.exp(np.clip(log_B, -300, 300)),
        alpha=first.alpha,
        beta=max(beta, 0.01),
        gamma=gamma,
    )


def shortlist(count: int) -> list[int]:
    """Indices into `count` starts, best first: the leading ones, then ever sparser for variety."""
    tail = (round(10 * 1.4**k) for k in range(1, 14))
    return [i for i in (*range(10), *tail) if i < count]
