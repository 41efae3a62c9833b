"""How a job is, whichever kind it has: `pytorchjob` and `jobs` fill it in from statuses.

A status may be missing, half written, or written by whom we do not know: what is not of the type
that it should be counts as left out, and nothing here raises.
"""

import dataclasses
import enum
from typing import Any

from scalingsweep_operator import clock
from scalingsweep_operator.resources import Object

_LONGEST = 1024


class Finished(enum.StrEnum):
    """How a job ended."""

    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """One job. Times are seconds since 1970."""

    finished: Finished | None = None
    """None while it goes on."""
    ended: float | None = None
    """When it finished, as its controller says."""
    message: str = ""
    """Why it failed, in its controller's words."""
    suspended: bool = False
    """Whether it is held now: its pods are not made, or are being taken away."""
    queue: str = ""
    """Kueue's queue, from the label found on the job: Kueue may have put it there by itself."""
    running: float | None = None
    """Since when it runs; None before, and while it does not."""
    created: float | None = None
    released: float | None = None
    """When its controller began to make pods; after a stay in a queue, when it last began."""
    nodes: int = 1
    """Pods that it has when all is well."""


def condition(job: Object, kind: str) -> dict[str, Any]:
    """A condition that is true; empty where there is none."""
    found = mapping(mapping(job).get("status")).get("conditions")
    for each in found if isinstance(found, list) else []:
        if mapping(each).get("type") == kind and each.get("status") == "True":
            return mapping(each)
    return {}


def finished(job: Object, succeeded: str, failed: str) -> dict[str, Any]:
    """The part of a State that says how it ended, from the kinds of two conditions."""
    # where a status has both, what failed is looked at: a success stands in the pods' own words
    for kind, how in ((failed, Finished.FAILED), (succeeded, Finished.SUCCEEDED)):
        found = condition(job, kind)
        if found:
            status = mapping(job.get("status"))
            ended = time(status.get("completionTime"))
            since = time(found.get("lastTransitionTime"))
            words = [text(found.get("reason")), text(found.get("message"))]
            return {
                "finished": how,
                "ended": ended if ended is not None else since,
                "message": ": ".join(word for word in words if word)[:_LONGEST],
            }
    return {}


def mapping(value: Any) -> dict[str, Any]:
    """A map, or an empty one."""
    return value if isinstance(value, dict) else {}


def text(value: Any) -> str:
    """Text of bounded length that can be printed, or none."""
    if not isinstance(value, str):
        return ""
    return "".join(c if c.isprintable() else " " for c in value[:_LONGEST])


def time(value: Any) -> float | None:
    """A time, or none."""
    try:
        return clock.seconds(value) if isinstance(value, str) and value.endswith("Z") else None
    except ValueError:
        return None
