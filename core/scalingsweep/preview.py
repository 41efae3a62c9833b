"""What a sweep will cost and what its grid can tell, before anything runs.

`scalingsweep plan` prints it; both control planes refuse to spend a GPU-hour on a grid that cannot
identify its law (`refusal`), unless the manifest says that this is known.
"""

import dataclasses
import math
from typing import Any

import numpy as np
from pydantic.alias_generators import to_camel

from scalingsweep import cost, design, devices, groups, laws, resolve
from scalingsweep.plan import Plan, Size, Trial

DEFAULT_DEVICE = "H100"
"""Whose hours are printed where the manifest names no accelerator; the name is printed beside."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SizeRow:
    """One size of the ladder, as the plan's table shows it."""

    label: str
    N: int
    layers: int
    hidden_size: int
    heads: int
    batch_tokens: int
    learning_rate: float
    warmup_steps: int
    steps: int
    """Of its longest run."""
    memory: int
    """Bytes of one rank at a micro-batch of one sequence."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TextNeed:
    """What the study asks of one corpus."""

    corpus: str
    uri: str
    tokens: int
    """Unique tokens that the longest run takes of it."""
    max_epochs: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class GroupVerdict:
    """What the planned grid can tell of one law in one group of arms."""

    group: groups.Group
    law: str
    verdict: str
    """`identified`, `loose` or `deficient`."""
    text: str
    """All of it in one sentence."""
    unidentified: tuple[str, ...]
    half_widths: dict[str, float]
    mend: tuple[design.Point, ...]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """Everything that `plan` prints."""

    plan: Plan
    sizes: tuple[SizeRow, ...]
    gpu_hours: float | None
    """Of all trials, trunks counted once; None where the device is unknown."""
    device: str
    device_is_default: bool
    mfu: float
    """The assumed share of the device's peak."""
    storage: int
    """Bytes of all checkpoints that stay."""
    text: tuple[TextNeed, ...]
    identifiability: tuple[GroupVerdict, ...]
    warnings: tuple[str, ...]

    @property
    def refusal(self) -> str:
        """Why the sweep may not run, else nothing."""
        if self.plan.spec.fit.identifiability == "Warn":
            return ""
        for verdict in self.identifiability:
            if verdict.group.wanted and verdict.verdict == design.Verdict.DEFICIENT:
                return (
                    f"spec.budgets: {verdict.text}; to run it all the same: "
                    "spec.fit.identifiability: Warn"
                )
        return ""

    def to_json(self) -> dict[str, Any]:
        """The one object that `plan --json` prints."""
        return {
            "trials": len(self.plan.trials),
            "observations": len(self.plan.observations),
            "flops": float(self.plan.flops),
            "flopsTrained": float(self.plan.flops_trained),
            "gpuHours": self.gpu_hours,
            "device": {
                "name": self.device,
                "assumed": self.device_is_default,
                "mfu": self.mfu,
            },
            "storageBytes": self.storage,
            "sizes": [_wire(row) for row in self.sizes],
            "corpora": [_wire(need) for need in self.text],
            "identifiability": [
                {
                    "corpus": verdict.group.corpus,
                    "arms": list(verdict.group.arms),
                    "law": verdict.law,
                    "verdict": str(verdict.verdict),
                    "unidentified": list(verdict.unidentified),
                    "halfWidths": {
                        name: width if math.isfinite(width) else None
                        for name, width in verdict.half_widths.items()
                    },
                    "mend": [dataclasses.asdict(point) for point in verdict.mend],
                    "text": verdict.text,
                }
                for verdict in self.identifiability
            ],
            "warnings": list(self.warnings),
        }


def _wire(row: SizeRow | TextNeed) -> dict[str, Any]:
    return {to_camel(name): value for name, value in dataclasses.asdict(row).items()}


def make(plan: Plan) -> Preview:
    """Look at a plan from all sides; it always answers."""
    named = [size.resources.accelerator for size in plan.sizes if size.resources.accelerator]
    device = named[0] if named else DEFAULT_DEVICE
    verdicts = tuple(_verdicts(plan))
    return Preview(
        plan=plan,
        sizes=tuple(_size_row(plan, size) for size in plan.sizes),
        gpu_hours=_gpu_hours(plan, device),
        device=device,
        device_is_default=not named,
        mfu=cost.ASSUMED_MFU,
        storage=_storage(plan),
        text=tuple(_text(plan)),
        identifiability=verdicts,
        warnings=(
            *plan.warnings,
            *(
                v.text
                for v in verdicts
                if v.group.wanted and v.verdict != design.Verdict.IDENTIFIED
            ),
        ),
    )


def _verdicts(plan: Plan) -> list[GroupVerdict]:
    return [
        _verdict(plan, group, law) for group in groups.of(plan.spec) for law in plan.spec.fit.laws
    ]


def _verdict(plan: Plan, group: groups.Group, law: str) -> GroupVerdict:
    cells = [(t, D) for t, D in plan.observations if t.key.arm in group.arms]
    grid = design.Grid(
        N=np.array([trial.size.N for trial, _ in cells], dtype=np.float64),
        D=np.array([_target(plan, trial, D) for trial, D in cells], dtype=np.float64),
        arm=[trial.key.arm for trial, _ in cells],
        cluster=[(trial.key.size, trial.key.seed) for trial, _ in cells],
    )
    share = laws.SHARED if len(group.arms) > 1 else ()
    found = design.examine(grid, law, share=share)
    return GroupVerdict(
        group=group,
        law=law,
        verdict=found.verdict,
        text=f"{', '.join(group.arms)}: {found.text}",
        unidentified=found.unidentified,
        half_widths=found.half_widths,
        mend=found.mend,
    )


def _target(plan: Plan, trial: Trial, D: int) -> int:
    return resolve.data(trial, D, plan, None).target


def _size_row(plan: Plan, size: Size) -> SizeRow:
    longest = max(trial.budgets[-1] for trial in plan.trials if trial.size is size)
    gpus = size.resources.nodes * size.resources.gpus_per_node
    memory = cost.memory(
        size.shape,
        micro_batch=1,
        precision=plan.spec.training.precision,
        world_size=max(1, gpus),
    )
    return SizeRow(
        label=size.label,
        N=size.N,
        layers=size.shape.layers,
        hidden_size=size.shape.hidden_size,
        heads=size.shape.heads,
        batch_tokens=size.step_tokens,
        learning_rate=size.peak,
        warmup_steps=size.warmup_steps,
        steps=longest // size.step_tokens,
        memory=memory.total,
    )


def _gpu_hours(plan: Plan, default: str) -> float | None:
    hours = 0.0
    for trial in plan.trials:
        device = devices.find(trial.size.resources.accelerator or default)
        if device is None:
            return None
        flops = cost.trial_flops(trial.size.shape, trial.trained_tokens)
        one = cost.gpu_hours(flops, device, precision=plan.spec.training.precision)
        if one is None:
            return None
        hours += one
    return hours


def _storage(plan: Plan) -> int:
    keep = plan.spec.checkpoints.keep_last
    # one before and one after each decay, and the resumable ones of the run
    return sum(
        cost.storage(trial.size.shape, 2 * len(trial.budgets) + keep)
        if trial.schedule.type == "wsd"
        else cost.storage(trial.size.shape, 1 + keep)
        for trial in plan.trials
    )


def _text(plan: Plan) -> list[TextNeed]:
    needs = []
    for corpus in plan.spec.corpora:
        own = [
            _target(plan, trial, trial.budgets[-1])
            for trial in plan.trials
            if trial.arm.corpus == corpus.name
        ]
        replayed = [
            resolve.data(trial, trial.budgets[-1], plan, None).replayed
            for trial in plan.trials
            if trial.arm.replay and trial.arm.replay.corpus == corpus.name
        ]
        needs.append(
            TextNeed(
                corpus=corpus.name,
                uri=corpus.uri,
                tokens=max([*own, *replayed], default=0),
                max_epochs=corpus.max_epochs,
            )
        )
    return needs
