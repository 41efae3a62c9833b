"""What a worker on the cluster is told: the contract's variables, and its Attempt. `pods` asks.

The local twin is the command's `orders`; what stands in the variables is the same on both.
"""

import json
from collections.abc import Mapping

from scalingsweep.api.attempt import Attempt
from scalingsweep.api.prepared import Prepared
from scalingsweep.api.running import Resources
from scalingsweep.api.sweep import SweepSpec, TrialTemplate
from scalingsweep.api.trial import TrialSpec
from scalingsweep.errors import SpecError
from scalingsweep_operator.resources import Object

PORT = 8081
"""Where rank 0 serves /metrics and /progress."""
OUTCOME = "/dev/termination-log"
"""What a worker writes there, kubelet puts into the pod's status (4,096 bytes at most)."""
POD_IP = "POD_IP"
"""Variable with the pod's own address, which the server of /progress is bound to."""
LONGEST = 128 * 1024
"""Bytes of `NAME=value` with its closing zero: Linux' MAX_ARG_STRLEN, for each variable."""


def prepare(spec: SweepSpec) -> dict[str, str]:
    """What prepare works on.

    Raises:
        SpecError: it is too long to be handed over.
    """
    # templates are the operator's business, and the one part of a spec without a bound
    plain = spec.model_copy(update={"pod_template": {}, "trial_template": TrialTemplate()})
    return _bounded({"SCALINGSWEEP_SPEC": _json(plain.to_wire())})


def fit(spec: SweepSpec, prepared: Prepared) -> dict[str, str]:
    """What a fit works on; raises as `prepare`."""
    given = {"SCALINGSWEEP_PREPARED": _json(prepared.to_wire())}
    return prepare(spec) | _bounded(given)


def trial(spec: TrialSpec) -> dict[str, str]:
    """What a trial works on; raises as `prepare`."""
    return _bounded({"SCALINGSWEEP_TRIAL": _json(spec.to_wire())})


def attempt(
    sweep: Object,
    spec: SweepSpec,
    resources: Resources | None,
    *,
    number: int,
    grace: float,
    halvings: int = 0,
    yields: bool = False,
) -> Attempt:
    """The surroundings of an attempt on the cluster.

    Args:
        sweep: the ScalingSweep.
        spec: its spec.
        resources: what a trial gets; None for prepare and fit, which compute on one CPU.
        number: of the attempt, from 1.
        grace: seconds from SIGTERM to SIGKILL, as the pod has them.
        halvings: how often the micro-batch is halved.
        yields: whether another attempt that is alive goes first.
    """
    assert spec.storage is not None, "the CRD asks for it"
    gpus = resources.gpus_per_node if resources else 0
    processes = gpus or 1
    cuda = resources is not None and computes_on_gpu(resources)
    return Attempt(
        sweep=sweep["metadata"]["name"],
        namespace=sweep["metadata"]["namespace"],
        number=number,
        yields=yields,
        storage=spec.storage.s3,
        device="cuda" if cuda else "cpu",
        processes=processes,
        threads=threads(resources),
        accelerator=resources.accelerator if cuda and resources else None,
        halvings=halvings,
        checkpoint_minutes=spec.checkpoints.every_minutes,
        keep_last=spec.checkpoints.keep_last,
        grace_seconds=grace,
        port=PORT,
    )


def computes_on_gpu(resources: Resources) -> bool:
    """Whether a trial's GPUs are asked to compute; `accelerator: CPU` only asks for them."""
    return resources.gpus_per_node > 0 and (resources.accelerator or "").upper() != "CPU"


def threads(resources: Resources | None) -> int:
    """CPU threads of each process: the pod's CPUs are shared out among them."""
    if resources is None:
        return 1
    return max(1, resources.cpu // (resources.gpus_per_node or 1))


def placed(attempt: Attempt) -> dict[str, str]:
    """The variable of an Attempt, with a host that kubelet fills in.

    It must stand behind POD_IP in a container's list, or kubelet leaves the reference as it is.
    """
    text = literal(_json({k: v for k, v in attempt.to_wire().items() if k != "host"}))
    return {"SCALINGSWEEP_ATTEMPT": f'{text[:-1]},"host":"$({POD_IP})"}}'}


def variables(given: Mapping[str, str]) -> list[Object]:
    """A container's list of variables."""
    return [{"name": name, "value": value} for name, value in given.items()]


def literal(value: str) -> str:
    """A variable's value as it must be written so that kubelet hands over `value`.

    Kubelet reads `$(NAME)` as a reference and `$$` as `$`, anywhere.
    """
    return value.replace("$", "$$")


def _bounded(given: Mapping[str, str]) -> dict[str, str]:
    for name, value in given.items():
        size = len(f"{name}={value}".encode()) + 1
        if size > LONGEST:
            raise SpecError(
                "spec",
                f"{name} has {size:,} bytes and no process can be handed more than {LONGEST:,}: "
                "shorten addresses of corpora and checkpoints, or reasons in fit.exclude",
            )
    return {name: literal(value) for name, value in given.items()}


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
