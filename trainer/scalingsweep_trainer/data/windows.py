"""How a held-out split is cut for evaluation: every token but the first is predicted once."""

import numpy as np
from numpy.typing import NDArray


def windows(tokens: int, context: int) -> NDArray[np.int64]:
    """Consecutive windows of c + 1 tokens that overlap by one; the last one is ragged.

    Args:
        tokens: tokens T of the split.
        context: tokens c that a window predicts.

    Returns:
        [⌈(T − 1) / c⌉, 2] start and stop of each window, for `Shards.read`. Window k predicts
        tokens k·c + 1 … min(k·c + c, T − 1).
    """
    starts = np.arange(0, max(0, tokens - 1), context, dtype=np.int64)
    return np.stack([starts, np.minimum(starts + context + 1, tokens)], axis=1)
