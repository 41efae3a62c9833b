"""What a worker is told for each piece of work: the contract's variables, and what it occupies."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass

from scalingsweep.api.attempt import Attempt
from scalingsweep.api.prepared import Prepared
from scalingsweep.api.storage import S3Location
from scalingsweep.api.trial import TrialSpec
from scalingsweep.plan import Key
from scalingsweep.resolve import planned
from scalingsweep.world import Job, Start, Work
from scalingsweep_cli.local import machine
from scalingsweep_cli.local.study import Study


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One attempt to be made."""

    work: Work
    command: str
    """`prepare`, `trial` or `fit`."""
    variables: Mapping[str, str]
    """What the work is, as the contract says."""
    gpus: int = 0
    threads: int = 1
    halvings: int = 0
    fitted: int = 0
    """Fit only: how many observations are complete."""
    budgets: tuple[int, ...] = ()
    """Trials only: tokens D that are asked for."""


def order(
    start: Start,
    study: Study,
    *,
    prepared: Prepared | None,
    specs: Mapping[Key, TrialSpec],
    complete: int,
) -> Order:
    """What a decision's start means.

    Args:
        start: the decision.
        study: what is run.
        prepared: prepare's answer; trials and fits come after it.
        specs: the trials' specs.
        complete: how many observations are complete.
    """
    spec = {"SCALINGSWEEP_SPEC": _json(study.sweep.spec.to_wire())}
    if start.work is Job.PREPARE:
        return Order(work=start.work, command="prepare", variables=spec, threads=_cpus())
    assert prepared is not None, "prepare comes first"
    if start.work is Job.FIT:
        variables = spec | {"SCALINGSWEEP_PREPARED": _json(prepared.to_wire())}
        return Order(work=start.work, command="fit", variables=variables, fitted=complete)
    assert isinstance(start.work, Key)
    resources = planned(study.plan, start.work).size.resources
    trial = specs[start.work]
    return Order(
        work=start.work,
        command="trial",
        variables={"SCALINGSWEEP_TRIAL": _json(trial.to_wire())},
        gpus=resources.gpus_per_node,
        threads=resources.cpu,
        halvings=start.halvings,
        budgets=trial.budgets,
    )


def attempt(
    order: Order,
    study: Study,
    *,
    number: int,
    location: S3Location,
    gpus: tuple[machine.Gpu, ...],
    port: int,
) -> Attempt:
    """The surroundings of an attempt."""
    spec = study.sweep.spec
    return Attempt(
        sweep=study.sweep.metadata.name,
        namespace=study.sweep.metadata.namespace,
        number=number,
        storage=location,
        base=str(study.folder.base),
        cache=str(study.folder.cache),
        device="cuda" if gpus else "cpu",
        processes=len(gpus) or 1,
        threads=order.threads,
        accelerator=gpus[0].model if gpus else None,
        halvings=order.halvings,
        checkpoint_minutes=spec.checkpoints.every_minutes,
        keep_last=spec.checkpoints.keep_last,
        grace_seconds=study.grace,
        port=port,
    )


def environment(
    order: Order, attempt: Attempt, *, keys: Mapping[str, str], gpus: tuple[machine.Gpu, ...]
) -> dict[str, str]:
    """All of the worker's environment; credentials go nowhere else."""
    # a profile or token of the user's own would go before the keys that we give
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "SCALINGSWEEP_"))}
    return {
        **inherited,
        **keys,
        **order.variables,
        "SCALINGSWEEP_ATTEMPT": _json(attempt.to_wire()),
        "CUDA_VISIBLE_DEVICES": ",".join(gpu.token for gpu in gpus),
        "OMP_NUM_THREADS": str(order.threads if order.command == "trial" else 1),
        "PYTHONUNBUFFERED": "1",  # so that a killed worker's last words are in its log
    }


def _cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
