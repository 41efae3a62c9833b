"""What a worker is told for each piece of work: the contract's variables, and what it occupies."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

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
    fitted: str = ""
    """Fit only: `decide.fit_input`."""
    budgets: tuple[int, ...] = ()
    """Trials only: tokens D that are asked for."""


def order(
    start: Start,
    study: Study,
    *,
    prepared: Prepared | None,
    specs: Mapping[Key, TrialSpec],
    fitted: str,
) -> Order:
    """What a decision's start means.

    Args:
        start: the decision.
        study: what is run.
        prepared: prepare's answer; trials and fits come after it.
        specs: the trials' specs.
        fitted: what a fit would see now, `decide.fit_input`.
    """
    spec = {"SCALINGSWEEP_SPEC": _json(study.sweep.spec.to_wire())}
    if start.work is Job.PREPARE:
        return Order(work=start.work, command="prepare", variables=spec, threads=_cpus())
    assert prepared is not None, "prepare comes first"
    if start.work is Job.FIT:
        variables = spec | {"SCALINGSWEEP_PREPARED": _json(prepared.to_wire())}
        return Order(work=start.work, command="fit", variables=variables, fitted=fitted)
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
    yields: bool = False,
) -> Attempt:
    """The surroundings of an attempt."""
    spec = study.sweep.spec
    return Attempt(
        sweep=study.sweep.metadata.name,
        namespace=study.sweep.metadata.namespace,
        number=number,
        yields=yields,
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
    order: Order,
    attempt: Attempt,
    *,
    keys: Mapping[str, str],
    gpus: tuple[machine.Gpu, ...],
    scratch: Path | None = None,
) -> dict[str, str]:
    """All of the worker's environment; credentials go nowhere else."""
    return {
        **inherited(os.environ),
        **keys,
        **order.variables,
        "SCALINGSWEEP_ATTEMPT": _json(attempt.to_wire()),
        "CUDA_VISIBLE_DEVICES": ",".join(gpu.token for gpu in gpus),
        "OMP_NUM_THREADS": str(order.threads if order.command == "trial" else 1),
        "PYTHONUNBUFFERED": "1",  # so that a killed worker's last words are in its log
        **({"TMPDIR": str(scratch)} if scratch else {}),
    }


_INHERITED = {
    *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "TZ", "LANG", "LANGUAGE", "CC", "CXX"),
    *("LD_LIBRARY_PATH", "LD_PRELOAD", "LIBRARY_PATH", "CPATH", "VIRTUAL_ENV", "XDG_CACHE_HOME"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
}
_INHERITED_PREFIXES = (
    *("LC_", "PYTHON", "CONDA_", "CUDA", "NVIDIA_", "NCCL_", "GLOO_", "HIP_", "ROCR_", "ROCM_"),
    *("TORCH", "PYTORCH_", "TRITON_", "OMP_", "KMP_", "GOMP_", "MKL_", "OPENBLAS_", "MALLOC_"),
)


def inherited(environment: Mapping[str, str]) -> dict[str, str]:
    """What a worker gets of the user's own environment: the system's, the network's, the device's.

    Tokens and passwords of other programs stay outside a process that reads untrusted text, and a
    profile of AWS_* would go before the keys that we give.
    """
    return {
        name: value
        for name, value in environment.items()
        if name.upper() in _INHERITED or name.startswith(_INHERITED_PREFIXES)
    }


def _cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
