"""The queue of looks: coalescing, one at a time a sweep, back-off, the full look, and its end."""

import asyncio
from typing import Any

import pytest

from scalingsweep.errors import TransientError
from scalingsweep_operator import faults
from scalingsweep_operator.look import Key, Look
from scalingsweep_operator.metrics import Metrics
from scalingsweep_operator.settings import Settings


class _Hands:
    """A reconcile that does as it is told, and remembers when."""

    def __init__(self, *, takes: float = 0.0, raises: list[Exception] | None = None) -> None:
        self.began: list[tuple[float, Key]] = []
        self.at_once: dict[Key, int] = {}
        self.most = 0
        self._takes = takes
        self._raises = raises or []

    async def reconcile(self, namespace: str, name: str) -> float | None:
        key = (namespace, name)
        self.began.append((asyncio.get_running_loop().time(), key))
        self.at_once[key] = self.at_once.get(key, 0) + 1
        assert self.at_once[key] == 1, "one look at a time"
        self.most = max(self.most, sum(self.at_once.values()))
        try:
            await asyncio.sleep(self._takes)
            if self._raises:
                raise self._raises.pop(0)
        finally:
            self.at_once[key] -= 1
        return None


def _look(hands: _Hands, found: list[Key], **changes: Any) -> tuple[Look, Metrics]:
    async def listing() -> list[Key]:
        return found

    metrics = Metrics()
    settings = Settings(worker_image="x", **({"full_look_seconds": 600} | changes))
    look = Look(hands.reconcile, listing, settings=settings, metrics=metrics, longest=0.5)
    return look, metrics


async def _for(look: Look, seconds: float) -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(look.run(), seconds)


def test_a_thousand_words_are_one_look_and_none_is_lost() -> None:
    async def story() -> None:
        hands = _Hands(takes=0.3)
        look, _ = _look(hands, [])

        async def talk() -> None:
            for _ in range(1000):
                look.look("a", "b")
            await asyncio.sleep(0.2)
            look.look("a", "b")  # while it is looked at: once more, a second after the first

        talking = asyncio.create_task(talk())
        await _for(look, 1.8)
        await talking
        first, second = (at for at, _ in hands.began)
        assert second - first >= 1.0

    asyncio.run(story())


def test_every_sweep_is_found_and_no_more_than_the_workers_at_once() -> None:
    async def story() -> None:
        hands = _Hands(takes=0.1)
        found = [("n", str(number)) for number in range(10)]
        look, _ = _look(hands, found, workers=3)
        await _for(look, 0.8)
        assert {key for _, key in hands.began} == set(found)
        assert hands.most == 3
        assert look.listed is not None

    asyncio.run(story())


@pytest.mark.parametrize(
    "error",
    [TransientError("later"), RuntimeError("a bug"), faults.Refused("no such right", code=403)],
)
def test_a_failure_backs_off_and_comes_back(error: Exception) -> None:
    async def story() -> None:
        hands = _Hands(raises=[error, error])
        look, metrics = _look(hands, [("n", "ill"), ("n", "well")])
        await _for(look, 3.4)
        ill = [at for at, key in hands.began if key == hands.began[0][1]]
        assert len(hands.began) == 4
        assert 0.7 <= ill[-1] - ill[0] <= 3.4
        result = "later" if isinstance(error, TransientError) else "error"
        text = metrics.text().decode()
        assert f'scalingsweep_reconciles_total{{result="{result}"}} 2.0' in text
        assert 'scalingsweep_reconciles_total{result="done"} 2.0' in text

    asyncio.run(story())


def test_a_look_that_hangs_is_ended() -> None:
    async def story() -> None:
        hands = _Hands(takes=60)
        look, _ = _look(hands, [("n", "stuck")])
        await _for(look, 2.5)
        assert len(hands.began) == 2

    asyncio.run(story())


def test_the_loss_of_the_lease_ends_it() -> None:
    async def story() -> None:
        look, _ = _look(_Hands(raises=[faults.Lost("gone")]), [("n", "any")])
        with pytest.raises(faults.Lost):
            await asyncio.wait_for(look.run(), 5)

    asyncio.run(story())


def test_what_runs_may_end_and_nothing_new_begins() -> None:
    async def story() -> None:
        hands = _Hands(takes=0.3)
        look, metrics = _look(hands, [("n", "one")])
        await _for(look, 0.1)
        look.look("n", "two")
        await look.drain(5)
        assert len(hands.began) == 1
        assert 'result="done"} 1.0' in metrics.text().decode()

    asyncio.run(story())
