"""Rules across the fields of a spec: what a single field's type cannot say.

The manifest's reader and the worker call `spec` right after parsing; the CRD's CEL rules say the
same where CEL can.
"""

from collections.abc import Iterable, Iterator

from scalingsweep import quantity
from scalingsweep.api import names
from scalingsweep.api.arms import Arm
from scalingsweep.api.sweep import SweepSpec
from scalingsweep.errors import SpecError


def spec(spec: SweepSpec) -> None:
    """Check everything that concerns more than one field.

    Raises:
        SpecError: naming the first field that is wrong, and the mend.
    """
    _distinct("spec.corpora", [corpus.name for corpus in spec.corpora])
    _distinct("spec.arms", [arm.name for arm in spec.arms])
    _corpora_exist(spec)
    _sources_exist(spec)
    _no_cycle(spec)
    _schedule(spec)


def sources_first(arms: Iterable[Arm]) -> Iterator[Arm]:
    """The arms, each after the arm that it starts from; otherwise in the manifest's order.

    The arms must be free of cycles.
    """
    by_name = {arm.name: arm for arm in arms}
    done: set[str] = set()

    def visit(arm: Arm) -> Iterator[Arm]:
        if arm.name in done:
            return
        if arm.init and arm.init.arm:
            yield from visit(by_name[arm.init.arm])
        done.add(arm.name)
        yield arm

    for arm in by_name.values():
        yield from visit(arm)


def same_budget(value: float, written: float | str) -> bool:
    """Whether a budget is the one that is written, as 2000000 is `2M`."""
    return value == names.budget(written)


def _distinct(field: str, given: list[str]) -> None:
    for index, name in enumerate(given):
        if name in given[:index]:
            raise SpecError(
                f"{field}[{index}].name", f"{name!r} is taken already: give another name"
            )


def _corpora_exist(spec: SweepSpec) -> None:
    known = [corpus.name for corpus in spec.corpora]
    wanted = [(f"spec.arms[{i}].corpus", arm.corpus) for i, arm in enumerate(spec.arms)]
    wanted += [
        (f"spec.arms[{i}].replay.corpus", arm.replay.corpus)
        for i, arm in enumerate(spec.arms)
        if arm.replay
    ]
    if spec.tokenizer.train:
        wanted += [
            (f"spec.tokenizer.train.corpora[{i}]", name)
            for i, name in enumerate(spec.tokenizer.train.corpora)
        ]
    for field, name in wanted:
        if name not in known:
            raise SpecError(field, f"no corpus is called {name!r}; there are {', '.join(known)}")


def _sources_exist(spec: SweepSpec) -> None:
    by_name = {arm.name: arm for arm in spec.arms}
    for index, arm in enumerate(spec.arms):
        at = f"spec.arms[{index}]"
        if arm.replay and not arm.init:
            raise SpecError(
                f"{at}.replay", "needs init: an arm from scratch has no source to replay"
            )
        if arm.replay and arm.replay.corpus == arm.corpus:
            raise SpecError(f"{at}.replay.corpus", "is the arm's own corpus: name the source's")
        if not arm.init or arm.init.arm is None:
            if arm.init and arm.init.budget is not None:
                raise SpecError(f"{at}.init.budget", "belongs to init.arm: leave it out with uri")
            continue
        if arm.init.arm not in by_name:
            raise SpecError(
                f"{at}.init.arm",
                f"no arm is called {arm.init.arm!r}; there are {', '.join(by_name)}",
            )
        _source_budget(spec, at, arm, by_name[arm.init.arm])


def _source_budget(spec: SweepSpec, at: str, arm: Arm, source: Arm) -> None:
    assert arm.init is not None
    values = (source.budgets or spec.budgets).values
    if arm.init.budget is None:
        if len(values) > 1:
            raise SpecError(
                f"{at}.init.budget",
                f"is required: {source.name} has {len(values)} budgets; name one, as "
                f"{_written(values[-1])}",
            )
    elif not any(same_budget(value, arm.init.budget) for value in values):
        listed = ", ".join(map(_written, values))
        raise SpecError(
            f"{at}.init.budget", f"{source.name} has no budget {arm.init.budget}; it has {listed}"
        )
    if arm.init.checkpoint == "stable" and spec.training.schedule.type == "cosine":
        raise SpecError(f"{at}.init.checkpoint", "stable needs schedule wsd: cosine has no trunk")


def _written(value: float) -> str:
    """A budget as a person would write it, read back as the same."""
    short = quantity.label(int(value)) if value >= 1 else ""
    return short if short and quantity.parse(short) == value else f"{value:g}"


def _no_cycle(spec: SweepSpec) -> None:
    source = {arm.name: arm.init.arm for arm in spec.arms if arm.init and arm.init.arm}
    for index, arm in enumerate(spec.arms):
        path = [arm.name]
        while path[-1] in source:
            path.append(source[path[-1]])
            if path[-1] == arm.name:
                raise SpecError(
                    f"spec.arms[{index}].init.arm",
                    f"is a cycle ({' ← '.join(path)}): one of them must start from scratch",
                )
            if path[-1] in path[:-1]:
                break  # a cycle that this arm only leads into; its own members report it


def _schedule(spec: SweepSpec) -> None:
    schedule = spec.training.schedule
    if schedule.type == "cosine":
        for name in ("decay", "shape"):
            if name in schedule.model_fields_set:
                raise SpecError(f"spec.training.schedule.{name}", "belongs to wsd: leave it out")
