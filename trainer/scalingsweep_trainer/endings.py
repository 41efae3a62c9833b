"""How an attempt ends when it ends neither done nor by an error that a user can mend.

They are exceptions because they leave the training loop from its depth; `outcomes` turns them into
the class that a control plane reads.
"""


class Ending(Exception):  # noqa: N818 - an ending is no error
    """The attempt is over.

    Args:
        message: one line for people.
        step: the step that it ended at, where there is one.
    """

    def __init__(self, message: str, *, step: int | None = None) -> None:
        super().__init__(message)
        self.step = step


class Diverged(Ending):
    """The loss or the gradient norm is no longer a number."""


class Superseded(Ending):
    """A newer attempt at the same trial holds the claim."""


class Preempted(Ending):
    """Told to stop; what there was to save is saved."""


class Stopped(BaseException):
    """Raised by a signal amid work that has nothing to save.

    No Exception, for a library that catches all of those must not take it for a fault of its own.
    """
