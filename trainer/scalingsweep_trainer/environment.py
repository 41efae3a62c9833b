"""What a control plane hands to a command: JSON values in environment variables."""

import json
from collections.abc import Mapping
from typing import TypeVar

from scalingsweep.api.wire import Wire
from scalingsweep.errors import SpecError

SPEC = "SCALINGSWEEP_SPEC"
TRIAL = "SCALINGSWEEP_TRIAL"
ATTEMPT = "SCALINGSWEEP_ATTEMPT"
PREPARED = "SCALINGSWEEP_PREPARED"
EXPORT = "SCALINGSWEEP_EXPORT"

W = TypeVar("W", bound=Wire)


def parse(kind: type[W], environment: Mapping[str, str], variable: str, at: str = "") -> W:
    """The value of a variable.

    Args:
        kind: its type.
        environment: where it is looked up.
        variable: its name.
        at: the path of the value in what the user wrote, for errors; the variable when empty.

    Raises:
        SpecError: it is missing, no JSON, or not of that type.
    """
    text = environment.get(variable)
    if text is None:
        raise SpecError(variable, "is required in the environment, as JSON")
    try:
        value = json.loads(text)
    except ValueError as error:
        raise SpecError(variable, f"is not JSON: {error}") from None
    return kind.from_wire(value, at or variable)
