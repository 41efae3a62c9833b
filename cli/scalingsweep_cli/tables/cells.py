"""Observations as sheets: those of one study, and the cells that several have in common.

A cell is (arm, N, D, seed). Two studies meet in it when arm and seed are the same and N and D are
within 1 %: D is a whole number of steps, and so depends a little on the batch.
"""

import math
from collections.abc import Iterator, Sequence
from statistics import fmean

from scalingsweep import observations
from scalingsweep.errors import DataError
from scalingsweep.observations import Row
from scalingsweep_cli.tables.sheet import Answer, Column, Kind, Sheet, Value
from scalingsweep_cli.tables.source import Source

NEAR = 0.01
MOST_MISSING = 5
"""So many missing cells are named; the others are counted."""
_KINDS = {"arm": Kind.TEXT, "size": Kind.TEXT, "trial": Kind.TEXT}
_WHOLE = {"seed", "N", "N_total", "N_nonembedding", "D", "D_target", "D_replayed", "D_source"}
_UNITS = {"loss": "nats a token", "bpb": "bits a byte"}


def of_one(source: Source, unit: str) -> Answer:
    """All observations of one study."""
    names = observations.columns(source.corpora)
    data = Sheet(
        title="",
        columns=tuple(Column(name=name, kind=_kind(name)) for name in names),
        rows=[[row[name] for name in names] for row in source.rows],
    )
    shown = ("arm", "size", "seed", "N", "D", *(f"{unit}_{name}" for name in source.corpora))
    view = Sheet(
        title=f"{source.name}: losses in {_UNITS[unit]}",
        columns=tuple(Column(name=name, kind=_shown(name)) for name in shown),
        rows=[[row[name] for name in shown] for row in source.rows],
    )
    planned = len(source.rows) + len(source.missing)
    notes = [f"{len(source.rows)} observations of {planned} planned"]
    notes += [f"missing: {words}" for words in source.missing[:MOST_MISSING]]
    if len(source.missing) > MOST_MISSING:
        notes.append(f"and {len(source.missing) - MOST_MISSING} more")
    return Answer(
        key="observations",
        data=data,
        views=(view,) if source.rows else (),
        notes=tuple(notes),
        beside={"missing": list(source.missing)},
    )


def compared(sources: Sequence[Source], unit: str) -> Answer:
    """The cells that all studies have, with the differences from the first; and their means by arm.

    Raises:
        DataError: no corpus, or no cell, is in all of them.
    """
    first, *others = sources
    corpora = [name for name in first.corpora if all(name in other.corpora for other in others)]
    names = ", ".join(source.name for source in sources)
    if not corpora:
        raise DataError("", f"{names} have no corpus in common: nothing can be compared")
    met = list(_meet(first, others))
    cells = [
        (corpus, rows, values)
        for corpus in corpora
        for rows in met
        if None not in (values := [row[f"{unit}_{corpus}"] for row in rows])
    ]
    if not cells:
        raise DataError(
            "", f"{names} have no cell in common: arm and seed equal, N and D within 1 %"
        )
    labels = [source.name for source in sources]
    differences = tuple(
        Column(name=f"difference_{label}", kind=Kind.DIFFERENCE, title=f"Δ {label}")
        for label in labels[1:]
    )
    losses = tuple(Column(name=f"{unit}_{label}", kind=Kind.LOSS, title=label) for label in labels)
    keys = (
        Column(name="corpus", kind=Kind.TEXT),
        Column(name="arm", kind=Kind.TEXT),
        Column(name="N", kind=Kind.COUNT),
        Column(name="D", kind=Kind.COUNT),
        Column(name="seed", kind=Kind.COUNT),
    )
    table = [
        [
            corpus,
            rows[0]["arm"],
            rows[0]["N"],
            rows[0]["D"],
            rows[0]["seed"],
            *values,
            *_from(values),
        ]
        for corpus, rows, values in cells
    ]
    data = Sheet(title="", columns=(*keys, *losses, *differences), rows=table)
    views = [
        Sheet(
            title=f"Losses on {corpus}, {_UNITS[unit]}; Δ from {first.name}",
            columns=(*keys[1:], *losses, *differences),
            rows=[row[1:] for row in table if row[0] == corpus],
        )
        for corpus in corpora
        if any(row[0] == corpus for row in table)
    ]
    views.append(_by_arm(table, labels, len(keys) + len(labels)))
    return Answer(
        key="cells",
        data=data,
        views=tuple(views),
        notes=tuple(_counts(sources, len(met))),
        warnings=tuple(_warnings(sources, corpora, unit)),
    )


def _meet(first: Source, others: Sequence[Source]) -> Iterator[list[Row]]:
    """For each row of the first study the nearest of every other, where all have one."""
    for row in first.rows:
        partners = [_nearest(row, other.rows) for other in others]
        if None not in partners:
            yield [row, *(partner for partner in partners if partner is not None)]


def _nearest(row: Row, rows: Sequence[Row]) -> Row | None:
    same = [r for r in rows if (r["arm"], r["seed"]) == (row["arm"], row["seed"])]
    near = [(max(_apart(row, r, "N"), _apart(row, r, "D")), r) for r in same]
    near.sort(key=lambda pair: pair[0])
    return near[0][1] if near and near[0][0] <= NEAR else None


def _apart(row: Row, other: Row, name: str) -> float:
    return abs(math.log(row[name] / other[name]))


def _from(values: Sequence[float]) -> list[float]:
    return [value - values[0] for value in values[1:]]


def _by_arm(table: Sequence[Sequence[Value]], labels: Sequence[str], at: int) -> Sheet:
    groups: dict[tuple[Value, Value], list[Sequence[Value]]] = {}
    for row in table:
        groups.setdefault((row[0], row[1]), []).append(row)
    rows: list[list[Value]] = []
    for (corpus, arm), found in groups.items():
        for place, label in enumerate(labels[1:]):
            found_here = [float(row[at + place] or 0.0) for row in found]
            mean, low, high = fmean(found_here), min(found_here), max(found_here)
            rows.append([corpus, arm, label, len(found), mean, low, high])
    return Sheet(
        title=f"Differences from {labels[0]} by arm (below 0: lower loss than {labels[0]})",
        columns=(
            Column(name="corpus", kind=Kind.TEXT),
            Column(name="arm", kind=Kind.TEXT),
            Column(name="study", kind=Kind.TEXT),
            Column(name="cells", kind=Kind.COUNT),
            *(Column(name=n, kind=Kind.DIFFERENCE) for n in ("mean", "lowest", "highest")),
        ),
        rows=rows,
    )


def _counts(sources: Sequence[Source], met: int) -> Iterator[str]:
    counts = ", ".join(f"{len(source.rows)} of {source.name}" for source in sources)
    yield f"{met} cells are in all studies; observations: {counts}"


def _warnings(sources: Sequence[Source], corpora: Sequence[str], unit: str) -> Iterator[str]:
    known = [source for source in sources if source.validation]
    for corpus in corpora:
        if len({source.validation[corpus] for source in known}) > 1:
            yield f"the held-out text of {corpus} is not the same: its losses cannot be compared"
    if unit == "loss" and len({source.tokenizer for source in known}) > 1:
        yield "the tokenizers differ: nats a token cannot be compared; take --unit bpb"
    if len(known) < len(sources):
        names = ", ".join(source.name for source in sources if not source.validation)
        yield f"a table does not say on which held-out text and tokens it was judged: {names}"


def _kind(name: str) -> Kind:
    return _KINDS.get(name) or (Kind.COUNT if name in _WHOLE else Kind.NUMBER)


def _shown(name: str) -> Kind:
    if name in _WHOLE:
        return Kind.COUNT
    return _KINDS.get(name, Kind.LOSS)
