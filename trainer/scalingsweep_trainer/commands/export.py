"""`scalingsweep-worker export`: one decayed model as a Hugging Face folder."""

from collections.abc import Mapping
from pathlib import Path

from scalingsweep.api.attempt import Attempt
from scalingsweep.api.export import Export
from scalingsweep.api.outcome import Class, Outcome
from scalingsweep.store import Store
from scalingsweep_trainer import environment, export


def run(variables: Mapping[str, str]) -> Outcome:
    """Export a model.

    Raises:
        DataError: there is no such checkpoint.
        TransientError: storage does not answer.
    """
    asked = environment.parse(Export, variables, environment.EXPORT)
    attempt = environment.parse(Attempt, variables, environment.ATTEMPT)
    export.run(Store(attempt.storage), asked.trial, asked.tokens, Path(asked.target))
    return Outcome(klass=Class.DONE, message=f"written to {asked.target}")
