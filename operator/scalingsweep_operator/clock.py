"""Times as the API server writes them, and as core counts them (seconds since 1970)."""

import datetime as dt


def stamp(seconds: float) -> dt.datetime:
    """A time for a status, in whole seconds as Kubernetes' own are."""
    return dt.datetime.fromtimestamp(int(seconds), dt.UTC)


def seconds(text: str | None) -> float | None:
    """The time that a field of an object holds, if it holds one."""
    return None if text is None else dt.datetime.fromisoformat(text).timestamp()
