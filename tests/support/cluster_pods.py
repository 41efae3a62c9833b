"""Builders of what `vitals` reads of pods, for tests of the operator's pure parts."""

from scalingsweep.api.outcome import Outcome
from scalingsweep_operator.vitals import Vitals, Word


def pod(name: str = "master", **changes: object) -> Vitals:
    """A pod that runs, on one GPU."""
    values: dict[str, object] = {
        "name": name,
        "uid": name,
        "owner": "job",
        "first": name == "master",
        "ip": "10.0.0.1",
        "created": 100.0,
        "held_from": 110.0,
        "running": True,
        "word": None,
        "waiting": None,
        "disrupted": False,
        "deadline": None,
        "over": False,
        "gpus": 1,
    }
    return Vitals(**(values | changes))  # type: ignore[arg-type] # any of its fields


def ended(
    name: str = "master",
    said: Outcome | str = "",
    *,
    at: float = 900.0,
    exit_code: int = 1,
    reason: str = "Error",
    **changes: object,
) -> Vitals:
    """A pod whose worker has ended, with its last word."""
    message = said.to_json() if isinstance(said, Outcome) else said
    word = Word(at=at, exit_code=exit_code, reason=reason, message=message)
    return pod(name, word=word, running=False, over=True, **changes)
