"""Which arms are fitted together: those that are judged on the same held-out text.

Loss surfaces share E, A and α only where validation corpus and tokenizer are the same; so the arms
of one corpus form a group, and an English source is never fitted with the French arms.
"""

import dataclasses

from scalingsweep.api.sweep import SweepSpec


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The arms that train on, and are judged by, one corpus."""

    corpus: str
    arms: tuple[str, ...]
    wanted: bool
    """Whether any of its arms is more than a starting point for others: such a group must be
    identifiable, the law of a mere source is fitted where its grid allows it."""


def of(spec: SweepSpec) -> tuple[Group, ...]:
    """The groups of a spec, in the order of their first arms."""
    sources = {arm.init.arm for arm in spec.arms if arm.init}
    corpora = dict.fromkeys(arm.corpus for arm in spec.arms)
    return tuple(
        Group(
            corpus=corpus,
            arms=tuple(arm.name for arm in spec.arms if arm.corpus == corpus),
            wanted=any(a.corpus == corpus and a.name not in sources for a in spec.arms),
        )
        for corpus in corpora
    )
