"""Carries out a decision on the API server: records first, then jobs go and come.

Each step can be the last one of this process: what was recorded without being done is done at the
next look, and what is done twice meets its own name. `reconcile` calls `carry_out`.
"""

from scalingsweep.api.outcome import Class
from scalingsweep.api.scalingtrial import TrialAttempt, TrialStatus
from scalingsweep.api.trial import TrialSpec
from scalingsweep.plan import Key
from scalingsweep.world import Job, Start, Stop
from scalingsweep_operator import decided, events, faults, ledger, names, orders, resources
from scalingsweep_operator.api import Api
from scalingsweep_operator.case import Case
from scalingsweep_operator.metrics import Metrics
from scalingsweep_operator.resources import Object
from scalingsweep_operator.trials import Trial


class Hands:
    """Carries out one decision; used once."""

    def __init__(self, api: Api, metrics: Metrics, case: Case) -> None:
        self._api = api
        self._metrics = metrics
        self._case = case
        self._items = {name: trial.item for name, trial in case.trials.items()}
        self._statuses = {name: trial.status for name, trial in case.trials.items()}
        self._begun: set[str] = set()

    async def carry_out(self) -> None:
        """Do it all.

        Raises:
            TransientError: a call failed in a way that passes; the next look does the rest.
            Refused: the API server does not take an object.
        """
        for action in self._case.decision.actions:
            if isinstance(action, Stop) and isinstance(action.work, Key):
                self._give_up(action.work, action.reason)
        for name in decided.outdated(self._case.trials, self._case.study.templates):
            self._end(name, Class.PREEMPTED, "its pods are made anew: their template was edited")
        await self._record()
        await self._remove()
        for action in self._case.decision.actions:
            match action:
                case Stop(work=Job() as job):
                    await self._stop_job(job)
                case Start(work=Job() as job):
                    await self._start_job(job)
                case Start():
                    await self._start_trial(action)
        for name in list(self._items):
            await self._make_unmade(name)

    # --- trials that end

    def _give_up(self, key: Key, reason: str) -> None:
        for name, trial in self._case.trials.items():
            ours = self._case.specs.get(key)
            if trial.key == key or (ours is not None and ours.id == trial.spec.id):
                self._end(name, Class.PREEMPTED, reason)

    def _end(self, name: str, klass: Class, message: str) -> None:
        """Record that we end what runs; its job is deleted once that is written."""
        status = self._statuses[name]
        attempts = tuple(
            ledger.ended(each, klass=klass, message=message, now=self._case.now, stopped=True)
            if each.class_ is None
            else each
            for each in status.attempts
        )
        self._statuses[name] = status.model_copy(update={"attempts": attempts})

    async def _record(self) -> None:
        for name, trial in self._case.trials.items():
            wanted = decided.trial_status(
                self._statuses[name],
                trial,
                phase=self._case.decision.trials.get(trial.key),
                generation=int(self._items[name]["metadata"]["generation"]),
            )
            self._statuses[name] = wanted
            if decided.worth_writing(trial.recorded, wanted):
                await self._write(name, wanted)
                await self._tell(trial, wanted)

    async def _write(self, name: str, status: TrialStatus) -> None:
        self._items[name] = await self._api.replace_status(
            resources.TRIALS, self._items[name], status.to_wire()
        )
        self._statuses[name] = status

    async def _tell(self, trial: Trial, status: TrialStatus) -> None:
        """What is new of its attempts: to Prometheus, and as Events."""
        before = {each.number: each for each in trial.recorded.attempts}
        for each in status.attempts:
            known = before.get(each.number)
            used = each.gpu_seconds - (known.gpu_seconds if known else 0.0)
            self._metrics.gpu_seconds(max(0.0, used))
            if each.class_ is not None and (known is None or known.class_ is None):
                self._metrics.attempt_ended(each.class_)
                await events.post(
                    self._api,
                    trial.item,
                    resources.TRIALS,
                    reason=str(each.class_),
                    note=f"attempt {each.number}: {each.message or each.class_}",
                    warning=each.class_ is not Class.DONE and not each.stopped,
                )

    async def _remove(self) -> None:
        """Jobs of attempts that are over while pods of them live, and trials without a plan."""
        for name, status in self._statuses.items():
            for attempt in status.attempts:
                if attempt.class_ is not None and attempt.end_time is None:
                    await self._delete_job_of(name, attempt)
        for name in decided.unplanned(self._case.trials, self._case.specs):
            item = self._items[name]
            if all(each.end_time is not None for each in self._statuses[name].attempts):
                await self._api.delete(
                    resources.TRIALS, self._case.namespace, name, uid=item["metadata"]["uid"]
                )
                del self._items[name]
        for stale in decided.stale_jobs(self._case.attempts, self._case.study):
            await self._delete_job(stale.item)

    async def _delete_job_of(self, name: str, attempt: TrialAttempt) -> None:
        job = self._case.gathered.pytorch_jobs.get(names.attempt(name, attempt.number))
        if job is not None and not names.leaving(job):
            await self._api.delete(
                resources.PYTORCH_JOBS,
                self._case.namespace,
                job["metadata"]["name"],
                uid=job["metadata"]["uid"],
            )

    # --- trials that begin

    async def _start_trial(self, start: Start) -> None:
        assert isinstance(start.work, Key)
        spec = self._case.specs[start.work]
        name = names.trial(self._case.sweep, spec.id)
        if name in self._begun or name in self._case.gathered.leaving:
            return  # under another name already; or the former one of this name is still going
        if not self._case.gathered.trains:
            return  # nothing would train: a condition says so
        self._begun.add(name)
        await self._keep_spec(name, spec)
        status = self._statuses[name]
        number = max((each.number for each in status.attempts), default=0) + 1
        begun = ledger.begun(status, number, halvings=start.halvings, now=self._case.now)
        await self._write(name, begun)

    async def _keep_spec(self, name: str, spec: TrialSpec) -> None:
        """The ScalingTrial is there, and asks for at least what is asked now."""
        item = self._items.get(name)
        if item is None:
            body = orders.scaling_trial(self._case.gathered.sweep, name, spec)
            self._items[name] = await self._api.create(resources.TRIALS, self._case.namespace, body)
            self._statuses[name] = TrialStatus()
            return
        grown = decided.grown(TrialSpec.from_wire(item["spec"]), spec)
        if grown is not None:
            self._items[name] = await self._api.patch(
                resources.TRIALS,
                self._case.namespace,
                name,
                {"spec": grown},
                version=item["metadata"]["resourceVersion"],
            )

    async def _make_unmade(self, name: str) -> None:
        """Make the jobs of attempts that are recorded and have none."""
        by_id = {spec.id: (key, spec) for key, spec in self._case.specs.items()}
        item = self._items[name]
        for attempt in self._statuses[name].attempts:
            if not ledger.unmade(attempt) or not self._case.gathered.trains:
                continue
            found = by_id.get(item["spec"]["id"])
            job_name = names.attempt(name, attempt.number)
            if found is None or job_name in self._case.gathered.leaving:
                continue
            key, spec = found
            body = orders.pytorch_job(
                self._order(), item, spec, attempt, key=key, yields=self._yields(name)
            )
            await self._make(name, attempt, body)

    def _yields(self, name: str) -> bool:
        """Whether another's attempt goes first: the last one of ours was superseded."""
        ended = [each for each in self._statuses[name].attempts if each.class_ is not None]
        return bool(ended) and ended[-1].class_ is Class.SUPERSEDED

    async def _make(self, name: str, attempt: TrialAttempt, body: Object) -> None:
        try:
            await self._api.create(resources.PYTORCH_JOBS, self._case.namespace, body)
        except faults.Exists:
            return  # ours, of a look that ended before it could tell; or one that is going
        except faults.Refused as refused:
            permanent = refused.code in {400, 422}
            klass = Class.BAD_CONFIGURATION if permanent else Class.INFRASTRUCTURE
            over = ledger.ended(
                attempt, klass=klass, message=f"its job is refused: {refused}", now=self._case.now
            )
            await self._replace(name, over)
            return
        await events.post(
            self._api,
            self._items[name],
            resources.TRIALS,
            reason="Started",
            note=f"attempt {attempt.number}: {body['metadata']['name']}",
        )

    async def _replace(self, name: str, attempt: TrialAttempt) -> None:
        status = self._statuses[name]
        attempts = tuple(a if a.number != attempt.number else attempt for a in status.attempts)
        await self._write(name, status.model_copy(update={"attempts": attempts}))

    # --- prepare and fit

    async def _start_job(self, job: Job) -> None:
        digest = decided.job_input(job, self._case.study, self._case.observed)
        numbers = [e.number for e in self._case.attempts if e.job is job and e.input == digest]
        body = orders.job(self._order(), job, digest=digest, number=max(numbers, default=0) + 1)
        try:
            await self._api.create(resources.JOBS, self._case.namespace, body)
        except faults.Exists:
            await self._another(body)

    async def _another(self, body: Object) -> None:
        """Tell of a job whose name is taken: by one that is going, or that must be removed."""
        name = body["metadata"]["name"]
        await events.post(
            self._api,
            self._case.gathered.sweep,
            resources.SWEEPS,
            reason="NameTaken",
            note=f"{body['kind']} {name} is not this sweep's: it waits until that is gone",
            warning=True,
        )

    async def _stop_job(self, job: Job) -> None:
        for each in self._case.attempts:
            if each.job is job and each.attempt.running:
                await self._delete_job(each.item)

    async def _delete_job(self, job: Object) -> None:
        if not names.leaving(job):
            metadata = job["metadata"]
            await self._api.delete(
                resources.JOBS, self._case.namespace, metadata["name"], uid=metadata["uid"]
            )

    def _order(self) -> orders.Order:
        case = self._case
        return orders.Order(
            sweep=case.gathered.sweep, study=case.study, image=case.image, found=case.found
        )
