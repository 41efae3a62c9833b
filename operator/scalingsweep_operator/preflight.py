"""Would the API server take the pods of a sweep? Asked before a GPU is, once for each generation.

A dry run with strict validation: an unknown field of a pod template is refused here, with the
API server's own words in a condition, and not by a job that never gets its pods.
"""

from collections.abc import Iterator

from scalingsweep.world import Job
from scalingsweep_operator import faults, names, orders, pods, resources
from scalingsweep_operator.api import Api
from scalingsweep_operator.gather import Gathered
from scalingsweep_operator.resources import Object
from scalingsweep_operator.studies import Study


async def check(api: Api, gathered: Gathered, study: Study, image: str) -> bool:
    """Make a Job of prepare's template and one of each size's trials, without keeping them.

    Args:
        api: the API server.
        gathered: the sweep.
        study: its plan.
        image: the worker's, where the manifest names none.

    Returns:
        Whether that is known now. What may be lifted (a full quota, a policy on Jobs, a webhook
        that does not answer) says nothing of pods, and whoever makes the first is told of it.

    Raises:
        Refused: the API server says why.
        SpecError: a template cannot be merged.
        TransientError: it could not be asked.
    """
    order = orders.Order(sweep=gathered.sweep, study=study, image=image)
    prepare = orders.job(order, Job.PREPARE, digest=study.prepare_input, number=1)
    prepare["metadata"]["name"] = f"{order.name}-check"
    for template in (prepare["spec"]["template"], *_trials(order)):
        body = {**prepare, "spec": {**prepare["spec"], "template": template}}
        try:
            await api.create(resources.JOBS, order.namespace, body, dry_run=True)
        except faults.Exists:
            continue
        except faults.Unadmitted:
            return False
        except faults.Refused as refused:
            if refused.permanent:
                raise
            return False
    return True


def _trials(order: orders.Order) -> Iterator[Object]:
    """The pods of trials, one for each rule of spec.resources that is used."""
    used = dict.fromkeys(size.resources for size in order.study.plan.sizes)
    for each in used:
        yield pods.template(
            pods.Order(
                role="trial",
                variables={},
                labels={names.SWEEP: order.name},
                image=order.image,
                number=1,
                resources=each,
            ),
            order.sweep,
            order.study.spec,
        )
