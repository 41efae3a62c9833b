"""The rules named `auto`: batch, peak learning rate and β₂ from N alone; and rules by size.

The plan resolves a manifest's `training` with them. They depend on nothing but N, never on a
budget, or a new budget would change the trunk that earlier ones were branched from.

The power laws are those of OLMo-core's model ladder (batch 2048 · 160 · (N/108e6)^⅔ tokens, rate
0.0047 · (N/108e6)^-⅓ halved; after Porian et al. 2024, arXiv 2406.19146).
"""

import math
from collections.abc import Sequence
from typing import TypeVar

from scalingsweep import quantity
from scalingsweep.errors import SpecError

SMALLEST_N = 20_000_000
"""Where the auto rules end: below it they were measured to fail (batches too large, see
`platform.md`'s tiny studies: 512 tokens a batch are best at 27k–804k parameters)."""

_REFERENCE_N = 108e6
_REFERENCE_BATCH_TOKENS = 160 * 2048
_REFERENCE_RATE = 0.0047 / 2
_LARGE_BATCH_TOKENS = 524_288


def batch_tokens(N: int, context_length: int) -> int:
    """Tokens of one optimizer step, rounded to whole sequences and to nothing else.

    Raises:
        SpecError: N is below `SMALLEST_N`.
    """
    _refuse_small(N, "spec.training.batchTokens", "{upTo: 200k, value: 512}")
    tokens = _REFERENCE_BATCH_TOKENS * math.pow(N / _REFERENCE_N, 2 / 3)
    return max(1, round(tokens / context_length)) * context_length


def peak_learning_rate(N: int) -> float:
    """The rate at the end of the warm-up.

    Raises:
        SpecError: N is below `SMALLEST_N`.
    """
    _refuse_small(N, "spec.training.learningRate", "{upTo: 200k, value: 0.005}")
    return _REFERENCE_RATE * math.pow(N / _REFERENCE_N, -1 / 3)


def beta2(batch_tokens: int) -> float:
    """AdamW's β₂: a longer memory where batches are small. Betas given in the spec win over it."""
    return 0.99 if batch_tokens < _LARGE_BATCH_TOKENS else 0.95


T = TypeVar("T")


def by_size(rules: Sequence[tuple[int | None, T]], N: int, *, at: str) -> T:
    """The value of the first rule whose `upTo` is not below N.

    Args:
        rules: (upTo, value) in the manifest's order; upTo None holds for every size.
        N: counted parameters.
        at: the list's path in the manifest.

    Raises:
        SpecError: no rule holds for N.
    """
    for up_to, value in rules:
        if up_to is None or up_to >= N:
            return value
    raise SpecError(
        at, f"no rule holds for a size of {quantity.label(N)}: add one with a larger upTo"
    )


def _refuse_small(N: int, field: str, example: str) -> None:
    if N < SMALLEST_N:
        raise SpecError(
            field,
            f"rule: auto holds from {quantity.label(SMALLEST_N)} parameters, not for a size of "
            f"{quantity.label(N)}: give bySize, such as [{example}, …]",
        )
