"""The records of a sweep's trials in one look: written before anything depends on them.

A record that the API server does not take leaves its trial out of the rest of the look. `act` has
all of them written, `attempts` ends old ones in them and begins new ones.
"""

from scalingsweep.api.outcome import Class
from scalingsweep.api.scalingtrial import TrialAttempt, TrialPhase, TrialStatus
from scalingsweep.api.status import Reason
from scalingsweep.api.trial import TrialSpec
from scalingsweep_operator import decided, events, ledger, orders, resources
from scalingsweep_operator.api import Api
from scalingsweep_operator.case import Case
from scalingsweep_operator.metrics import Metrics
from scalingsweep_operator.snags import Snags
from scalingsweep_operator.trials import Trial
from scalingsweep_operator.vitals import Waiting


class Records:
    """ScalingTrials by name, each with the status that it has by now."""

    def __init__(self, api: Api, metrics: Metrics, case: Case, snags: Snags) -> None:
        self._api = api
        self._metrics = metrics
        self._case = case
        self._snags = snags
        self.items = {name: trial.item for name, trial in case.trials.items()}
        """As the API server has them."""
        self.statuses = {name: trial.status for name, trial in case.trials.items()}

    def end(self, name: str, klass: Class, message: str) -> None:
        """We end what runs; its job is deleted once that is written."""
        status = self.statuses[name]
        attempts = tuple(
            ledger.ended(each, klass=klass, message=message, now=self._case.now, stopped=True)
            if each.class_ is None
            else each
            for each in status.attempts
        )
        self.statuses[name] = status.model_copy(update={"attempts": attempts})

    async def write_all(self) -> None:
        """What is new of every trial."""
        for name, trial in self._case.trials.items():
            wanted = decided.trial_status(
                self.statuses[name],
                trial,
                phase=self._case.decision.trials.get(trial.key),
                generation=int(self.items[name]["metadata"]["generation"]),
            )
            self.statuses[name] = wanted
            if decided.worth_writing(trial.recorded, wanted) and await self.write(name, wanted):
                await self._tell(trial, wanted)

    async def write(self, name: str, status: TrialStatus) -> bool:
        """Write one; False, and the trial is left out, where it is refused."""
        written = await self._snags.ask(
            self._api.replace_status(resources.TRIALS, self.items[name], status.to_wire()),
            about=self.items[name],
        )
        if isinstance(written, Waiting):
            del self.items[name], self.statuses[name]
            return False
        self.items[name], self.statuses[name] = written, status
        return True

    async def replace(self, name: str, attempt: TrialAttempt) -> None:
        """Write one attempt anew."""
        status = self.statuses[name]
        attempts = tuple(a if a.number != attempt.number else attempt for a in status.attempts)
        await self.write(name, status.model_copy(update={"attempts": attempts}))

    async def hold(self, name: str, why: Waiting) -> None:
        """Say why the job of its newest attempt is not there; it stays until that is made."""
        held = {"message": decided.words(why), "phase": TrialPhase.PENDING}
        wanted = self.statuses[name].model_copy(update=held)
        if self.statuses[name] != wanted:
            await self.write(name, wanted)

    async def keep(self, name: str, spec: TrialSpec) -> bool:
        """The ScalingTrial is there, and asks for at least what is asked now; False: it is not."""
        if name in self.items:
            await self._grow(name, spec)
            return True
        if name in self._case.trials:
            return False  # its record is refused, which has been told
        if name in self._case.gathered.trials:
            words = f"ScalingTrial {name} cannot be read: delete it, and it is made anew"
            await self._snags.tell(Waiting(reason=Reason.NAME_TAKEN, message=words))
            return False
        body = orders.scaling_trial(self._case.gathered.sweep, name, spec)
        made = await self._snags.make(resources.TRIALS, body)
        if isinstance(made, Waiting):
            return False
        self.items[name], self.statuses[name] = made, TrialStatus()
        return True

    async def _grow(self, name: str, spec: TrialSpec) -> None:
        item = self.items[name]
        grown = decided.grown(TrialSpec.from_wire(item["spec"]), spec)
        if grown is None:
            return
        version = item["metadata"]["resourceVersion"]
        written = await self._snags.ask(
            self._api.patch(
                resources.TRIALS, self._case.namespace, name, {"spec": grown}, version=version
            ),
            about=item,
        )
        if not isinstance(written, Waiting):  # the worker is told what is asked all the same
            self.items[name] = written

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
