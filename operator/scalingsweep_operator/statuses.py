"""The statuses of a sweep and its trials, whoever has written them. `reconcile` and `trials` read.

By hand, or by a later version, a status may hold what the CRD takes and our types do not, as a time
in the year 0. That field, or that one of a list, is passed over; all else counts, the GPU time
above all, and the whole is written anew.
"""

import logging
from typing import Any, TypeVar

from scalingsweep.api.scalingtrial import TrialStatus
from scalingsweep.api.status import SweepStatus
from scalingsweep.errors import SpecError
from scalingsweep_operator.resources import Object

_Status = TypeVar("_Status", SweepStatus, TrialStatus)
_JUDGED = "observedGeneration"

_log = logging.getLogger(__name__)


def of_sweep(item: Object) -> SweepStatus:
    """A ScalingSweep's, as far as it can be read."""
    return _read(SweepStatus, item)


def of_trial(item: Object) -> TrialStatus:
    """A ScalingTrial's, as far as it can be read."""
    return _read(TrialStatus, item)


def _read(kind: type[_Status], item: Object) -> _Status:
    given = item.get("status") or {}
    try:
        return kind.from_wire(given)
    except SpecError as error:
        _log.warning("the status of %s is written anew: %s", item["metadata"]["name"], error)
    # without the generation that it was judged by, it differs from whatever is written next
    parts = {
        name: _readable_items(kind, name, value) if isinstance(value, list) else value
        for name, value in given.items()
        if name != _JUDGED
    }
    return kind.from_wire({n: value for n, value in parts.items() if _readable(kind, n, value)})


def _readable_items(kind: type[_Status], name: str, items: list[Any]) -> list[Any]:
    return [item for item in items if _readable(kind, name, [item])]


def _readable(kind: type[_Status], name: str, value: Any) -> bool:
    try:
        kind.from_wire({name: value})
    except SpecError:
        return False
    return True
