"""What is left of a sweep that has ended: its children go after ttlSecondsAfterFinished.

The sweep itself stays, with its status; so do all data in S3. What was removed is not made again
until the spec is edited.
"""

from scalingsweep.api.status import Phase, SweepStatus
from scalingsweep_operator import ledger, resources, trials
from scalingsweep_operator.api import Api
from scalingsweep_operator.gather import Gathered
from scalingsweep_operator.snags import Snags


def closed(gathered: Gathered, status: SweepStatus, now: float) -> bool:
    """Whether a sweep has ended so long ago that its children go, and nothing was edited since."""
    ttl = gathered.sweep["spec"].get("ttlSecondsAfterFinished")
    ended = status.completion_time
    return (
        ttl is not None
        and ended is not None
        and status.phase in {Phase.COMPLETE, Phase.FAILED}
        and status.observed_generation == gathered.sweep["metadata"]["generation"]
        and now >= ended.timestamp() + ttl
        and _counted(gathered, status)
    )


def _counted(gathered: Gathered, status: SweepStatus) -> bool:
    """Whether the status holds all the GPU time that its trials have recorded by now."""
    found = [trials.recorded(item) for item in gathered.trials.values()]
    seconds = sum(ledger.gpu_seconds(each) for each in found if each is not None)
    return ledger.hours(seconds) <= status.usage.listed_gpu_hours


async def clear(api: Api, namespace: str, gathered: Gathered) -> None:
    """Delete the children; whoever they own goes with them. What is refused is told and stays.

    Raises:
        TransientError: a call failed; the next look goes on.
    """
    snags = Snags(api, gathered.sweep)
    children = [(resources.TRIALS, item) for item in gathered.trials.values()]
    children += [(resources.JOBS, item) for item in gathered.jobs]
    for resource, item in children:
        name, uid = item["metadata"]["name"], item["metadata"]["uid"]
        await snags.ask(api.delete(resource, namespace, name, uid=uid))
