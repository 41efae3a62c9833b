"""Counts as people write them: 50M parameters, 200k tokens, 1e24 FLOPs.

Every place that reads a size or a budget (manifest, command line, preset labels) parses with this
module, so that `1e24` means the same whether YAML took it for a number or for a string, and a
written size always becomes the same integer, and the same trial id.
"""

import decimal
import re

_UNITS = {"": 0, "k": 3, "K": 3, "M": 6, "B": 9, "T": 12}
_WRITTEN = re.compile(r"(\d+(?:\.\d+)?(?:[eE][+]?\d{1,2})?) ?([kKMBT]?)", re.ASCII)
# wide enough for any integer below 1e100 times a unit: nothing is ever rounded
_EXACT = decimal.Context(prec=128)


def parse(value: float | str) -> int:
    """A count written as an integer, a float with a whole value, or digits with k, M, B or T.

    Raises:
        ValueError: with the mend, for anything that is not a whole number from 1 up.
    """
    # the shortest text that reads back as this float: 1e24 is 10**24, not 999999999999999983222784
    text = value.strip() if isinstance(value, str) else repr(value)
    match = _WRITTEN.fullmatch(text)
    if match is None:
        raise ValueError(f"{value!r} is not a count: write digits with k, M, B or T, as 50M")
    number = _EXACT.scaleb(decimal.Decimal(match[1]), _UNITS[match[2]])
    if number != number.to_integral_value():
        raise ValueError(f"{value!r} is not a whole number: write a count such as 50M or 1.3B")
    if number < 1:
        raise ValueError(f"{value!r} is not a count: it must be at least 1")
    return int(number)


def label(n: int) -> str:
    """`n` for reading, in four significant digits: 49.95M, 1.3B, 2.048k, 1e24.

    `parse` reads it back to within half a unit of the fourth digit.
    """
    rounded = int(decimal.Context(prec=4).create_decimal(n))
    exponent = len(str(rounded)) - 1
    if exponent >= 15:
        return f"{_trim(rounded, exponent)}e{exponent}"
    unit = next(unit for unit in ("T", "B", "M", "k", "") if exponent >= _UNITS[unit])
    return _trim(rounded, _UNITS[unit]) + unit


def _trim(n: int, power: int) -> str:
    return format(_EXACT.scaleb(decimal.Decimal(n), -power).normalize(_EXACT), "f")
