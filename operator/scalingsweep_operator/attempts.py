"""Attempts at trials: recorded, then made; recorded as ended, then taken away. `act` says when."""

from scalingsweep.api.attempt import MOST_NUMBER
from scalingsweep.api.outcome import Class
from scalingsweep.api.scalingtrial import TrialAttempt
from scalingsweep.api.status import Reason
from scalingsweep.api.trial import TrialSpec
from scalingsweep.plan import Key
from scalingsweep.world import Start
from scalingsweep_operator import decided, events, ledger, names, orders, resources
from scalingsweep_operator.api import Api
from scalingsweep_operator.case import Case
from scalingsweep_operator.records import Records
from scalingsweep_operator.resources import Object
from scalingsweep_operator.snags import Snags
from scalingsweep_operator.vitals import Waiting


class Attempts:
    """Those of one look."""

    def __init__(self, api: Api, case: Case, records: Records, snags: Snags) -> None:
        self._api = api
        self._case = case
        self._records = records
        self._snags = snags
        self._begun: set[str] = set()

    def give_up(self, key: Key, reason: str) -> None:
        """What runs at a key is to leave; nothing is written yet."""
        ours = self._case.specs.get(key)
        for name, trial in self._case.trials.items():
            if trial.key == key or (ours is not None and ours.id == trial.spec.id):
                self._records.end(name, Class.PREEMPTED, reason)

    def give_up_outdated(self) -> None:
        """What waits with an edited template is to leave; nothing is written yet."""
        words = "its pods are made anew: their template was edited"
        for name in decided.outdated(self._case.trials, self._case.study.templates):
            self._records.end(name, Class.PREEMPTED, words)

    async def remove(self) -> None:
        """Delete the jobs of attempts that are over while pods of them live."""
        for name, status in self._records.statuses.items():
            for attempt in status.attempts:
                if attempt.class_ is not None and attempt.end_time is None:
                    await self._delete_job(names.attempt(name, attempt.number))

    async def begin(self, start: Start) -> None:
        """Record the next attempt at a trial, which is made if it has none."""
        assert isinstance(start.work, Key)
        spec, gathered = self._case.specs[start.work], self._case.gathered
        name = names.trial(self._case.sweep, spec.id)
        if name in self._begun or name in gathered.leaving:
            return  # under another name already; or the former one of this name is still going
        if not gathered.trains:
            return  # nothing would train: a condition says so
        self._begun.add(name)
        if name in gathered.foreign:
            await self._snags.taken(resources.TRIALS, name)
        elif await self._records.keep(name, spec):
            await self._record(name, start.halvings)

    async def make(self) -> None:
        """Make the jobs of attempts that are recorded and have none."""
        if not self._case.gathered.trains:
            return
        by_id = {spec.id: (key, spec) for key, spec in self._case.specs.items()}
        for name, item in list(self._records.items.items()):
            found = by_id.get(item["spec"]["id"])
            unmade = [each for each in self._records.statuses[name].attempts if ledger.unmade(each)]
            # of several, which nobody but a hand writes, one a look: the record changes with each
            if found is not None and unmade:
                await self._make(name, unmade[0], *found)

    async def _record(self, name: str, halvings: int) -> None:
        status = self._records.statuses[name]
        number = max((each.number for each in status.attempts), default=0) + 1
        if number > MOST_NUMBER:
            words = f"ScalingTrial {name} has no number left for an attempt: delete it"
            await self._snags.tell(Waiting(reason=Reason.BAD_CONFIGURATION, message=words))
            return
        begun = ledger.begun(status, number, halvings=halvings, now=self._case.now)
        await self._records.write(name, begun)

    async def _make(self, name: str, attempt: TrialAttempt, key: Key, spec: TrialSpec) -> None:
        job, item = names.attempt(name, attempt.number), self._records.items[name]
        if job in self._case.gathered.leaving:
            return
        made: Object | Waiting
        if job in self._case.gathered.foreign:
            made = await self._snags.taken(resources.PYTORCH_JOBS, job, about=item)
        else:
            made = await self._snags.make(
                resources.PYTORCH_JOBS, self._body(name, attempt, key, spec), about=item
            )
        match made:
            case Waiting(reason=Reason.BAD_CONFIGURATION):
                words = f"its job is refused: {made.message}"
                await self._records.replace(
                    name,
                    ledger.ended(
                        attempt, klass=Class.BAD_CONFIGURATION, message=words, now=self._case.now
                    ),
                )
            case Waiting():
                await self._records.hold(name, made)
            case _:
                await events.post(
                    self._api,
                    item,
                    resources.TRIALS,
                    reason="Started",
                    note=f"attempt {attempt.number}: {job}",
                )

    def _body(self, name: str, attempt: TrialAttempt, key: Key, spec: TrialSpec) -> Object:
        return orders.pytorch_job(
            self._case.order,
            self._records.items[name],
            spec,
            attempt,
            key=key,
            yields=self._yields(name),
        )

    def _yields(self, name: str) -> bool:
        """Whether another's attempt goes first: the last one of ours was superseded."""
        ended = [e for e in self._records.statuses[name].attempts if e.class_ is not None]
        return bool(ended) and ended[-1].class_ is Class.SUPERSEDED

    async def _delete_job(self, name: str) -> None:
        job = self._case.gathered.pytorch_jobs.get(name)
        if job is not None and not names.leaving(job):
            uid = job["metadata"]["uid"]
            await self._snags.ask(
                self._api.delete(resources.PYTORCH_JOBS, self._case.namespace, name, uid=uid)
            )
