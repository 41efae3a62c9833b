"""A trial's id: a hash of everything that determines its numbers, and of nothing else.

Results live in S3 under the id, so it must not change when a name, an address or a resource does,
and must change whenever a number can. `resolve` computes it; a test mutates every field of a spec.
"""

import hashlib
import json
from typing import Any

from scalingsweep.api.trial import TrialSpec

_NOT_IN_ID = ("id", "arm", "size", "validation", "max_epochs")


def trial_id(spec: TrialSpec) -> str:
    """The id of a trial: 32 hex digits. `spec.id` itself is not looked at."""
    value = spec.model_dump(mode="json", by_alias=True, exclude=set(_NOT_IN_ID))
    if spec.schedule.type == "wsd":
        del value["budgets"]  # a trunk is the same whatever branches leave it
    if value["init"] and "uri" in value["init"]:
        del value["init"]["uri"]  # an address; the digest beside it is what counts
    return digest(value)


def digest(value: Any) -> str:
    """The first 32 hex digits of the sha256 of a JSON value in canonical form."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:32]


def canonical(value: Any) -> str:
    """JSON with sorted keys, nulls left out and 1.0 written 1: equal meanings give equal text."""
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
