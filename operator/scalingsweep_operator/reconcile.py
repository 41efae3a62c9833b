"""One look at one sweep: gather, observe, decide, act, say. `look` calls it, one at a time a sweep.

It remembers nothing that matters: whatever it needs of the past is in statuses and jobs, so that
another process goes on from any point at which this one stopped.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

from scalingsweep import decide
from scalingsweep.api.status import Phase, Reason, SweepStatus
from scalingsweep.errors import SpecError
from scalingsweep.world import Decision, TrialPhase
from scalingsweep_operator import (
    act,
    brief,
    clock,
    closing,
    conditions,
    events,
    faults,
    gather,
    live,
    look,
    observe,
    obstacles,
    preflight,
    resources,
    statuses,
    summary,
    trials,
    work,
)
from scalingsweep_operator.api import Api
from scalingsweep_operator.case import Case
from scalingsweep_operator.gather import Gathered
from scalingsweep_operator.metrics import Metrics
from scalingsweep_operator.resources import Object
from scalingsweep_operator.settings import Settings
from scalingsweep_operator.snags import Snags
from scalingsweep_operator.studies import Studies, Study
from scalingsweep_operator.trials import Trial
from scalingsweep_operator.vitals import Waiting


class Reconciler:
    """Brings sweeps to where they should be; shared by all of them."""

    def __init__(self, *, api: Api, settings: Settings, metrics: Metrics) -> None:
        self._api = api
        self._settings = settings
        self._metrics = metrics
        self._studies = Studies()
        self._live = live.Live()
        self._checked: dict[str, int] = {}
        self._refused: dict[str, int] = {}
        """How many looks in a row have met a refusal."""
        self._uids: dict[tuple[str, str], str] = {}
        """By namespace and name: what is remembered by UID is forgotten when a sweep is gone."""

    async def reconcile(self, namespace: str, name: str) -> float | None:
        """Look at one sweep once.

        Returns:
            Seconds until it must be looked at again, whatever happens before; None: no need.

        Raises:
            TransientError: a call failed in a way that passes.
        """
        gathered = await gather.gather(self._api, namespace, name)
        self._know(namespace, name, gathered.uid if gathered else None)
        if gathered is None:
            self._metrics.forgotten(namespace, name)
            return None
        former = statuses.of_sweep(gathered.sweep)
        now = time.time()
        if closing.closed(gathered, former, now):
            await closing.clear(self._api, namespace, gathered)
            return None
        try:
            study = await asyncio.to_thread(self._studies.of, gathered.sweep)
            await self._preflight(gathered, study)
        except SpecError as error:
            await self._refuse(gathered, former, Reason.BAD_MANIFEST, str(error))
            return None
        except faults.Refused as error:
            words = f"spec.podTemplate or trialTemplate: {error}"
            await self._refuse(gathered, former, Reason.BAD_POD_TEMPLATE, words)
            return None
        try:
            return await self._go_on(gathered, former, study, now)
        except SpecError as error:  # prepare's answer, or what a pod cannot be handed
            await self._refuse(gathered, former, Reason.BAD_CONFIGURATION, str(error))
            return None

    async def _go_on(
        self, gathered: Gathered, former: SweepStatus, study: Study, now: float
    ) -> float | None:
        found_trials = trials.of(gathered, study, now)
        told = await self._live.told(gathered, found_trials, now)
        case = _case(gathered, former, study, told=told, image=self._settings.worker_image, now=now)
        met = await act.carry_out(self._api, self._metrics, case)
        view = conditions.View(
            decision=case.decision,
            observed=case.observed,
            obstacle=await obstacles.of(self._api, case, met),
            training=any(trial.trains for trial in told.values()),
        )
        await self._say(gathered, former, summary.make(former, view=view, seen=case))
        await act.forget(self._api, case)
        return _soonest(_again(case.decision, study, now), self._back_off(gathered.uid, met))

    def _back_off(self, uid: str, met: Sequence[Waiting]) -> float | None:
        """Seconds until what was refused is asked for again, if nothing is heard before."""
        if not met:
            self._refused.pop(uid, None)
            return None
        times = self._refused[uid] = self._refused.get(uid, 0) + 1
        return min(look.MOST_BACKOFF_SECONDS, 2.0 ** min(times, 16))

    def _know(self, namespace: str, name: str, uid: str | None) -> None:
        former = self._uids.get((namespace, name))
        if former is not None and former != uid:
            self._studies.forget(former)
            self._checked.pop(former, None)
            self._refused.pop(former, None)
            del self._uids[namespace, name]
        if uid is not None:
            self._uids[namespace, name] = uid

    async def _preflight(self, gathered: Gathered, study: Study) -> None:
        """Once a generation: would the API server take the pods?"""
        uid, generation = gathered.uid, int(gathered.sweep["metadata"]["generation"])
        if self._checked.get(uid) != generation:
            image = self._settings.worker_image
            if await preflight.check(self._api, gathered, study, image):
                self._checked[uid] = generation

    async def _refuse(
        self, gathered: Gathered, former: SweepStatus, reason: Reason, message: str
    ) -> None:
        """There is no plan: what runs of an earlier generation is left alone until it is mended."""
        metadata = gathered.sweep["metadata"]
        status = former.model_copy(
            update={
                "observed_generation": metadata["generation"],
                "phase": Phase.FAILED,
                "message": brief.cut(message),
                "conditions": conditions.merged(
                    former.conditions,
                    conditions.refused(reason, message),
                    generation=metadata["generation"],
                    now=time.time(),
                ),
            }
        )
        await self._say(gathered, former, status)

    async def _say(self, gathered: Gathered, former: SweepStatus, status: SweepStatus) -> None:
        """The one status write of a look, where there is something to write; refused, an Event."""
        metadata = gathered.sweep["metadata"]
        counts = status.trials
        by_phase = _by_phase(counts.model_dump()) if counts else {}
        phase = str(status.phase) if status.phase else None
        self._metrics.sweep(metadata["namespace"], metadata["name"], phase, by_phase)
        if status == former:
            return
        writes = self._api.replace_status(resources.SWEEPS, gathered.sweep, status.to_wire())
        if not isinstance(await Snags(self._api, gathered.sweep).ask(writes), Waiting):
            await self._tell(gathered.sweep, former, status)

    async def _tell(self, sweep: Object, former: SweepStatus, status: SweepStatus) -> None:
        """An Event for whatever condition has changed, for `kubectl describe`."""
        before = {c.type: (c.status, c.reason) for c in former.conditions}
        for each in status.conditions:
            if before.get(each.type) == (each.status, each.reason) or not each.message:
                continue
            if conditions.worth_an_event(each):
                await events.post(
                    self._api,
                    sweep,
                    resources.SWEEPS,
                    reason=str(each.reason),
                    note=f"{each.type}: {each.message}",
                    warning=conditions.warns(each),
                )


def _case(
    gathered: Gathered,
    former: SweepStatus,
    study: Study,
    *,
    told: Mapping[str, Trial],
    image: str,
    now: float,
) -> Case:
    """Observe and decide.

    Raises:
        SpecError: prepare's answer fits no plan.
    """
    attempts = tuple(work.of(gathered, now))
    found = observe.prepared(study, former, attempts)
    specs = observe.specs(study.plan, found)
    observed = observe.observed(
        study,
        former,
        trials=told,
        attempts=attempts,
        found=found,
        ids=specs,
        started=clock.made(gathered.sweep),
        rested=summary.rested(former, now),
    )
    return Case(
        namespace=str(gathered.sweep["metadata"]["namespace"]),
        image=image,
        study=study,
        gathered=gathered,
        trials=told,
        attempts=attempts,
        found=found,
        specs=specs,
        observed=observed,
        decision=decide.decide(observed, now),
        now=now,
    )


def _by_phase(counts: Mapping[str, Any]) -> dict[str, int]:
    return {name: count for name, count in counts.items() if name != "planned"}


def _again(decision: Decision, study: Study, now: float) -> float | None:
    """Seconds until time alone changes something."""
    ttl = study.spec.ttl_seconds_after_finished
    times = [decision.look_again - now] if decision.look_again is not None else []
    if decision.finished and ttl is not None:
        times.append(float(ttl))
    if decision.count(TrialPhase.RUNNING):
        times.append(live.EVERY_SECONDS)
    return max(1.0, min(times)) if times else None


def _soonest(*times: float | None) -> float | None:
    return min((time for time in times if time is not None), default=None)
