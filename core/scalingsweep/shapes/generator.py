"""A shape for any size, from 20 thousand parameters to 100 billion.

`model.sizes: [60M, 125M]` comes here, by way of the plan. The search goes over a thousand shapes
that look like published ones and takes milliseconds. Its answer is part of a trial's id: golden
shapes in the tests tell when a change here would move users' studies.
"""

import dataclasses
import math
from collections.abc import Iterator

from scalingsweep import quantity
from scalingsweep.api.shape import Shape
from scalingsweep.errors import SpecError

TOLERANCE = 0.03
"""How far the counted N may lie from the size that was asked for."""

NARROWEST = 8
WIDEST = 32_768
FEWEST_LAYERS = 2
FFN_RANGE = (2.0, 8.0)
"""FFN width over h: 4 where that meets N, else between these (LLaMA 8/3, zheng2024 prints 6)."""
DEPTH_RANGE = (0.5, 2.0)
"""Layers over `usual_layers`."""


def usual_layers(width: int) -> float:
    """Layers that published ladders have at a width: 0.195 h^0.65.

    A line in logs through zheng2024 (640 × 13, 3072 × 36): 16 × 2, 128 × 5, 512 × 11, 1024 × 18,
    and where others go further, 8192 × 68 (LLaMA-2 70B has 80) and 12288 × 89 (GPT-3 has 96).
    """
    return max(FEWEST_LAYERS, 0.195 * math.pow(width, 0.65))


def generate(target_N: int, *, vocab_size: int, context_length: int) -> Shape:
    """The most usual shape whose counted N is within 3 % of `target_N`.

    Embeddings are tied, attention has as many key and value heads as query heads, of size 128 or
    64, smaller below a width of 256; the FFN is gated and 4 h wide like zheng2024's.

    Raises:
        SpecError: no sensible shape has that size: above all, when the vocabulary matrix alone is
            (almost) as large. Names the mend.
    """
    candidates = list(_candidates(target_N, vocab_size))
    near = [c for c in candidates if abs(c.N / target_N - 1) <= TOLERANCE]
    if not near:
        raise SpecError("spec.model.sizes", _mend(target_N, vocab_size, candidates))
    best = min(near, key=lambda c: (_oddity(c, target_N), c.width, c.layers, c.ffn))
    heads = best.width // _head_size(best.width)
    return Shape(
        vocab_size=vocab_size,
        hidden_size=best.width,
        intermediate_size=best.ffn,
        layers=best.layers,
        heads=heads,
        kv_heads=heads,
        context_length=context_length,
    )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    width: int
    layers: int
    ffn: int
    N: int


def _candidates(target_N: int, vocab_size: int) -> Iterator[_Candidate]:
    """At every width the few depths and FFN widths that come nearest to the size."""
    for width in _widths():
        rest = target_N - (vocab_size + 1) * width
        fewest = max(FEWEST_LAYERS, math.ceil(DEPTH_RANGE[0] * usual_layers(width)))
        most = math.floor(DEPTH_RANGE[1] * usual_layers(width))
        depth = rest / _layer(width, 4 * width)
        for layers in {
            _clip(math.floor(depth), fewest, most),
            _clip(math.ceil(depth), fewest, most),
        }:
            for ffn in {4 * width, _ffn_that_fits(rest // layers, width)}:
                N = (vocab_size + 1) * width + layers * _layer(width, ffn)
                yield _Candidate(width=width, layers=layers, ffn=ffn, N=N)


def _widths() -> Iterator[int]:
    yield from range(NARROWEST, 128, 2)
    yield from range(128, 512, 8)
    yield from range(512, 1152, 64)
    yield from range(1152, WIDEST + 1, 128)


def _layer(width: int, ffn: int) -> int:
    return 4 * width * width + 3 * width * ffn + 2 * width


def _ffn_that_fits(layer: int, width: int) -> int:
    """The FFN width that brings one block nearest to `layer` parameters, rounded like the width."""
    unit = 1 << _clip((width // 16).bit_length() - 1, 0, 6)
    fitted = (layer - _layer(width, 0)) / (3 * width)
    low, high = (math.ceil(ratio * width / unit) for ratio in FFN_RANGE)
    return unit * _clip(round(fitted / unit), low, high)


def _usual_head(width: int) -> int:
    return 128 if width >= 1152 else 64 if width >= 256 else max(8, width // 4)


def _head_size(width: int) -> int:
    """The usual one, or the even divisor nearest to it: rotary embeddings turn pairs."""
    usual = _usual_head(width)
    if usual % 2 == 0 and width % usual == 0:
        return usual
    divisors = (size for size in range(2, width + 1, 2) if width % size == 0)
    return min(divisors, key=lambda size: abs(math.log(size / usual)))


def _oddity(candidate: _Candidate, target_N: int) -> float:
    """How far a candidate is from what is published; the weights are a matter of taste.

    One FFN ratio and round widths for all sizes of a study come first, then the depth, and the
    exact size last: the counted N is what is used.
    """
    width = candidate.width
    grid = 64 if width >= 256 else 32 if width >= 128 else 8
    return (
        abs(math.log2(candidate.layers / usual_layers(width)))
        + (candidate.ffn != 4 * width) * (0.1 + 2 * abs(math.log2(candidate.ffn / (4 * width))))
        + (width % grid != 0) * 0.5
        + 0.5 * abs(math.log2(_head_size(width) / _usual_head(width)))
        + 5 * abs(math.log(candidate.N / target_N))
    )


def _mend(target_N: int, vocab_size: int, candidates: list[_Candidate]) -> str:
    nearest = min(candidates, key=lambda c: abs(math.log(c.N / target_N)))
    return (
        f"no sensible shape of {quantity.label(target_N)} parameters holds {vocab_size} words "
        f"(at a width of {nearest.width} their matrix takes "
        f"{quantity.label(vocab_size * nearest.width)}): the nearest size is "
        f"{quantity.label(nearest.N)}; ask for it, or for a smaller vocabulary"
    )


def _clip(value: int, low: int, high: int) -> int:
    return max(low, min(high, value))
