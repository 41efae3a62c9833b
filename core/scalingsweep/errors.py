"""The errors of the whole project, each of which says what its reader is to do next.

    ScalingSweepError
    ├── SpecError        edit the manifest (or the command line) and try again
    │   └── DataError    mend the corpus, the table or the checkpoint it names
    ├── TransientError   nothing is wrong with the request: try again later
    │   └── DiskFull     free some of this machine's disk first
    └── FitError         the data allow no usable result

Soft outcomes (a parameter at its bound, a partial grid) are values, never exceptions.
"""

import errno


class ScalingSweepError(Exception):
    """Anything that we raise on purpose; its text is one line that a user can act on."""


class SpecError(ScalingSweepError):
    """The user must edit something.

    Args:
        field: where, as the user wrote it: `spec.arms[1].replay.ratio`, a file's path, an option.
        problem: what is wrong, and the mend, as one sentence.
    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}" if field else problem)
        self.field = field
        self.problem = problem


class DataError(SpecError):
    """A corpus, a table or a checkpoint is not what it must be; `field` names the file."""


class TransientError(ScalingSweepError):
    """An outside part failed in a way that passes: try the same again later."""


class DiskFull(TransientError):  # noqa: N818 - what is so, and not whose fault
    """A disk of this machine, or our share of it, is full; to wait for it is in vain.

    Args:
        place: a file or folder on that disk.
    """

    def __init__(self, place: object) -> None:
        super().__init__(
            f"{place}: its disk is full: free some and run the same again; "
            "everything so far is kept"
        )


def is_full(error: BaseException) -> bool:
    """Whether this is the operating system's word that a disk is full."""
    return isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}


class FitError(ScalingSweepError):
    """The data allow no usable fit."""
