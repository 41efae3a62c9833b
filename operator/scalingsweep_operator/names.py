"""What the operator's objects are called, and the labels by which it finds them again.

Names are functions of the sweep's name and of ids alone: whoever makes an object twice meets the
first one. An object of that name is ours only if its controller has our UID (`owned`).
"""

from typing import Any

from scalingsweep.api.attempt import MOST_NUMBER
from scalingsweep_operator.resources import Object, Resource

DOMAIN = "scalingsweep.dev"
SWEEP = f"{DOMAIN}/sweep"
"""Label of every object below a sweep: the sweep's name."""
TRIAL = f"{DOMAIN}/trial"
"""Label of a trial's jobs and pods: the ScalingTrial's name."""
ROLE = f"{DOMAIN}/role"
"""Label of jobs and pods: `prepare`, `trial` or `fit`."""
ATTEMPT = f"{DOMAIN}/attempt"
"""Label of jobs and pods: number of the attempt, from 1."""
INPUT = f"{DOMAIN}/input"
"""Label of prepare and fit jobs and pods: digest of what they work on."""
ASKED = f"{DOMAIN}/budgets"
"""Annotation of a trial's job: the tokens D asked of it, separated by commas."""
HALVINGS = f"{DOMAIN}/halvings"
"""Annotation of a trial's job: how often its micro-batch is halved."""
TEMPLATES = f"{DOMAIN}/templates"
"""Annotation of every job: digest of what its pods are made from."""

_ID_DIGITS = 8
_DIGITS = 18
"""Of a number that every status takes; an annotation may hold a quarter of a million."""


def trial(sweep: str, trial_id: str) -> str:
    """The ScalingTrial of an id."""
    return f"{sweep}-{trial_id[:_ID_DIGITS]}"


def attempt(trial_name: str, number: int) -> str:
    """The PyTorchJob of an attempt at a trial; at most 35 + 9 + 7 characters."""
    return f"{trial_name}-a{number}"


def job(sweep: str, role: str, digest: str, number: int) -> str:
    """The Job of an attempt at prepare or fit."""
    return f"{sweep}-{role}-{digest[:_ID_DIGITS]}-a{number}"


def selector(sweep: str) -> str:
    """The label selector of everything below a sweep."""
    return f"{SWEEP}={sweep}"


def owner(parent: Object, resource: Resource) -> dict[str, Any]:
    """The controller reference that a child of `parent` carries."""
    metadata = parent["metadata"]
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "name": metadata["name"],
        "uid": metadata["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def controller(child: Object) -> str:
    """The UID of an object's controller; empty without one."""
    references = child["metadata"].get("ownerReferences", [])
    return next((str(each["uid"]) for each in references if each.get("controller")), "")


def owned(child: Object, uid: str) -> bool:
    """Whether the object's controller is the one with this UID."""
    return controller(child) == uid


def leaving(child: Object) -> bool:
    """Whether the object is being deleted."""
    return "deletionTimestamp" in child["metadata"]


def number(child: Object) -> int | None:
    """The number of the attempt that a job or pod belongs to; None where it says none of ours."""
    found = whole(child["metadata"].get("labels", {}).get(ATTEMPT, ""))
    return found if found is not None and 1 <= found <= MOST_NUMBER else None


def whole(text: str) -> int | None:
    """The number that a label or annotation holds, if it holds one that a status can hold."""
    written = text.isascii() and text.isdigit() and len(text) <= _DIGITS
    return int(text) if written else None
