"""Writes an answer: on the screen, or as csv, json, parquet or LaTeX.

LaTeX is for the package booktabs; a file of it is for `input` inside a table. Names come from
manifests and files, so every character that LaTeX would act on is escaped.
"""

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

from rich.console import Console

from scalingsweep import quantity
from scalingsweep.errors import DiskFull, SpecError, is_full
from scalingsweep_cli import screen
from scalingsweep_cli.tables.sheet import Answer, Kind, Sheet, Span, Value

DASH = "–"
_DIGITS = 4
"""Significant digits of a coefficient; its interval tells how many of them mean anything."""
_ESCAPES = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    **{letter: f"\\{letter}" for letter in "&%$#_{}"},
}  # fmt: skip
_GREEK = {"α": r"$\alpha$", "β": r"$\beta$", "γ": r"$\gamma$", "δ": r"$\delta$", "Δ": r"$\Delta$"}


def show(out: Console, answer: Answer) -> None:
    """Print the views, then what a reader must know of them."""
    for number, view in enumerate(answer.views):
        if view.title and (number or len(answer.views) > 1):
            screen.heading(out, view.title)
        texts = [
            [_text(v, c.kind) for v, c in zip(r, view.columns, strict=True)] for r in view.rows
        ]
        words = next((i for i, c in enumerate(view.columns) if not c.is_text), len(view.columns))
        out.print(screen.table([column.heading for column in view.columns], texts, text=words))
    for note in answer.notes:
        screen.note(out, note)
    for warning in answer.warnings:
        screen.warning(out, warning)


def to_csv(sheet: Sheet) -> str:
    """The table with every digit; what is not known is empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(column.name for column in sheet.columns)
    writer.writerows([_cell(value) for value in row] for row in sheet.rows)
    return out.getvalue()


def to_json(answer: Answer) -> str:
    """The rows as objects, with what else belongs to them."""
    names = [column.name for column in answer.data.columns]
    value = {
        answer.key: [dict(zip(names, row, strict=True)) for row in answer.data.rows],
        **answer.beside,
        "warnings": list(answer.warnings),
    }
    return json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False) + "\n"


def to_parquet(sheet: Sheet) -> bytes:
    """The table as a Parquet file.

    Raises:
        SpecError: pyarrow is not installed.
    """
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise SpecError(
            "--format parquet", "needs pyarrow: pip install 'scalingsweep[local]', or take csv"
        ) from None
    types = {Kind.TEXT: pa.string(), Kind.COUNT: pa.int64()}
    arrays = [
        pa.array([row[place] for row in sheet.rows], types.get(column.kind, pa.float64()))
        for place, column in enumerate(sheet.columns)
    ]
    sink = pa.BufferOutputStream()
    table = pa.table(arrays, names=[column.name for column in sheet.columns])
    parquet.write_table(table, sink)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def to_latex(answer: Answer) -> str:
    """The views as booktabs tables, with the notes as comments."""
    blocks = [_tabular(view) for view in answer.views]
    comments = [f"% {' '.join(text.split())}" for text in (*answer.notes, *answer.warnings)]
    return "\n".join(["% needs \\usepackage{booktabs}", *comments, *blocks]) + "\n"


def write(path: Path, data: bytes) -> None:
    """Write a file whole or not at all.

    Raises:
        SpecError: it cannot be written.
        DiskFull: there is no room for it.
    """
    draft = path.with_name(f".{path.name}.part")
    try:
        draft.write_bytes(data)
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        if is_full(error):
            raise DiskFull(path) from None
        raise SpecError("--out", f"{path}: cannot be written ({error.strerror})") from None


def _tabular(sheet: Sheet) -> str:
    columns = "".join("l" if column.is_text else "r" for column in sheet.columns)
    lines = [
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        _line([escaped(column.heading) for column in sheet.columns]),
        r"\midrule",
        *(
            _line([_latex(value, c.kind) for value, c in zip(row, sheet.columns, strict=True)])
            for row in sheet.rows
        ),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join([f"% {' '.join(sheet.title.split())}", *lines])


def _line(cells: list[str]) -> str:
    return " & ".join(cells) + r" \\"


def escaped(text: str) -> str:
    """Text that LaTeX prints as it is; control characters, which it cannot, become spaces."""
    kept = "".join(c if c.isprintable() else " " for c in text)
    return "".join(_GREEK.get(c) or _ESCAPES.get(c, c) for c in kept)


def _latex(value: Value | Span, kind: Kind) -> str:
    if value is None:
        return "--"
    if isinstance(value, str):
        return escaped(value)
    if not isinstance(value, Span):
        return _math(_text(value, kind))
    ends = (value.low, value.high)
    if value.value is None:
        return "--"
    if ends == (None, None):
        return _math(_number(value.value)) + _mark(value)
    low, high = ("?" if end is None else _math(_number(end)) for end in ends)
    return f"{_math(_number(value.value))} [{low}, {high}]{_mark(value)}"


def _math(text: str) -> str:
    """A number as LaTeX sets it: a real minus, and powers of ten."""
    mantissa, e, exponent = text.partition("e")
    if e:
        return rf"${mantissa} \times 10^{{{int(exponent)}}}$"
    return f"${text}$" if text[:1] in {"-", "+"} else text


def _text(value: Value | Span, kind: Kind) -> str:
    match value:
        case None:
            return DASH
        case Span():
            return _span(value)
        case bool():
            return "yes" if value else "no"
        case str():
            return value
    match kind:
        case Kind.COUNT if value >= 1:
            return quantity.label(int(value))
        case Kind.LOSS:
            return f"{value:.4f}"
        case Kind.DIFFERENCE:
            return f"{value:+.4f}"
        case Kind.NUMBER if not isinstance(value, int):
            return _number(value)
    return str(value)


def _span(span: Span) -> str:
    if span.value is None:
        return DASH
    if span.low is None and span.high is None:
        return _number(span.value) + _mark(span)
    low, high = ("?" if end is None else _number(end) for end in (span.low, span.high))
    return f"{_number(span.value)} [{low}, {high}]{_mark(span)}"


def _mark(span: Span) -> str:
    return "" if span.identified else " *"


def _number(value: float) -> str:
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    if 1e-3 <= abs(value) < 1e6:
        decimals = max(0, _DIGITS - 1 - math.floor(math.log10(abs(value))))
        return f"{value:.{min(decimals, 6)}f}"
    return f"{value:.{_DIGITS - 1}e}"


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value) if isinstance(value, float) else value
