"""Carries out a decision on the API server: records first, then jobs go and come.

Each step can be the last one of this process: what was recorded without being done is done at the
next look, and what is done twice meets its own name. `reconcile` calls both functions.
"""

from scalingsweep.plan import Key
from scalingsweep.world import Job, Start, Stop
from scalingsweep_operator import decided, resources
from scalingsweep_operator.api import Api
from scalingsweep_operator.attempts import Attempts
from scalingsweep_operator.case import Case
from scalingsweep_operator.errands import Errands
from scalingsweep_operator.metrics import Metrics
from scalingsweep_operator.records import Records
from scalingsweep_operator.snags import Snags
from scalingsweep_operator.vitals import Waiting


async def carry_out(api: Api, metrics: Metrics, case: Case) -> tuple[Waiting, ...]:
    """Do all of it that the API server takes.

    Returns:
        What it does not take, as far as that was met: the next look asks again.

    Raises:
        TransientError: a call failed in a way that passes; the next look does the rest.
        SpecError: a pod cannot be handed what is asked.
    """
    snags = Snags(api, case.gathered.sweep)
    records = Records(api, metrics, case, snags)
    attempts, errands = Attempts(api, case, records, snags), Errands(api, case, snags)
    for action in case.decision.actions:
        match action:
            case Stop(work=Key() as key):
                attempts.give_up(key, action.reason)
    attempts.give_up_outdated()
    await records.write_all()
    await attempts.remove()
    await errands.clear()
    for action in case.decision.actions:
        match action:
            case Stop(work=Job() as job):
                await errands.stop(job)
            case Start(work=Job() as job):
                await errands.start(job)
            case Start():
                await attempts.begin(action)
    await attempts.make()
    return tuple(snags.met)


async def forget(api: Api, case: Case) -> None:
    """Delete the trials that no plan has any more; the sweep's status holds their GPU time by now.

    Raises:
        TransientError: a call failed; the next look goes on.
    """
    snags = Snags(api, case.gathered.sweep)
    for name in decided.unplanned(case.trials, case.specs):
        trial = case.trials[name]
        # what was recorded before this look is in the status: it may be the last of its time
        if all(attempt.end_time is not None for attempt in trial.recorded.attempts):
            uid = trial.item["metadata"]["uid"]
            await snags.ask(api.delete(resources.TRIALS, case.namespace, name, uid=uid))
