"""A CSV of measured losses, from wherever it comes, read strictly into the rows of a fit.

`scalingsweep fit` calls `read`. Headers differ from group to group, so a few names are taken for
the same column; cells do not: whatever is no number is refused with its line, never passed over.
"""

import csv
import io
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scalingsweep.errors import DataError

NAMES = {
    "N": ("n", "params", "parameters", "n_params"),
    "D": ("d", "tokens", "n_tokens", "train_tokens", "training_tokens"),
    "loss": ("loss", "final_loss", "val_loss", "validation_loss"),
}
"""What a column may be called, in any case of letters; earlier names win over later ones."""

_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurements:
    """The columns of a table, row by row; every number is finite and above zero."""

    source: str
    """The file's name."""
    N: list[float]
    D: list[float]
    loss: list[float]
    arm: list[str]
    """One name for every row; all the same where the table has no arms."""
    cluster: list[tuple[str, ...]] | None
    """(size, seed) of each row, which the branches of a trunk have in common; None: not told."""
    corpus: str
    """Whose loss it is; empty where the column is just called loss."""

    @property
    def arms(self) -> tuple[str, ...]:
        """The arms in the order of their first rows."""
        return tuple(dict.fromkeys(self.arm))

    def of(self, arms: Sequence[str]) -> "Measurements":
        """The rows of some arms."""
        keep = [i for i, arm in enumerate(self.arm) if arm in arms]
        return Measurements(
            source=self.source,
            N=[self.N[i] for i in keep],
            D=[self.D[i] for i in keep],
            loss=[self.loss[i] for i in keep],
            arm=[self.arm[i] for i in keep],
            cluster=[self.cluster[i] for i in keep] if self.cluster else None,
            corpus=self.corpus,
        )


def read(
    text: str, source: str, *, by: str | None = None, corpus: str | None = None
) -> Measurements:
    """The measurements of a CSV with columns N, D and loss, and perhaps arm, size, seed.

    Args:
        text: the file's text.
        source: the file's name, for errors.
        by: the column that names the arm; `arm` where the table has it.
        corpus: take the loss from `loss_<corpus>`, as observations.csv calls it.

    Raises:
        DataError: naming the file, the line and the column, and the mend.
    """
    header, rows = _rows(text, source)
    known = {name.lower(): name for name in header}
    loss, corpus = _loss(header, known, source, corpus)
    columns = {"N": _column("N", known), "D": _column("D", known), "loss": loss}
    missing = [name for name, column in columns.items() if column is None]
    if missing:
        raise DataError(
            source,
            f"lacks the column {' and '.join(missing)} (also read as "
            f"{'; '.join(', '.join(NAMES[name][1:]) for name in missing)}); it has "
            f"{', '.join(header)}",
        )
    if by is not None and by not in header:
        raise DataError(source, f"has no column {by} (--by); it has {', '.join(header)}")
    arm = by or known.get("arm")
    numbers = {
        name: [_positive(row, column, line, source) for line, row in rows]
        for name, column in columns.items()
        if column is not None
    }
    keys = [known[key] for key in ("size", "seed") if key in known]
    return Measurements(
        source=source,
        N=numbers["N"],
        D=_own_tokens(numbers["D"], rows, source),
        loss=numbers["loss"],
        arm=[_word(row, arm, line, source) if arm else "all" for line, row in rows],
        cluster=[tuple(row[key] for key in keys) for _, row in rows] if keys else None,
        corpus=corpus,
    )


_Rows = list[tuple[int, Mapping[str, str]]]


def _rows(text: str, source: str) -> tuple[list[str], _Rows]:
    """The header, and each row with its line's number."""
    reader = csv.reader(io.StringIO(text), strict=True)
    try:
        lines = [(reader.line_num, cells) for cells in reader if any(map(str.strip, cells))]
    except csv.Error as error:
        raise DataError(f"{source}, line {reader.line_num}", f"is no CSV: {error}") from None
    if not lines:
        raise DataError(source, "is empty: a header with N, D and loss is needed, and its rows")
    header = [cell.strip() for cell in lines[0][1]]
    if len(header) == 1 and (found := re.search(r"[;\t]", header[0])):
        raise DataError(source, f"is separated by {found[0]!r}: save it with commas")
    doubled = sorted({name for name in header if header.count(name) > 1})
    if doubled:
        raise DataError(source, f"has two columns called {doubled[0]!r}: rename one of them")
    rows: _Rows = []
    for line, cells in lines[1:]:
        if len(cells) != len(header):
            raise DataError(
                f"{source}, line {line}",
                f"has {len(cells)} cells and the header {len(header)}: fill or remove some",
            )
        rows.append((line, dict(zip(header, map(str.strip, cells), strict=True))))
    return header, rows


def _column(name: str, known: Mapping[str, str]) -> str | None:
    return next((known[alias] for alias in NAMES[name] if alias in known), None)


def _loss(
    header: Sequence[str], known: Mapping[str, str], source: str, corpus: str | None
) -> tuple[str | None, str]:
    """The loss column and the corpus that it is of."""
    there = [name.removeprefix("loss_") for name in header if name.startswith("loss_")]
    if corpus is not None:
        if corpus in there:
            return f"loss_{corpus}", corpus
        listed = ", ".join(there) or "none"
        raise DataError(source, f"has no column loss_{corpus} (--corpus); corpora: {listed}")
    plain = _column("loss", known)
    if plain is None and len(there) == 1:
        return f"loss_{there[0]}", there[0]
    if plain is None and there:
        raise DataError(
            source, f"has losses on {', '.join(there)}: choose one, as --corpus {there[0]}"
        )
    return plain, ""


def _own_tokens(D: list[float], rows: _Rows, source: str) -> list[float]:
    """In observations.csv, arms with replay are fitted on the tokens of their own corpus."""
    if not rows or not {"D_target", "D_replayed"} <= rows[0][1].keys():
        return D
    return [_positive(row, "D_target", line, source) for line, row in rows]


def _positive(row: Mapping[str, str], column: str, line: int, source: str) -> float:
    cell, at = row[column], f"{source}, line {line}, column {column}"
    if cell == "":
        raise DataError(at, "is empty: give a number, or remove the line")
    value = float(cell) if _NUMBER.fullmatch(cell) else math.nan
    if not math.isfinite(value):
        raise DataError(at, f"{cell!r} is not a number: mend it, or remove the line")
    if value <= 0:
        raise DataError(at, f"{cell} is not above 0, as every {column} must be")
    return value


def _word(row: Mapping[str, str], column: str, line: int, source: str) -> str:
    if row[column] == "":
        raise DataError(f"{source}, line {line}, column {column}", "is empty: name the arm")
    return row[column]
