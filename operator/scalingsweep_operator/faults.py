"""What an API server's refusals mean; `api` raises them in front of the HTTP library.

    ScalingSweepError (core)
    ├── TransientError        try again later: 5xx, 429, a connection that fails or hangs
    │   ├── Conflict          the object has changed since it was read: look again
    │   ├── Missing           there is no such object
    │   ├── Expired           a list was read too slowly: from the start
    │   ├── Exists            there is an object of that name, which may not be ours
    │   ├── Terminating       the namespace is going away: nothing can be made in it
    │   ├── Unadmitted        a webhook that must judge the object does not answer
    │   └── Lost              another holds the Lease: this process may write nothing any more
    ├── Refused               the object itself is wrong: the API server's message says why
    └── Unknown               the cluster has no such kind

Who can go on catches the narrow one; whatever is left ends in a back-off (`look`).
"""

from scalingsweep.errors import ScalingSweepError, TransientError

_BY_QUOTA = ("exceeded quota", "status unknown for quota")
"""As the API server words it; the latter until its quota has been counted for the first time."""


class Conflict(TransientError):  # noqa: N818 - what happened, and nobody's error
    """The object has changed, or has another UID, since it was read."""


class Missing(TransientError):  # noqa: N818 - as above
    """There is no such object."""


class Expired(TransientError):  # noqa: N818 - as above
    """The API server has forgotten where a list was."""


class Exists(TransientError):  # noqa: N818 - as above
    """There is an object of that name already."""


class Terminating(TransientError):  # noqa: N818 - as above
    """The namespace is being deleted."""


class Unadmitted(TransientError):  # noqa: N818 - as above
    """A webhook that must judge the object does not answer; another object may be taken."""


class Lost(TransientError):  # noqa: N818 - as above
    """The Lease is not ours any more."""


class Refused(ScalingSweepError):  # noqa: N818 - as above
    """The API server does not take the object, whoever asks: 400, 403 (policy or quota), 422.

    Args:
        message: the API server's words.
        code: the HTTP status.
        reason: the API server's reason, as `Forbidden` or `Invalid`.
    """

    def __init__(self, message: str, *, code: int, reason: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason

    @property
    def by_quota(self) -> bool:
        """Whether a ResourceQuota has no room for it: it may be taken when something else ends."""
        return self.code == 403 and any(words in str(self) for words in _BY_QUOTA)

    @property
    def permanent(self) -> bool:
        """Whether the object is wrong whatever else there is: it must become another."""
        return self.code != 403


class Unknown(ScalingSweepError):  # noqa: N818 - as above
    """The cluster does not know the kind: its CRD is not installed."""
