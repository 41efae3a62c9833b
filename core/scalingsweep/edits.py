"""What may be edited once a study has trained something, and what may not: the same everywhere.

Sizes, arms, budgets and seeds come and go; how a sweep is run and what is fitted may change. All
else would change what its numbers mean while half of them are there. The local command asks before
a run, the operator before it acts on a new generation.
"""

import json
from collections.abc import Iterator
from typing import Any

from scalingsweep import plan, quantity
from scalingsweep.api.sweep import SweepSpec
from scalingsweep.errors import SpecError

MEND = (
    "put it back, or name the study anew in metadata.name: studies in one storage prefix share "
    "equal trials, so that nothing is trained twice"
)

_FREE = (
    *("budgets", "resources", "podTemplate", "trialTemplate", "parallelTrialCount", "queueName"),
    *("maxFailedTrialCount", "onMaxFailed", "retry", "limits", "checkpoints", "suspend", "fit"),
    "ttlSecondsAfterFinished",
)
"""What changes no number of any trial."""
_WAY_THERE = ("endpoint", "region", "addressingStyle", "credentialsSecret")
"""How the bucket is reached; where the data lie is fixed."""
_TEXT = ("uri", "maxEpochs")
"""Text may move, and its content is known by digest; a new budget may need another pass."""
_ONE_OF = {(name,) for name in ("batchTokens", "learningRate", "warmup", "tokenizer", "init")}
"""These take one of several fields: another one is said as a whole."""
_LONGEST = 60

_Path = tuple[str, ...]


def refused(old: SweepSpec, new: SweepSpec) -> SpecError | None:
    """Why a study of `old` may not go on as `new`: the first field, or None where it may.

    Args:
        old: the spec with which trials were started.
        new: the spec as it is now; both are valid.
    """
    before, after = _fixed(old), _fixed(new)
    for path, then, now in _differences(before, after, ()):
        problem = f"was {_shown(then)} and is {_shown(now)}: {_mend(path)}"
        return SpecError(_field(path, new), problem)
    before_plan, after_plan = plan.make(old), plan.make(new)
    return _other_size(before_plan, after_plan) or _other_source(before_plan, after_plan)


def _fixed(spec: SweepSpec) -> dict[str, Any]:
    """What may not change, with lists as maps from name to item, so that items come and go."""
    value: dict[str, Any] = spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    for name in _FREE:
        value.pop(name, None)
    del value["training"]["seeds"], value["model"]["sizes"]
    for rule in ("batchTokens", "learningRate"):
        # a table by size grows with the sizes: it is compared by what it gives to each of them
        if "bySize" in value["training"][rule]:
            value["training"][rule]["bySize"] = "a table"
    for name in _WAY_THERE:
        value.get("storage", {}).get("s3", {}).pop(name, None)
    value["corpora"] = {
        corpus["name"]: {key: item for key, item in corpus.items() if key not in _TEXT}
        for corpus in value["corpora"]
    }
    for arm in value["arms"]:
        arm.pop("budgets", None)
        arm.get("init", {}).pop("budget", None)  # see _other_source
    value["arms"] = {arm["name"]: arm for arm in value["arms"]}
    return value


def _differences(then: Any, now: Any, path: _Path) -> Iterator[tuple[_Path, Any, Any]]:
    whole = not (isinstance(then, dict) and isinstance(now, dict))
    if whole or (path[-1:] in _ONE_OF and then.keys() != now.keys()):
        if then != now:
            yield path, then, now
        return
    for name in then | now:
        if path == ("arms",) and not (name in then and name in now):
            continue  # arms come and go
        if path == ("corpora",) and name not in then:
            continue  # one that is added leaves the numbers of the others as they are
        yield from _differences(then.get(name), now.get(name), (*path, name))


def _other_size(old: plan.Plan, new: plan.Plan) -> SpecError | None:
    """A size that stays is what it was; others come and go."""
    before = {size.label: size for size in old.sizes}
    for size in new.sizes:
        former = before.get(size.label, size)
        if former.shape != size.shape:
            mend = f"give the new one a name of its own, as {{name: …}}, or {MEND}"
            return SpecError("spec.model.sizes", f"{size.label} had another shape: {mend}")
        for rule, then, now in (
            ("batchTokens", former.step_tokens, size.step_tokens),
            ("learningRate", former.peak, size.peak),
        ):
            if then != now:
                problem = f"gave {then:g} to {size.label} and gives {now:g}: {MEND}"
                return SpecError(f"spec.training.{rule}.bySize", problem)
    return None


def _other_source(old: plan.Plan, new: plan.Plan) -> SpecError | None:
    """A trial that stays starts from where it did, however its source's budgets come and go."""
    before = {trial.key: trial.source for trial in old.trials}
    for trial in new.trials:
        former = before.get(trial.key)
        if former is None or trial.source is None or former.tokens == trial.source.tokens:
            continue
        then, now = quantity.label(former.tokens), quantity.label(trial.source.tokens)
        problem = f"{trial.key} started from {then} tokens of {former.key.arm} and would from {now}"
        path = ("arms", trial.key.arm, "init", "budget")
        return SpecError(_field(path, new.spec), f"{problem}: {_mend(path)}")
    return None


def _field(path: _Path, spec: SweepSpec) -> str:
    """The path as the user wrote it: `spec.arms[1].corpus`."""
    names = {
        "arms": [arm.name for arm in spec.arms],
        "corpora": [corpus.name for corpus in spec.corpora],
    }
    known = names.get(path[0], [])
    if len(path) > 1 and path[1] in known:
        return ".".join((f"spec.{path[0]}[{known.index(path[1])}]", *path[2:]))
    return ".".join(("spec", path[0])) if known else ".".join(("spec", *path))


def _mend(path: _Path) -> str:
    if path[0] == "arms":
        return "put it back, or give the arm that is trained so a name of its own"
    return MEND


def _shown(value: Any) -> str:
    if value is None:
        return "left out"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
