"""Events for `kubectl describe`: what a user would want to know. `act` and `reconcile` post them.

Best effort: an Event that cannot be posted is logged, and changes nothing.
"""

import datetime as dt
import logging

from scalingsweep import identity
from scalingsweep.errors import ScalingSweepError
from scalingsweep_operator import faults, resources
from scalingsweep_operator.api import Api
from scalingsweep_operator.resources import Object, Resource

_REPORTER = "scalingsweep.dev/operator"
_LONGEST = 1024  # of a note, by the API

log = logging.getLogger("scalingsweep_operator")


async def post(
    api: Api,
    about: Object,
    resource: Resource,
    *,
    reason: str,
    note: str,
    warning: bool = False,
) -> None:
    """Say something about an object; said twice, it is there once.

    Args:
        api: the API server.
        about: the object.
        resource: its kind.
        reason: in one word, as `Started`.
        note: a sentence.
        warning: whether something is wrong.
    """
    metadata = about["metadata"]
    told = identity.digest([metadata["uid"], reason, note])[:16]
    now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    body = {
        "apiVersion": resources.EVENTS.api_version,
        "kind": resources.EVENTS.kind,
        "metadata": {"name": f"{metadata['name']}.{told}", "namespace": metadata["namespace"]},
        "regarding": {
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "uid": metadata["uid"],
        },
        "type": "Warning" if warning else "Normal",
        "reason": reason,
        "note": note[:_LONGEST],
        "action": "Reconcile",
        "eventTime": now,
        "reportingController": _REPORTER,
        "reportingInstance": _REPORTER,
    }
    try:
        await api.create(resources.EVENTS, metadata["namespace"], body)
    except faults.Exists:
        return
    except faults.Lost:
        raise
    except ScalingSweepError as error:
        log.warning("an Event could not be posted: %s", error)
