"""What the API server would not take in one look: an Event and a condition tell of it, and no more.

`records`, `attempts` and `errands` make and change single objects through it. One that is refused
(by a quota, by a policy, for its name is another's) keeps none of the others waiting, and the
status of the sweep is written all the same. Whatever passes by itself still ends the look.
"""

import re
from collections.abc import Awaitable
from typing import TypeVar

from scalingsweep.api.status import Reason
from scalingsweep_operator import events, faults, names, resources
from scalingsweep_operator.api import Api
from scalingsweep_operator.resources import Object, Resource
from scalingsweep_operator.vitals import Waiting

_T = TypeVar("_T")
_LONGEST = 1000
_WEBHOOK = re.compile(r'failed calling webhook "[^"]*"')


class Snags:
    """Those of one look at one sweep."""

    def __init__(self, api: Api, sweep: Object) -> None:
        self._api = api
        self._sweep = sweep
        self._full: dict[Resource, Waiting] = {}
        self.met: list[Waiting] = []
        """In the order in which they were met."""

    async def make(
        self, resource: Resource, body: Object, *, about: Object | None = None
    ) -> Object | Waiting:
        """Make an object; one of that name with the same controller is as good as made.

        Where a quota is full one is asked for, and not each of a hundred.

        Args:
            resource: its kind.
            body: the object.
            about: the ScalingTrial whose Event it becomes; left out, the sweep's.

        Returns:
            The object, or why there is none.
        """
        if resource in self._full:
            return self._full[resource]
        metadata = body["metadata"]
        made = await self.ask(
            self._api.create(resource, metadata["namespace"], body), about=about, tells=False
        )
        if not isinstance(made, Waiting):
            return made
        if made.reason is Reason.NAME_TAKEN:
            there = await self._api.get(resource, metadata["namespace"], metadata["name"])
            if there is not None and names.controller(there) == names.controller(body):
                if names.leaving(there):
                    raise faults.Conflict(f"{resource.kind} {metadata['name']} is still going")
                return there  # of a look that ended before it could tell
            return await self.taken(resource, metadata["name"], about=about)
        if made.reason is Reason.QUOTA_EXCEEDED:
            self._full[resource] = made
        return await self.tell(made, about=about)

    async def ask(
        self, call: Awaitable[_T], *, about: Object | None = None, tells: bool = True
    ) -> _T | Waiting:
        """What a call gives, or why it is refused."""
        try:
            return await call
        except (faults.Exists, faults.Refused, faults.Unadmitted) as fault:
            why = Waiting(reason=_reason(fault), message=_words(fault)[:_LONGEST])
            return await self.tell(why, about=about) if tells else why

    async def taken(self, resource: Resource, name: str, *, about: Object | None = None) -> Waiting:
        """An object of ours is not made, for another's has its name."""
        words = f"{resource.kind} {name} is not this sweep's: it waits until that is gone"
        return await self.tell(Waiting(reason=Reason.NAME_TAKEN, message=words), about=about)

    async def tell(self, why: Waiting, *, about: Object | None = None) -> Waiting:
        """Something is in the way: an Event says so, and so will a condition."""
        self.met.append(why)
        await events.post(
            self._api,
            about or self._sweep,
            resources.TRIALS if about else resources.SWEEPS,
            reason=str(why.reason),
            note=why.message,
            warning=True,
        )
        return why


def _words(fault: faults.Exists | faults.Refused | faults.Unadmitted) -> str:
    """What stays the same at every look, or each would be written and bring the next one about."""
    text = str(fault)
    match fault:
        case faults.Refused(by_quota=True):  # in the way of all of a kind: none of them is named
            return text.rpartition(" is forbidden: ")[2]
        case faults.Unadmitted():  # what follows may hold the port that was dialled from
            silent = _WEBHOOK.search(text)
            return f"{silent[0]}: it does not answer" if silent else text
    return text


def _reason(fault: faults.Exists | faults.Refused | faults.Unadmitted) -> Reason:
    match fault:
        case faults.Exists():
            return Reason.NAME_TAKEN
        case faults.Refused(by_quota=True):
            return Reason.QUOTA_EXCEEDED
        case faults.Refused(permanent=True):
            return Reason.BAD_CONFIGURATION
    return Reason.REFUSED
