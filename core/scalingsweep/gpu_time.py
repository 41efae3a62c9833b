"""GPU time of a sweep in seconds: used, and committed. `decide` holds it against the limit."""

from scalingsweep import cost, devices
from scalingsweep.plan import Trial
from scalingsweep.world import Observed


def used(observed: Observed, now: float) -> float:
    """Used so far, also by trials that the plan no longer has."""
    listed = sum(each.used(now) for attempts in observed.attempts.values() for each in attempts)
    return listed + observed.spent_gpu_seconds


def committed(observed: Observed, now: float) -> float:
    """What is used, and what running trials will still need as far as can be told."""
    running = 0.0
    for trial in observed.plan.trials:
        attempts = observed.attempts.get(trial.key, ())
        if attempts and attempts[-1].running:
            running += max(0.0, estimated(trial) - attempts[-1].used(now))
    return used(observed, now) + running


def estimated(trial: Trial) -> float:
    """Of a whole trial; 0 where the device is unknown, for nothing can be committed."""
    resources = trial.size.resources
    device = devices.find(resources.accelerator) if resources.accelerator else None
    if device is None or resources.nodes * resources.gpus_per_node == 0:
        return 0.0
    flops = cost.trial_flops(trial.size.shape, trial.trained_tokens)
    return (cost.gpu_hours(flops, device) or 0.0) * 3600
