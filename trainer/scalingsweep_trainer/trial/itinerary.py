"""Where a trial goes: its branches, the rate of every update, and the checkpoint to go on from.

Pure: it sees the spec and what lies in S3 and answers. A step is a number of updates made; a place
is (branch, step), where branch is `trunk` or a budget's tokens D.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from scalingsweep import lr
from scalingsweep.api.trial import CosineSchedule, TrialSpec

TRUNK = "trunk"


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """The way to one budget from where it leaves the trunk."""

    tokens: int
    """D, tokens of the whole run at the branch's end."""
    start: int
    """The step at which it leaves the trunk; 0 under cosine, which has no trunk."""
    end: int
    """D in steps."""

    @property
    def name(self) -> str:
        """Its folder in S3."""
        return str(self.tokens)


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Saved:
    """One complete checkpoint in S3; they sort by step, then generation."""

    step: int
    generation: int
    branch: str


def branches(spec: TrialSpec) -> tuple[Branch, ...]:
    """One per budget, ascending.

    Raises:
        SpecError: the warm-up reaches into a branch.
    """
    found = []
    for tokens in spec.budgets:
        end = tokens // spec.step_tokens
        schedule = spec.schedule
        start = 0 if schedule.type == "cosine" else lr.branch_start(end, schedule.decay)
        first_decay = end if schedule.type == "cosine" else start
        if schedule.warmup_steps:
            lr.check_warmup(
                schedule.warmup_steps, first_branch=first_decay, who=f"{spec.arm} {spec.size}"
            )
        found.append(Branch(tokens=tokens, start=start, end=end))
    return tuple(found)


def rate(spec: TrialSpec, branch: Branch | None, step: int) -> float:
    """The learning rate of the update from `step` to step + 1; `branch` None is the trunk."""
    schedule = spec.schedule
    if isinstance(schedule, CosineSchedule):
        assert branch is not None, "a cosine run has no trunk"
        return lr.cosine(
            step,
            peak=schedule.peak,
            warmup_steps=schedule.warmup_steps,
            total_steps=branch.end,
            floor=schedule.floor,
        )
    return lr.wsd(
        step,
        peak=schedule.peak,
        warmup_steps=schedule.warmup_steps,
        decay_start=None if branch is None else branch.start,
        decay_steps=1 if branch is None else branch.end - branch.start,
        shape=schedule.shape,
        floor=schedule.floor,
    )


def decayed(branch: Branch, saved: Iterable[Saved]) -> Saved | None:
    """The checkpoint of the branch's end, if there is one."""
    return max((one for one in saved if _at(one, branch.name, branch.end)), default=None)


def resume(branch: Branch, saved: Collection[Saved]) -> Saved | None:
    """What to go on from: the branch's own newest, else the trunk's newest at or before its start.

    Any generation will do, for the numbers of a trial do not depend on the attempt.
    """
    own = [one for one in saved if one.branch == branch.name and one.step <= branch.end]
    trunk = [one for one in saved if one.branch == TRUNK and one.step <= branch.start]
    return max(own, default=None) or max(trunk, default=None)


def work(branches: Iterable[Branch]) -> int:
    """Updates of a whole trial: the trunk to the last branch, and every decay."""
    known = tuple(branches)
    trunk = max((branch.start for branch in known), default=0)
    return trunk + sum(branch.end - branch.start for branch in known)


def work_left(todo: Iterable[Branch], saved: Collection[Saved]) -> int:
    """Updates that the branches without results still need, going on from what is saved."""
    trunk = max((one.step for one in saved if one.branch == TRUNK), default=0)
    left = 0
    for branch in todo:
        place = resume(branch, saved)
        if place is not None and place.branch == branch.name:
            left += branch.end - place.step
        else:
            left += max(0, branch.start - trunk) + branch.end - branch.start
            trunk = max(trunk, branch.start)
    return left


def kept(spec: TrialSpec) -> frozenset[tuple[str, int]]:
    """Places whose checkpoints stay for ever: before each decay (the last of them is the trunk's
    end), and each branch's end. New budgets, continual pre-training and export need them.
    """
    places = [(TRUNK, branch.start) for branch in branches(spec)]
    return frozenset(places + [(branch.name, branch.end) for branch in branches(spec)])


def superfluous(
    saved: Collection[Saved], *, places: Collection[tuple[str, int]], keep_last: int
) -> list[Saved]:
    """The checkpoints that nothing needs any more.

    Args:
        saved: complete checkpoints of this generation and older ones.
        places: (branch, step) that stay for ever, of all budgets there ever were.
        keep_last: how many resumable ones stay after the last of those.
    """
    gone: list[Saved] = []
    for name in {one.branch for one in saved}:
        here = sorted(one for one in saved if one.branch == name)
        lasting = [one for one in here if (name, one.step) in places]
        passing = [one for one in here if one not in lasting]
        since = max((one.step for one in lasting), default=-1)
        newest = [one for one in passing if one.step > since][-keep_last:]
        gone += [one for one in passing if one not in newest]
    return sorted(gone)


def _at(one: Saved, branch: str, step: int) -> bool:
    return one.branch == branch and one.step == step
