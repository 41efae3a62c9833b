"""Colours and markers, once for the figures and once for the page.

Matplotlib wants real colours while it draws, the page wants CSS variables that follow dark mode and
print. So a figure is drawn in sentinels, one unlikely RGB value per name, and `svg` puts
`var(--name)` in their place. Arms differ in hue and in marker; sizes and budgets in lightness
alone, so that both survive a colour-blind reader and a black-and-white printer.
"""

from collections.abc import Iterator

# Okabe and Ito's hues, darkened (light page) or lightened (dark page) to 3:1 against the paper.
_ARMS = (
    ("#0067a5", "#5db8f2"),  # blue
    ("#c8500a", "#ff9a52"),  # vermilion
    ("#00805e", "#35cf9f"),  # green
    ("#a8508a", "#e39acb"),  # purple
    ("#8a6a00", "#e6c04a"),  # ochre
    ("#3b7f9b", "#9adcf5"),  # sky
    ("#7a3b10", "#d9a37c"),  # brown
    ("#4d4d4d", "#c4c4c4"),  # grey
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p")
"""Matplotlib's filled markers, in the order of the arms."""
_INKS = {
    "paper": ("#ffffff", "#14171c"),
    "plot": ("#ffffff", "#191d24"),
    "ink": ("#1a1d21", "#e8eaed"),
    "muted": ("#565d66", "#a3abb6"),
    "rule": ("#d9dde2", "#343b46"),
    "faint": ("#f3f5f7", "#1e232b"),
    "accent": ("#0b5e9c", "#74bdf5"),
    "good": ("#0b6b4b", "#4fd1a5"),
    "warn": ("#8a4b00", "#f5b35c"),
    "shade": ("#e9eef4", "#262d38"),
}
# Viridis (CC0) from its dark to its light end, short of the yellow that vanishes on white.
_RAMP_LIGHT = ("#440154", "#472d7b", "#3b528b", "#2c728e", "#21918c", "#2aa06f", "#6a9f1c")
_RAMP_DARK = ("#7d6bd0", "#6f8fe0", "#4fb0d6", "#3fc8b0", "#6edb7c", "#b8e04e", "#fde725")
STEPS = 24
"""Levels of the ramp: more than anybody tells apart, fewer than a rule per size."""
_BASE = 0xFE0100


def arm(index: int) -> str:
    """The colour's name of the arm at that place in the manifest."""
    return f"arm{index % len(_ARMS)}"


def marker(index: int) -> str:
    """The marker of the arm at that place in the manifest."""
    return MARKERS[index % len(MARKERS)]


def ramp(rank: int, among: int) -> str:
    """The colour's name of the `rank`-th of `among` ordered things (sizes, budgets)."""
    return f"ramp{round(rank * (STEPS - 1) / max(among - 1, 1))}"


def sentinel(name: str) -> str:
    """The RGB value that stands for the named colour while matplotlib draws."""
    return f"#{_BASE + _NAMES.index(name):06x}"


def names() -> tuple[str, ...]:
    """Every colour's name."""
    return _NAMES


def css() -> str:
    """Rules that define the variables: light, dark on screens that ask for it, light in print."""
    light = _rules(0)
    return (
        f":root{{color-scheme:light dark;{light}}}\n"
        f"@media screen and (prefers-color-scheme:dark){{:root{{{_rules(1)}}}}}\n"
        "@media print{:root{color-scheme:light}}\n"
    )


def _rules(mode: int) -> str:
    return "".join(f"--{name}:{both[mode]};" for name, both in _colours())


def _colours() -> Iterator[tuple[str, tuple[str, str]]]:
    yield from _INKS.items()
    yield from ((f"arm{index}", both) for index, both in enumerate(_ARMS))
    for step in range(STEPS):
        share = step / (STEPS - 1)
        # light page: small is light, large is dark; dark page the other way round, so that
        # in both the largest stands out most
        yield f"ramp{step}", (_mix(_RAMP_LIGHT[::-1], share), _mix(_RAMP_DARK, share))


def _mix(anchors: tuple[str, ...], share: float) -> str:
    at = share * (len(anchors) - 1)
    index = min(int(at), len(anchors) - 2)
    low, high = (
        [int(colour[place : place + 2], 16) for place in (1, 3, 5)]
        for colour in anchors[index : index + 2]
    )
    mixed = (round(a + (b - a) * (at - index)) for a, b in zip(low, high, strict=True))
    return "#" + "".join(f"{part:02x}" for part in mixed)


_NAMES = tuple(name for name, _ in _colours())
