"""A sweep as it was applied, with its plan and what that can tell; made once for each generation.

`reconcile` asks at every look, and a preview of 126 trials takes half a second.
"""

import dataclasses
from typing import Any

from scalingsweep import check, identity, preview
from scalingsweep import plan as planning
from scalingsweep.api import names
from scalingsweep.api.status import PlanSummary
from scalingsweep.api.storage import S3Location
from scalingsweep.api.sweep import ScalingSweep, SweepSpec
from scalingsweep.errors import SpecError
from scalingsweep_operator import brief
from scalingsweep_operator.resources import Object

_TEXTS = 8
"""As many warnings as a status holds."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """One generation of one sweep."""

    sweep: ScalingSweep
    location: S3Location
    plan: planning.Plan
    refusal: str
    """Why the grid may not run, else nothing."""
    summary: PlanSummary
    prepare_input: str
    """Digest of what prepare looks at: another one, and it must look again."""
    templates: str
    """Digest of what pods are made from: what waits for its pods is made anew with another one."""

    @property
    def spec(self) -> SweepSpec:
        """What was asked for."""
        return self.sweep.spec

    @property
    def start_deadline(self) -> float:
        """Seconds that a trial's pods may take until all of them run."""
        return names.duration(self.spec.limits.start_deadline)


class Studies:
    """The newest generation of each sweep that was looked at."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[int, Study]] = {}

    def of(self, sweep: Object) -> Study:
        """The study of a sweep as the API server has it.

        Raises:
            SpecError: a field is wrong in a way that the API server could not see.
        """
        uid, generation = sweep["metadata"]["uid"], sweep["metadata"]["generation"]
        known = self._known.get(uid)
        if known is not None and known[0] == generation:
            return known[1]
        study = read(sweep)
        self._known[uid] = generation, study
        return study

    def forget(self, uid: str) -> None:
        """A sweep is gone."""
        self._known.pop(uid, None)


def read(sweep: Object) -> Study:
    """The study of a sweep; raises as `Studies.of`."""
    metadata = {name: sweep["metadata"][name] for name in ("name", "namespace")}
    given = {name: sweep[name] for name in ("apiVersion", "kind", "spec")}
    parsed = ScalingSweep.from_wire({**given, "metadata": metadata})
    check.spec(parsed.spec)
    if parsed.spec.storage is None:
        raise SpecError("spec.storage", "is required on a cluster: name the s3 bucket")
    plan = planning.make(parsed.spec)
    seen = preview.make(plan)
    return Study(
        sweep=parsed,
        location=parsed.spec.storage.s3,
        plan=plan,
        refusal=seen.refusal,
        summary=_summary(seen),
        prepare_input=_prepare_input(parsed.spec),
        templates=_templates(parsed.spec),
    )


def _summary(seen: preview.Preview) -> PlanSummary:
    return PlanSummary(
        observations=len(seen.plan.observations),
        flops=float(seen.plan.flops),
        gpu_hours=seen.gpu_hours,
        warnings=tuple(brief.cut(text) for text in seen.warnings[:_TEXTS]),
    )


def _prepare_input(spec: SweepSpec) -> str:
    value = spec.to_wire()
    fields = ("corpora", "tokenizer", "model", "arms", "budgets", "training", "storage")
    return identity.digest([*(value.get(name) for name in fields), _pods(value)])


def _templates(spec: SweepSpec) -> str:
    value = spec.to_wire()
    return identity.digest([value.get("resources"), value.get("queueName"), _pods(value)])


def _pods(value: dict[str, Any]) -> list[Any]:
    """What a user may mend when pods do not start."""
    return [value.get(name) for name in ("podTemplate", "trialTemplate", "storage")]
