"""Text from a known source: a first-order Markov chain, whose entropy no model can go beneath."""

import numpy as np
from numpy.typing import NDArray


def tokens(
    seed: int, count: int, *, states: int = 32, chain: int = 0
) -> tuple[NDArray[np.int64], float]:
    """A draw of the chain, and the chain's entropy rate in nats per token.

    Args:
        seed: of the draw.
        count: tokens.
        states: the vocabulary.
        chain: which transition matrix (rows from a flat Dirichlet of concentration 0.3).
    """
    matrix = _matrix(states, chain)
    steady = np.full(states, 1 / states)
    for _ in range(500):
        steady = steady @ matrix
    entropy = float(-(steady[:, None] * matrix * np.log(matrix)).sum())
    edges = matrix.cumsum(axis=1)
    found = np.empty(count, dtype=np.int64)
    state = 0
    for place, draw in enumerate(np.random.default_rng([chain, seed]).random(count)):
        state = min(int(np.searchsorted(edges[state], draw)), states - 1)
        found[place] = state
    return found, entropy


def loss(ids: NDArray[np.int64], *, states: int = 32, chain: int = 0) -> float:
    """The chain's own nats per token on a draw, all but its first token."""
    return float(-np.log(_matrix(states, chain)[ids[:-1], ids[1:]]).mean())


def _matrix(states: int, chain: int) -> NDArray[np.float64]:
    rows = np.random.default_rng(chain).dirichlet(np.full(states, 0.3), size=states) + 1e-9
    return np.asarray(rows / rows.sum(axis=1, keepdims=True))
