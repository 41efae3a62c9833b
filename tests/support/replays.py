"""What a shell sees of a trace (tests/data/trace.json), heard in front of `decide`.

`local_replay` and `cluster_replay` let the shells live through it, each with its own eyes and
hands; both shells end in `decide`, and there they can be compared.
"""

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any
from unittest import mock

from scalingsweep import decide, gpu_time
from scalingsweep.world import Decision, Observed, Stop
from scalingsweep_cli.local import journal
from support import traces

BEGAN = 1_800_000_000.0
"""When a replayed sweep begins."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One look of a shell."""

    now: float
    decision: dict[str, Any]
    attempts: dict[str, list[tuple[Any, ...]]]
    """By work: class, budgets, step, whether it runs, whether it was told to stop; but not those
    that were told to stop and have: the cluster's shell forgets them."""
    gpu_seconds: float


class Ear:
    """Hears what a shell asks of `decide`, and what it is told."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self._decide = decide.decide
        self._stopped: set[tuple[str, int]] = set()

    def __call__(self, observed: Observed, now: float) -> Decision:
        decision = self._decide(observed, now)
        attempts = self._attempts(observed)
        self._stopped |= {
            (journal.name(action.work), len(observed.attempts[action.work]) - 1)
            for action in decision.actions
            if isinstance(action, Stop)
        }
        self.seen.append(
            Seen(
                now=now,
                decision=traces.decision(decision),
                attempts=attempts,
                gpu_seconds=gpu_time.used(observed, now),
            )
        )
        return decision

    def _attempts(self, observed: Observed) -> dict[str, list[tuple[Any, ...]]]:
        found: dict[str, list[tuple[Any, ...]]] = {}
        for work, attempts in observed.attempts.items():
            name = journal.name(work)
            for number, each in enumerate(attempts):
                if (name, number) in self._stopped and not each.running:
                    continue
                told = (each.klass, each.budgets, each.step, each.running, each.stopping)
                found.setdefault(name, []).append(told)
        return found


@contextlib.contextmanager
def heard() -> Iterator[Ear]:
    """Hear whichever shell asks during the block."""
    ear = Ear()
    with mock.patch.object(decide, "decide", ear):
        yield ear
