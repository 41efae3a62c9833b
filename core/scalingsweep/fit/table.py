"""The rows that a fit is made of: validated once, so that nothing after it needs to ask again.

Made by the trainer's fit from observations, by `scalingsweep fit` from a CSV, by tests from arrays.
"""

import csv
import hashlib
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scalingsweep.errors import DataError
from scalingsweep.laws import Floats

LEAST_ROWS = 4
"""Fewer rows than this say nothing of any law; `fit` asks for as many as the law has parameters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """A row that the user left out, and why."""

    row: int
    """Counted from 1, without the header."""
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Table:
    """n measured losses. Build it with `Table.of` or `parse_csv`."""

    N: Floats
    """(n,) parameters."""
    D: Floats
    """(n,) tokens."""
    loss: Floats
    """(n,) nats per token."""
    arms: tuple[str, ...]
    """Names, in the order in which they are printed; the first is what others are compared with."""
    arm: NDArray[np.intp]
    """(n,) index into `arms`."""
    cluster: NDArray[np.intp]
    """(n,) rows with the same number share their noise: the branches of one trunk."""
    dropped: tuple[Dropped, ...] = ()
    guessed_clusters: bool = False
    """Nobody said which rows share a trunk, so those of one N are taken to."""

    @classmethod
    def of(
        cls,
        *,
        N: Sequence[float] | Floats,
        D: Sequence[float] | Floats,
        loss: Sequence[float] | Floats,
        arm: Sequence[str] | None = None,
        cluster: Sequence[object] | None = None,
        exclude: Mapping[int, str] | None = None,
        source: str = "table",
    ) -> "Table":
        """Check the columns and make a table of them.

        Args:
            N: parameters of each row.
            D: tokens of each row.
            loss: nats per token of each row.
            arm: names; one arm called "all" if None. Arms keep the order of their first rows.
            cluster: what rows with shared noise have in common, such as (size, seed). The same
                cluster in two arms is resampled in both at once. If None and an N has two rows or
                more on average, rows of one N are taken for branches of one trunk; else each row
                stands for itself.
            exclude: rows to leave out (counted from 1) and the reasons.
            source: what an error names: a file.

        Raises:
            DataError: naming the row and the column.
        """
        columns = {
            name: _positive(name, values, source)
            for name, values in (("N", N), ("D", D), ("loss", loss))
        }
        n = len(columns["N"])
        names = ["all"] * n if arm is None else [str(a) for a in arm]
        guessed = cluster is None and _repeats(columns["N"], names)
        ids: list[object] = list(range(n))
        if cluster is not None:
            ids = list(cluster)
        elif guessed:
            ids = columns["N"].tolist()
        for column, size in (("D", len(columns["D"])), ("loss", len(columns["loss"]))):
            if size != n:
                raise DataError(f"{source}, column {column}", f"has {size} values and N has {n}")
        if len(names) != n or len(ids) != n:
            raise DataError(source, f"arm and cluster need one value for each of {n} rows")
        left_out = dict(exclude or {})
        for row in left_out:
            if not 1 <= row <= n:
                raise DataError(source, f"there is no row {row} to exclude; there are {n}")
        keep = np.array([row not in left_out for row in range(1, n + 1)], dtype=np.bool_)
        kept = int(keep.sum())
        if kept < LEAST_ROWS:
            raise DataError(source, f"has {kept} rows; a law needs at least {LEAST_ROWS}")
        arms = tuple(dict.fromkeys(a for a, k in zip(names, keep, strict=True) if k))
        number = {value: i for i, value in enumerate(dict.fromkeys(ids))}
        made = cls(
            N=columns["N"][keep],
            D=columns["D"][keep],
            loss=columns["loss"][keep],
            arms=arms,
            arm=np.array(
                [arms.index(a) for a, k in zip(names, keep, strict=True) if k], dtype=np.intp
            ),
            cluster=np.array(
                [number[c] for c, k in zip(ids, keep, strict=True) if k], dtype=np.intp
            ),
            dropped=tuple(Dropped(row=row, reason=left_out[row]) for row in sorted(left_out)),
            guessed_clusters=guessed,
        )
        for column, values in (("N", made.N), ("D", made.D)):
            if len(np.unique(values)) < 2:
                raise DataError(
                    f"{source}, column {column}", f"has one value only; no law of {column} follows"
                )
        return made

    @property
    def rows(self) -> int:
        return len(self.N)

    @property
    def clusters(self) -> int:
        """The number of clusters of the arm that has the fewest: it limits that arm's intervals."""
        return min(len(np.unique(self.cluster[self.arm == k])) for k in range(len(self.arms)))

    @property
    def clustered(self) -> bool:
        """Whether any two rows of an arm share a cluster."""
        pairs = set(zip(self.arm.tolist(), self.cluster.tolist(), strict=True))
        return len(pairs) < self.rows

    @property
    def flops(self) -> Floats:
        """(n,) C = 6 N D."""
        return 6.0 * self.N * self.D

    @property
    def sha256(self) -> str:
        """A digest of the rows that were fitted, whatever file they came from."""
        lines = (
            f"{self.arms[k]},{n!r},{d!r},{loss!r},{c}\n"
            for k, n, d, loss, c in zip(
                self.arm.tolist(),
                self.N.tolist(),
                self.D.tolist(),
                self.loss.tolist(),
                self.cluster.tolist(),
                strict=True,
            )
        )
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    def where(self, keep: NDArray[np.bool_]) -> "Table":
        """The rows of a mask; all arms stay, though one may be left without rows."""
        return Table(
            N=self.N[keep],
            D=self.D[keep],
            loss=self.loss[keep],
            arms=self.arms,
            arm=self.arm[keep],
            cluster=self.cluster[keep],
            dropped=self.dropped,
            guessed_clusters=self.guessed_clusters,
        )

    def of_arm(self, index: int) -> "Table":
        """One arm's rows as a table of their own."""
        keep = self.arm == index
        return Table(
            N=self.N[keep],
            D=self.D[keep],
            loss=self.loss[keep],
            arms=(self.arms[index],),
            arm=np.zeros(int(keep.sum()), dtype=np.intp),
            cluster=self.cluster[keep],
            dropped=self.dropped,
            guessed_clusters=self.guessed_clusters,
        )


def _repeats(N: Floats, arms: Sequence[str]) -> bool:
    """Whether an arm's N has two rows or more on average, as a grid of sizes and budgets has."""
    return 2 * len(set(zip(arms, N.tolist(), strict=False))) <= len(N)


def _positive(name: str, values: Sequence[float] | Floats, source: str) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise DataError(f"{source}, column {name}", "must be a plain list of numbers")
    for i in np.flatnonzero(~(np.isfinite(array) & (array > 0)))[:1]:
        raise DataError(
            f"{source}, row {i + 1}, column {name}", f"{array[i]:g} must be finite and above zero"
        )
    return array


def parse_csv(
    text: str, *, source: str = "table", exclude: Mapping[int, str] | None = None
) -> Table:
    """Read a CSV with columns N, D, loss and, if it has them, arm and cluster (or size and seed).

    Args:
        text: the file's text.
        source: the file's name, for errors.
        exclude: rows to leave out, counted from 1 without the header.

    Raises:
        DataError: naming the file, the row and the column.
    """
    reader = csv.DictReader(io.StringIO(text))
    header = reader.fieldnames or []
    missing = [c for c in ("N", "D", "loss") if c not in header]
    if missing:
        raise DataError(
            source, f"lacks the column {', '.join(missing)}; it has {', '.join(header) or 'none'}"
        )
    rows = list(reader)
    numbers = {
        column: [_number(row[column], column, i, source) for i, row in enumerate(rows, 1)]
        for column in ("N", "D", "loss")
    }
    arm = [row["arm"] or "" for row in rows] if "arm" in header else None
    keys = ["cluster"] if "cluster" in header else [k for k in ("size", "seed") if k in header]
    cluster = [tuple(row[k] for k in keys) for row in rows] if keys else None
    return Table.of(
        N=numbers["N"],
        D=numbers["D"],
        loss=numbers["loss"],
        arm=arm,
        cluster=cluster,
        exclude=exclude,
        source=source,
    )


def _number(text: str | None, column: str, row: int, source: str) -> float:
    try:
        value = float(text or "")
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataError(f"{source}, row {row}, column {column}", f"{text!r} is not a number")
    return value
