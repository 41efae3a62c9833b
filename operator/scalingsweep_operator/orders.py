"""The objects that the operator makes: a ScalingTrial, an attempt's PyTorchJob, a Job. Pure.

`act` creates them, `preflight` asks the API server whether it would take them. The local twin is
the command's `orders`.
"""

import dataclasses

from scalingsweep.api.prepared import Prepared
from scalingsweep.api.scalingtrial import TrialAttempt
from scalingsweep.api.trial import TrialSpec
from scalingsweep.plan import Key, Trial
from scalingsweep.resolve import planned
from scalingsweep.world import Job
from scalingsweep_operator import contract, jobs, names, pods, pytorchjob, resources
from scalingsweep_operator.resources import Object
from scalingsweep_operator.studies import Study


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What all objects of one look have in common."""

    sweep: Object
    study: Study
    image: str
    """The worker's, where the manifest names none."""
    found: Prepared | None = None
    """Prepare's answer, which a fit is handed."""

    @property
    def name(self) -> str:
        """The sweep's."""
        return str(self.sweep["metadata"]["name"])

    @property
    def namespace(self) -> str:
        """The sweep's."""
        return str(self.sweep["metadata"]["namespace"])


def scaling_trial(sweep: Object, name: str, spec: TrialSpec) -> Object:
    """A trial's resource."""
    metadata = sweep["metadata"]
    return {
        "apiVersion": resources.TRIALS.api_version,
        "kind": resources.TRIALS.kind,
        "metadata": {
            "name": name,
            "namespace": metadata["namespace"],
            "labels": {names.SWEEP: metadata["name"]},
            "ownerReferences": [names.owner(sweep, resources.SWEEPS)],
        },
        "spec": spec.to_wire(),
    }


def pytorch_job(
    order: Order,
    trial: Object,
    spec: TrialSpec,
    attempt: TrialAttempt,
    *,
    key: Key,
    yields: bool = False,
) -> Object:
    """The job of an attempt at a trial.

    Args:
        order: what it has in common with others.
        trial: its ScalingTrial.
        spec: what is asked of it now; the ScalingTrial's may ask for more.
        attempt: as it was recorded.
        key: which planned trial it is.
        yields: whether another attempt that is alive goes first.

    Raises:
        SpecError: a pod template cannot be merged.
    """
    own: Trial = planned(order.study.plan, key)
    given = own.size.resources
    name = trial["metadata"]["name"]
    labels = _labels(order, "trial", attempt.number) | {names.TRIAL: name}
    template = pods.template(
        pods.Order(
            role="trial",
            variables=contract.trial(spec),
            labels=labels,
            image=order.image,
            number=attempt.number,
            resources=given,
            halvings=attempt.halvings,
            yields=yields,
        ),
        order.sweep,
        order.study.spec,
    )
    notes = {names.ASKED: ",".join(str(D) for D in spec.budgets)}
    return pytorchjob.build(
        names.attempt(name, attempt.number),
        namespace=order.namespace,
        owner=names.owner(trial, resources.TRIALS),
        labels=labels,
        annotations=notes
        | {names.HALVINGS: str(attempt.halvings), names.TEMPLATES: order.study.templates},
        template=template,
        nodes=given.nodes,
        processes=given.gpus_per_node or 1,
        queue=order.study.spec.queue_name,
    )


def job(order: Order, work: Job, *, digest: str, number: int) -> Object:
    """The Job of an attempt at prepare or fit; raises as `pytorch_job`.

    Args:
        order: what it has in common with others.
        work: which.
        digest: of what it works on.
        number: of the attempt, from 1.
    """
    spec = order.study.spec
    if work is Job.PREPARE:
        variables = contract.prepare(spec)
    else:
        assert order.found is not None, "prepare comes first"
        variables = contract.fit(spec, order.found)
    labels = _labels(order, str(work), number) | {names.INPUT: digest}
    template = pods.template(
        pods.Order(
            role=str(work), variables=variables, labels=labels, image=order.image, number=number
        ),
        order.sweep,
        spec,
    )
    made = jobs.build(
        names.job(order.name, str(work), digest, number),
        namespace=order.namespace,
        owner=names.owner(order.sweep, resources.SWEEPS),
        labels=labels,
        template=template,
    )
    made["metadata"]["annotations"] = {names.TEMPLATES: order.study.templates}
    return made


def _labels(order: Order, role: str, number: int) -> dict[str, str]:
    return {names.SWEEP: order.name, names.ROLE: role, names.ATTEMPT: str(number)}
