"""From observations to fits: which rows make which table, and which laws are fitted to it.

The fit's worker calls `run` on the rows of observations.csv; the command's `fit` does the same for
a table that somebody else made.
"""

import dataclasses
from collections.abc import Mapping, Sequence

from scalingsweep import fit, groups, laws
from scalingsweep.api.sweep import SweepSpec
from scalingsweep.errors import DataError, FitError
from scalingsweep.fit.result import Verdict
from scalingsweep.observations import Row


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """All fits of a study."""

    fits: tuple[fit.Fit, ...]
    notes: tuple[str, ...]
    """What was not fitted, or fitted apart, and why."""


def run(rows: Sequence[Row], spec: SweepSpec) -> Analysis:
    """Fit every law of the spec to every group of arms."""
    fits: list[fit.Fit] = []
    notes: list[str] = []
    for group in groups.of(spec):
        own = [row for row in rows if row["arm"] in group.arms]
        try:
            table = _table(own, spec, group)
            for law in spec.fit.laws:
                fits += _fits(table, law, spec, group, notes)
        except (DataError, FitError) as error:
            notes.append(f"{', '.join(group.arms)}: no law is fitted: {error}")
    return Analysis(fits=tuple(fits), notes=tuple(notes))


def _fits(
    table: fit.Table, law: str, spec: SweepSpec, group: groups.Group, notes: list[str]
) -> list[fit.Fit]:
    shared = _fit(table, law, spec, group)
    if shared.sharing is None or shared.sharing.verdict is not Verdict.REJECTED:
        return [shared]
    notes.append(
        f"{law}: {', '.join(group.arms)} do not share E, A and alpha "
        f"(p = {shared.sharing.pvalue:.2g}): each arm is fitted for itself"
    )
    return [_fit(table, law, spec, group, share=()), shared]


def _fit(
    table: fit.Table,
    law: str,
    spec: SweepSpec,
    group: groups.Group,
    *,
    share: Sequence[laws.Role] = laws.SHARED,
) -> fit.Fit:
    return fit.fit(
        table,
        law=law,
        bootstrap=spec.fit.bootstrap,
        predict=[fit.Target(flops=float(question.flops)) for question in spec.fit.predict],
        hold_out=spec.fit.hold_out.largest if spec.fit.hold_out else None,
        corpus=group.corpus,
        share=share,
    )


def _table(rows: Sequence[Row], spec: SweepSpec, group: groups.Group) -> fit.Table:
    return fit.Table.of(
        N=[row["N"] for row in rows],
        D=[row["D_target"] for row in rows],
        loss=[row[f"loss_{group.corpus}"] for row in rows],
        arm=[row["arm"] for row in rows],
        cluster=[(row["size"], row["seed"]) for row in rows],
        exclude=_excluded(rows, spec),
        source="observations",
    )


def _excluded(rows: Sequence[Row], spec: SweepSpec) -> Mapping[int, str]:
    """Row number, from 1 → the user's reason."""
    reasons: dict[int, str] = {}
    for number, row in enumerate(rows, start=1):
        names = {f"{row['arm']}/{row['size']}", f"{row['arm']}/{row['size']}/{row['seed']}"}
        for excluded in spec.fit.exclude:
            if excluded.trial in names:
                reasons[number] = excluded.reason
    return reasons
