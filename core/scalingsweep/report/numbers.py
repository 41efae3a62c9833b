"""Numbers as people read them: 60M parameters, 1.2 × 10¹⁹ FLOPs, a coefficient with its interval.

Called wherever the report prints a number. A missing or non-finite number is a dash, never `nan`.
"""

import math
from typing import Any

DASH = "–"
_UNITS = ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k"))
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def finite(value: Any) -> float | None:
    """The value as a finite float, or None where there is none (None, "", nan, inf, a word)."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def count(value: Any, digits: int = 3) -> str:
    """Tokens and parameters: 1.25B, 60M, 512k."""
    number = finite(value)
    if number is None:
        return DASH
    for unit, letter in _UNITS:
        # 999.7k rounds to 1000k, which is 1M
        if abs(number) >= unit * (1 - 0.5 * 10**-digits):
            return _plain(number / unit, digits) + letter
    return _plain(number, digits)


def power(value: Any, digits: int = 3) -> str:
    """FLOPs and other large numbers: 6.02 × 10²²."""
    number = finite(value)
    if number is None:
        return DASH
    if number == 0 or 1e-3 <= abs(number) < 1e5:
        return _plain(number, digits)
    mantissa, exponent = f"{number:.{digits - 1}e}".split("e")
    mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    ten = "10" + str(int(exponent)).translate(_SUPERSCRIPT)
    return ten if mantissa == "1" else f"{mantissa} × {ten}"


def loss(value: Any, decimals: int = 4) -> str:
    """A loss in nats per token (or bits per byte)."""
    number = finite(value)
    return DASH if number is None else f"{number:.{decimals}f}"


def percent(share: Any, decimals: int = 0) -> str:
    """A share of one as per cent, with a true minus sign and a space that does not break."""
    number = finite(share)
    if number is None:
        return DASH
    text = f"{100 * number:.{decimals}f}"
    return f"{text.replace('-', '−')}\u202f%" if float(text) else "0\u202f%"


def coefficient(value: Any, low: Any = None, high: Any = None) -> str:
    """A fitted coefficient: five significant digits, more where its interval is narrower still.

    Two decimals are not enough: with them CPT's published law contradicts its own paper (paper.md).
    Beyond five decimals only an interval that is as narrow asks for more.
    """
    number = finite(value)
    if number is None:
        return DASH
    if number == 0:
        return "0"
    ends = finite(low), finite(high)
    digits = 5
    if 1e-3 <= abs(number) < 0.1:
        digits = 5 + math.floor(math.log10(abs(number))) + 1
    if ends[0] is not None and ends[1] is not None and ends[1] > ends[0]:
        finest = 10 ** math.floor(math.log10((ends[1] - ends[0]) / 2) - 1)
        digits = max(digits, math.floor(math.log10(abs(number)) - math.log10(finest)) + 1)
    digits = min(digits, 9)
    if not 1e-3 <= abs(number) < 1e6:
        return power(number, digits).replace("-", "−")
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(number))))
    return f"{number:.{decimals}f}".replace("-", "−")


def interval(low: Any, high: Any) -> str:
    """`low to high`, each with the digits of a coefficient; an unbounded end says so."""
    ends = [None if finite(end) is None else coefficient(end, low, high) for end in (low, high)]
    if ends == [None, None]:
        return DASH
    return f"{ends[0] or 'unbounded'} to {ends[1] or 'unbounded'}"


def duration(seconds: Any) -> str:
    """Seconds as hours and minutes."""
    number = finite(seconds)
    if number is None:
        return DASH
    whole = round(number)
    hours, minutes = whole // 3600, whole % 3600 // 60
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {whole % 60} s" if minutes else f"{whole} s"


def _plain(number: float, digits: int) -> str:
    if number == 0:
        return "0"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(number)) + 1e-9))
    text = f"{number:.{decimals}f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text).replace("-", "−")
