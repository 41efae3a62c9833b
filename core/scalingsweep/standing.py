"""What the attempts at one piece of work mean for the next one: may it start, when, or never again.

`decide` asks for every trial, for prepare and for the fit.
"""

import dataclasses
import itertools
from collections.abc import Iterator

from scalingsweep.api.outcome import Class
from scalingsweep.api.running import Retry
from scalingsweep.world import Attempt

LONGEST_BACKOFF_SECONDS = 3600.0
SHORTEST_WAIT_SECONDS = 1.0
"""For another's result, whatever backoffSeconds says: 0 would ask for it in a loop."""
FREE_DISRUPTIONS = 3
"""So many in a row without a new checkpoint are nobody's fault; each further one spends a retry."""

_PERMANENT = frozenset({Class.BAD_CONFIGURATION, Class.BAD_DATA, Class.DIVERGED})


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Whether a piece of work may be tried again."""

    running: bool = False
    failed: str = ""
    """Why it is given up, else nothing."""
    retry_at: float | None = None


def judge(attempts: tuple[Attempt, ...], now: float, retry: Retry) -> Standing:
    """What the attempts at one piece of work mean for the next one."""
    if any(attempt.running for attempt in attempts):
        return Standing(running=True)
    recent = _since_news(attempts)
    if not recent:
        return Standing()
    last = recent[-1]
    said = last.message or str(last.klass)
    if last.klass in _PERMANENT:
        return Standing(failed=said)
    if last.klass is Class.DONE:
        said = "it says that it is done, and results are missing"
    spent = sum(_spends(recent))
    host_memory = sum(1 for attempt in recent if attempt.klass is Class.HOST_MEMORY)
    if spent > retry.limit or host_memory > 1:
        return Standing(failed=f"given up after {len(recent)} attempts: {said}")
    assert last.ended is not None
    retry_at = last.ended + _wait(recent, spent, retry)
    return Standing(retry_at=retry_at if retry_at > now else None)


def _since_news(attempts: tuple[Attempt, ...]) -> tuple[Attempt, ...]:
    """The attempts after the last one that was done and told of a budget that is new.

    What came before is settled: a budget that is added later has retries of its own. One that says
    it is done without anything new has failed, or it would be started for ever.
    """
    known: set[int] = set()
    settled = 0
    for number, attempt in enumerate(attempts, start=1):
        if attempt.klass is Class.DONE and set(attempt.budgets) - known:
            settled = number
        known |= set(attempt.budgets)
    return attempts[settled:]


def _spends(attempts: tuple[Attempt, ...]) -> Iterator[bool]:
    """Of each attempt whether it spends a retry."""
    saved: set[int] = set()
    idle = 0
    for attempt in attempts:
        if attempt.klass is not Class.PREEMPTED:
            yield attempt.klass is not Class.SUPERSEDED
            continue
        idle = idle + 1 if attempt.step is None or attempt.step in saved else 0
        saved |= set() if attempt.step is None else {attempt.step}
        yield idle > FREE_DISRUPTIONS


def _wait(attempts: tuple[Attempt, ...], spent: int, retry: Retry) -> float:
    """Seconds from the end of the last attempt to the next one."""
    last = attempts[-1].klass
    again = _in_a_row(attempts, last)
    if last is Class.PREEMPTED and again == 1:
        return 0.0  # it has saved: go on whenever there is room
    shortest = 0.0
    match last:
        case Class.PREEMPTED:  # again and again: it would start and stop for ever
            times = again - 1
        case Class.SUPERSEDED:
            times, shortest = again, SHORTEST_WAIT_SECONDS
        case _:
            times = spent
    first = max(retry.backoff_seconds, shortest)
    return min(first * 2.0 ** min(times - 1, 30), LONGEST_BACKOFF_SECONDS)


def _in_a_row(attempts: tuple[Attempt, ...], klass: Class | None) -> int:
    """How many of the last attempts ended so, without another between them."""
    return sum(
        1 for _ in itertools.takewhile(lambda attempt: attempt.klass is klass, attempts[::-1])
    )
