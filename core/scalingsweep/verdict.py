"""An outcome as a control plane may believe it: parsed, bounded, held against what was asked.

It was written by a process that reads untrusted text and could be anything. Both control planes
read every outcome through `read`; how an attempt went beside it (exit status, pods) is theirs.
"""

import json
from collections.abc import Collection

from scalingsweep.api.outcome import MAX_BYTES, Class, Outcome
from scalingsweep.errors import SpecError
from scalingsweep.world import Job, Work


def read(data: bytes, where: str, *, work: Work | None, asked: Collection[int] = ()) -> Outcome:
    """The outcome in a file or a termination message.

    Args:
        data: what was found there.
        where: what to call it in an error.
        work: what the attempt was made at; None for work that no plan has.
        asked: tokens D that it was asked for (trials).

    Raises:
        SpecError: it is too long, no outcome, or not one that such an attempt can have.
    """
    if len(data) > MAX_BYTES:
        raise SpecError(where, f"has over {MAX_BYTES} bytes")
    outcome = _parse(data, where)
    if outcome.klass is Class.DONE:
        _complete(outcome, work, asked)
    return outcome


def _parse(data: bytes, where: str) -> Outcome:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        raise SpecError(where, "is no JSON") from None
    outcome = Outcome.from_wire(value, where)
    if outcome.klass is Class.HOST_MEMORY:
        raise SpecError(where, "says what only a control plane can see")
    return outcome.model_copy(
        update={"message": printable(outcome.message), "field": printable(outcome.field)}
    )


def _complete(outcome: Outcome, work: Work | None, asked: Collection[int]) -> None:
    match work:
        case Job.PREPARE if outcome.prepared is None:
            raise SpecError("prepared", "is missing from what says that it is done")
        case Job.FIT if outcome.fit is None:
            raise SpecError("fit", "is missing from what says that it is done")
        case _ if missing := set(asked) - set(outcome.budgets):
            raise SpecError("budgets", f"{sorted(missing)} are missing from what says it is done")


def printable(text: str) -> str:
    """Text for a terminal: nothing in it moves the cursor or writes over what we say."""
    return "".join(c if c.isprintable() else " " for c in text)
