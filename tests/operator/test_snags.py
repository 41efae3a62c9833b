"""What is said of a refusal: the same at every look, though the API server's words change."""

import asyncio
from typing import cast

import pytest

from scalingsweep.errors import TransientError
from scalingsweep_operator import faults, names, resources, snags
from scalingsweep_operator.api import Api
from scalingsweep_operator.resources import Object
from scalingsweep_operator.vitals import Waiting


class _Silent:
    """An API server that takes no Events either."""

    async def create(self, *_: object) -> None:
        raise TransientError("nothing")


def _said(fault: Exception) -> Waiting:
    async def refuses() -> str:
        raise fault

    async def story() -> Waiting:
        api = cast("Api", _Silent())
        sweep = {"metadata": {"name": "small", "namespace": "research", "uid": "u"}}
        found = snags.Snags(api, sweep)
        answer = await found.ask(refuses())
        assert isinstance(answer, Waiting)
        assert found.met == [answer]
        return answer

    return asyncio.run(story())


def _full(job: str) -> faults.Refused:
    words = f'POST /x: pytorchjobs "{job}" is forbidden: exceeded quota: few, requested: a=1, used'
    return faults.Refused(words, code=403)


def _unanswered(port: int) -> faults.Unadmitted:
    return faults.Unadmitted(
        f'POST /x: Internal error occurred: failed calling webhook "m.kb.io": failed to call '
        f'webhook: Post "https://kueue": read tcp 10.0.0.1:{port}->10.0.0.2:443: i/o timeout'
    )


def test_a_full_quota_names_none_of_those_that_wait_for_it() -> None:
    one = _said(_full("small-1-a1"))
    assert one == _said(_full("small-2-a1"))
    assert one.message == "exceeded quota: few, requested: a=1, used"
    assert one.reason == "QuotaExceeded"


def test_a_webhook_that_does_not_answer_is_one_webhook_whatever_the_port() -> None:
    one = _said(_unanswered(50_001))
    assert one == _said(_unanswered(50_002))
    assert one.message == 'failed calling webhook "m.kb.io": it does not answer'
    assert one.reason == "Refused"


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (faults.Refused("policy", code=403), "Refused"),
        (faults.Refused("wrong", code=422), "BadConfiguration"),
        (faults.Refused("wrong", code=400), "BadConfiguration"),
        (faults.Exists("there"), "NameTaken"),
    ],
)
def test_why(fault: Exception, reason: str) -> None:
    assert _said(fault).reason == reason


class _Leaving:
    """An API server where the former object of a name is still going."""

    def __init__(self, body: Object) -> None:
        self._there = {**body, "metadata": {**body["metadata"], "deletionTimestamp": "now"}}

    async def create(self, *_: object) -> None:
        raise faults.Exists("there")

    async def get(self, *_: object) -> Object:
        return self._there


def test_what_is_going_is_not_taken_for_made() -> None:
    """Ours by its controller: it was made, and deleted since."""
    sweep = {"metadata": {"name": "small", "namespace": "research", "uid": "u"}}
    owner = names.owner(sweep, resources.SWEEPS)
    body = {"metadata": {"name": "one", "namespace": "research", "ownerReferences": [owner]}}
    api = cast("Api", _Leaving(body))
    with pytest.raises(faults.Conflict, match="is still going"):
        asyncio.run(snags.Snags(api, sweep).make(resources.TRIALS, body))


@pytest.mark.parametrize("fault", [faults.Lost("gone"), faults.Conflict("newer"), TransientError()])
def test_what_passes_by_itself_ends_the_look(fault: Exception) -> None:
    with pytest.raises(type(fault)):
        _said(fault)
