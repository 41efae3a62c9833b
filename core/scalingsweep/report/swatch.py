"""Swatches of a legend, drawn by the page so that a legend wraps and scales as its text does."""

from scalingsweep.report.figure import Key

# the outline of each of matplotlib's markers in a box of 26 × 14, about its middle (13, 7)
_SHAPES = {
    "o": '<circle cx="13" cy="7" r="4"/>',
    "s": '<rect x="9.3" y="3.3" width="7.4" height="7.4"/>',
    "^": '<path d="M13 2.6 17 10.6H9z"/>',
    "D": '<path d="M13 2.2 17.8 7 13 11.8 8.2 7z"/>',
    "v": '<path d="M13 11.4 17 3.4H9z"/>',
    "P": '<path d="M11.5 2.6h3v2.9h2.9v3h-2.9v2.9h-3V8.5H8.6v-3h2.9z"/>',
    "X": '<path d="M11 3 13 5 15 3 17 5 15 7 17 9 15 11 13 9 11 11 9 9 11 7 9 5z"/>',
    "p": '<path d="M13 2.6 17.2 5.7 15.6 10.6H10.4L8.8 5.7z"/>',
}


def draw(key: Key) -> str:
    """An `<svg>`; its colours are presentation attributes, which a strict content policy allows."""
    colour = f"var(--{key.colour})"
    if key.area == "domain":
        inside = '<rect x="1" y="1" width="24" height="12" fill="var(--shade)"/>'
    elif key.area == "band":
        inside = f'<rect x="1" y="1" width="24" height="12" fill="{colour}" fill-opacity="0.25"/>'
    else:
        dash = {"dashed": "5 3", "dotted": "2 2.5"}.get(key.dash, "none")
        line = (
            f'<path d="M1 7H25" fill="none" stroke="{colour}" stroke-width="1.8" '
            f'stroke-dasharray="{dash}"/>'
        )
        shape = f'<g fill="{colour}">{_SHAPES[key.marker]}</g>' if key.marker else ""
        inside = (line if key.line else "") + shape
    box = ("wide", "0 0 26 14") if key.line or key.area else ("dot", "6 0 14 14")
    return f'<svg class="{box[0]}" viewBox="{box[1]}" aria-hidden="true">{inside}</svg>'
