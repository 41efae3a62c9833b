"""Times as the API server writes them, and as core counts them (seconds since 1970)."""

import datetime as dt

from scalingsweep_operator.resources import Object

_LAST = dt.datetime(9999, 12, 31, tzinfo=dt.UTC).timestamp()
"""Of the times that a status can hold; who writes one by hand may have gone further."""


def stamp(seconds: float) -> dt.datetime:
    """A time for a status, in whole seconds as Kubernetes' own are."""
    return dt.datetime.fromtimestamp(int(max(0.0, min(seconds, _LAST))), dt.UTC)


def seconds(text: str | None) -> float | None:
    """The time that a field of an object holds, if it holds one."""
    return None if text is None else dt.datetime.fromisoformat(text).timestamp()


def made(item: Object) -> float:
    """When an object was made; a sweep begins then, whatever becomes of its status."""
    at = seconds(item["metadata"]["creationTimestamp"])
    assert at is not None, "the API server writes it"
    return at
