"""Prepare and fit: their Jobs are made, and taken away. `act` says when.

What became of them is recorded nowhere but in the Jobs, which stay for as long as they count.
"""

from scalingsweep.api.attempt import MOST_NUMBER
from scalingsweep.api.status import Reason
from scalingsweep.world import Job
from scalingsweep_operator import decided, names, orders, resources
from scalingsweep_operator.api import Api
from scalingsweep_operator.case import Case
from scalingsweep_operator.resources import Object
from scalingsweep_operator.snags import Snags
from scalingsweep_operator.vitals import Waiting


class Errands:
    """Those of one look."""

    def __init__(self, api: Api, case: Case, snags: Snags) -> None:
        self._api = api
        self._case = case
        self._snags = snags

    async def start(self, job: Job) -> None:
        """Make the Job of the next attempt."""
        case = self._case
        digest = decided.job_input(job, case.study, case.observed)
        numbers = [each.number for each in case.attempts if (each.job, each.input) == (job, digest)]
        number = max(numbers, default=0) + 1
        if number > MOST_NUMBER:
            words = f"no number is left for an attempt at {job}: delete its former Jobs"
            await self._snags.tell(Waiting(reason=Reason.BAD_CONFIGURATION, message=words))
            return
        body = orders.job(case.order, job, digest=digest, number=number)
        await self._snags.make(resources.JOBS, body)

    async def stop(self, job: Job) -> None:
        """Delete what runs."""
        for each in self._case.attempts:
            if each.job is job and each.attempt.running:
                await self._delete(each.item)

    async def clear(self) -> None:
        """Delete what looks at a spec that is no more."""
        for stale in decided.stale_jobs(self._case.attempts, self._case.study):
            await self._delete(stale.item)

    async def _delete(self, job: Object) -> None:
        if not names.leaving(job):
            metadata = job["metadata"]
            await self._snags.ask(
                self._api.delete(
                    resources.JOBS, self._case.namespace, metadata["name"], uid=metadata["uid"]
                )
            )
