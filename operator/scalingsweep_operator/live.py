"""How far the running trials are, asked of their rank 0 now and then; for people's eyes alone.

`reconcile` keeps one for all sweeps. Forgetting it costs nothing but a question.
"""

import asyncio
import dataclasses
from collections.abc import Mapping

from scalingsweep.api.scalingtrial import TrialProgress
from scalingsweep_operator import contract, progress
from scalingsweep_operator.gather import Gathered
from scalingsweep_operator.trials import Trial

EVERY_SECONDS = 30.0
_AT_ONCE = 16


class Live:
    """Who was asked when."""

    def __init__(self) -> None:
        self._asked: dict[str, float] = {}
        self._room = asyncio.Semaphore(_AT_ONCE)

    async def told(
        self, gathered: Gathered, trials: Mapping[str, Trial], now: float
    ) -> dict[str, Trial]:
        """The trials, those that run with what they tell of themselves."""
        answers = await asyncio.gather(
            *(self._ask(gathered, trial, now) for trial in trials.values())
        )
        return {
            name: _with(trial, answer)
            for (name, trial), answer in zip(trials.items(), answers, strict=True)
        }

    async def _ask(self, gathered: Gathered, trial: Trial, now: float) -> TrialProgress | None:
        attempt = trial.open
        if attempt is None or attempt.class_ is not None or not attempt.job:
            return None
        # by the UID of the job that we made: whoever wears our labels is not asked
        pods = [p for p in gathered.pods.get(attempt.job, ()) if p.first and p.running and p.ip]
        if not pods or now - self._asked.get(pods[0].uid, 0.0) < EVERY_SECONDS:
            return None
        self._asked = {uid: at for uid, at in self._asked.items() if now - at < 2 * EVERY_SECONDS}
        self._asked[pods[0].uid] = now
        async with self._room:
            return await progress.read(pods[0].ip, contract.PORT)


def _with(trial: Trial, answer: TrialProgress | None) -> Trial:
    """The step goes to the attempt's record: a trial that came further has saved on its way."""
    if answer is None:
        return trial
    attempts = tuple(
        each.model_copy(update={"step": answer.step}) if each.class_ is None else each
        for each in trial.status.attempts
    )
    status = trial.status.model_copy(update={"progress": answer, "attempts": attempts})
    return dataclasses.replace(trial, status=status)
