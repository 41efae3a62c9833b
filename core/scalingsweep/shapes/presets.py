"""Published ladders of sizes, as tables, and how a manifest picks from them by label.

`model.sizes: {preset: zheng2024, from: 50M, to: 1B}` comes here, by way of the plan.
"""

import math
from collections.abc import Sequence
from typing import TypeAlias

from scalingsweep import quantity
from scalingsweep.api.shape import Shape
from scalingsweep.errors import SpecError
from scalingsweep.shapes import counting

Row: TypeAlias = tuple[str, Shape]

ZHENG2024_VOCABULARY = 32_000
"""What the printed sizes of zheng2024 count: 32,000 words, once."""

# Label in millions, width, heads, layers: table 4 of Zheng et al. 2024, arXiv 2407.02118. The
# printed FFN widths (6 h at the small end, 5.5 h at the large) are not taken: every printed size is
# 16 h² L + 32000 h, which is a gated FFN of 4 h and one vocabulary matrix. 4016M is printed with
# 22 heads, which do not divide its width; 21 do, with the head size 128 of its neighbours.
_ZHENG2024 = (
    (49, 512, 8, 8),
    (66, 576, 9, 9),
    (86, 640, 10, 10),
    (105, 640, 10, 13),
    (125, 640, 10, 16),
    (137, 768, 12, 12),
    (166, 768, 12, 15),
    (194, 768, 12, 18),
    (208, 896, 14, 14),
    (234, 896, 14, 16),
    (259, 896, 14, 18),
    (301, 1024, 16, 16),
    (334, 1024, 16, 18),
    (368, 1024, 16, 20),
    (512, 1280, 10, 18),
    (591, 1280, 10, 21),
    (616, 1408, 11, 18),
    (670, 1280, 10, 24),
    (711, 1408, 11, 21),
    (766, 1536, 12, 19),
    (806, 1408, 11, 24),
    (879, 1536, 12, 22),
    (992, 1536, 12, 25),
    (1085, 1792, 14, 20),
    (1239, 1792, 14, 23),
    (1393, 1792, 14, 26),
    (1542, 2048, 16, 22),
    (1736, 2176, 17, 22),
    (1743, 2048, 16, 25),
    (1944, 2048, 16, 28),
    (1963, 2176, 17, 25),
    (2112, 2304, 18, 24),
    (2191, 2176, 17, 28),
    (2452, 2304, 18, 28),
    (2791, 2304, 18, 32),
    (2808, 2560, 20, 26),
    (3227, 2560, 20, 30),
    (3647, 2560, 20, 34),
    (4016, 2688, 21, 34),
    (4248, 2688, 21, 36),
    (4657, 2816, 22, 36),
    (5534, 3072, 24, 36),
)
_PRESETS = {"zheng2024": (ZHENG2024_VOCABULARY, _ZHENG2024)}

NAMES = tuple(_PRESETS)


def preset(name: str, vocab_size: int | None, context_length: int) -> tuple[Row, ...]:
    """The labelled shapes of a published ladder, in ascending order of their counted N.

    Args:
        name: one of `NAMES`.
        vocab_size: the study's vocabulary; None takes the ladder's own. Widths and layers stay, so
            with another vocabulary the labels name rows, no longer sizes.
        context_length: tokens of a training sequence.
    """
    if name not in _PRESETS:
        raise SpecError("spec.model.sizes.preset", f"unknown preset {name}: use {', '.join(NAMES)}")
    own_vocabulary, table = _PRESETS[name]
    rows = [
        (
            f"{millions}M",
            Shape(
                vocab_size=vocab_size or own_vocabulary,
                hidden_size=width,
                intermediate_size=4 * width,
                layers=layers,
                heads=heads,
                kv_heads=heads,
                context_length=context_length,
            ),
        )
        for millions, width, heads, layers in table
    ]
    return tuple(sorted(rows, key=lambda row: counting.counts(row[1]).N))


def select(
    rows: Sequence[Row],
    from_label: float | str | None = None,
    to_label: float | str | None = None,
) -> tuple[Row, ...]:
    """The rows whose label lies from one written size to another, both inclusive.

    A bound is a label (`49M`) or any count (`50M`, `1B`); None leaves its side open.

    Raises:
        SpecError: a bound is no count, or nothing lies between them; names the nearest labels.
    """
    low = _bound("spec.model.sizes.from", from_label, default=0)
    high = _bound("spec.model.sizes.to", to_label, default=math.inf)
    if low > high:
        raise SpecError(
            "spec.model.sizes.from",
            f"{_shown(from_label)} is above to: {_shown(to_label)}; swap them",
        )
    sizes = [quantity.parse(label) for label, _ in rows]
    chosen = [row for row, size in zip(rows, sizes, strict=True) if low <= size <= high]
    if chosen:
        return tuple(chosen)
    middle = low if high == math.inf else (low + high) / 2
    nearest = sorted(zip(sizes, rows, strict=True), key=lambda pair: abs(pair[0] - middle))[:2]
    labels = " and ".join(label for _, (label, _) in sorted(nearest, key=lambda pair: pair[0]))
    wanted = f"from {_shown(from_label) or 'the smallest'} to {_shown(to_label) or 'the largest'}"
    raise SpecError("spec.model.sizes", f"no size lies {wanted}: the nearest labels are {labels}")


def _bound(field: str, written: float | str | None, *, default: float) -> float:
    if written is None:
        return default
    try:
        return quantity.parse(written)
    except ValueError as error:
        raise SpecError(field, str(error)) from None


def _shown(written: float | str | None) -> str:
    if written is None or isinstance(written, str):
        return written or ""
    return quantity.label(quantity.parse(written))
