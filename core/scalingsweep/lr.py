"""Learning-rate schedules as pure functions of the step.

The trainer asks for the rate of every update here, the plan for the steps of a branch. Step s is
the state after s updates; rate(s), s from 0, is what the update from s to s + 1 uses. A schedule
is a continuous curve over the run, and an update takes its value in the middle of its own step, at
s + ½: so the sum over the updates is the curve's integral (exactly, where it is linear), whatever
the number of steps, and no update is spent on a rate of zero.

Under WSD the trunk's rate never depends on a budget: a branch is the same trunk up to its
`decay_start`, bit for bit, and a decay that takes the last fraction of its own D.
"""

import math
from typing import Literal, TypeAlias, assert_never

from scalingsweep.errors import SpecError

DecayShape: TypeAlias = Literal["linear", "cosine", "sqrt"]
"""linear: 1 − t. cosine: (1 + cos πt)/2. sqrt: 1 − √t (Hägele et al. 2024, arXiv 2405.18392)."""


def wsd(
    step: int,
    *,
    peak: float,
    warmup_steps: int,
    decay_start: int | None,
    decay_steps: int,
    shape: DecayShape,
    floor: float,
) -> float:
    """The rate under warm-up, stable, decay; `decay_start` None is the trunk.

    Args:
        step: updates already made, from 0.
        peak: the stable rate.
        warmup_steps: length of the linear warm-up from 0 to `peak`; 0 for none.
        decay_start: the step that the branch leaves the trunk at, not before the warm-up's end.
        decay_steps: length of the decay; the rate rests at the floor after it.
        shape: of the decay.
        floor: where the decay ends, as a fraction of `peak`.
    """
    if step < warmup_steps:
        return peak * (step + 0.5) / warmup_steps
    if decay_start is None or step < decay_start:
        return peak
    passed = min(1.0, (step - decay_start + 0.5) / decay_steps)
    return peak * (floor + (1 - floor) * _decay(shape, passed))


def cosine(step: int, *, peak: float, warmup_steps: int, total_steps: int, floor: float) -> float:
    """The rate under a linear warm-up and one cosine down to the run's end; arguments as `wsd`."""
    return wsd(
        step,
        peak=peak,
        warmup_steps=warmup_steps,
        decay_start=warmup_steps,
        decay_steps=total_steps - warmup_steps,
        shape="cosine",
        floor=floor,
    )


def decay_steps(total_steps: int, decay_fraction: float) -> int:
    """Steps of the decay of a budget of `total_steps`: its fraction, rounded, at least one."""
    return min(total_steps, max(1, round(total_steps * decay_fraction)))


def branch_start(total_steps: int, decay_fraction: float) -> int:
    """The step at which the branch of a budget of `total_steps` leaves the trunk."""
    return total_steps - decay_steps(total_steps, decay_fraction)


def check_warmup(warmup_steps: int, *, first_branch: int, who: str) -> None:
    """Refuse a warm-up that a budget would cut short.

    Args:
        warmup_steps: length of the warm-up.
        first_branch: where the smallest budget starts to decay; under cosine, where it ends.
        who: the size and arm, for the message.

    Raises:
        SpecError: the peak is not held for a single step before the first branch. Such a branch has
            a smaller learning-rate integral than the others and biases the fitted exponents.
    """
    if warmup_steps >= first_branch:
        raise SpecError(
            "spec.training.schedule.warmup",
            f"takes {warmup_steps} steps for {who}, whose smallest budget decays from step "
            f"{first_branch}: shorten the warm-up or raise the budget",
        )


def _decay(shape: DecayShape, passed: float) -> float:
    """What is left of 1 after the fraction `passed` of a decay."""
    match shape:
        case "linear":
            return 1 - passed
        case "cosine":
            return (1 + math.cos(math.pi * passed)) / 2
        case "sqrt":
            return 1 - math.sqrt(passed)
        case _:
            assert_never(shape)
