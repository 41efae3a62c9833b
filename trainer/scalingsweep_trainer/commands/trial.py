"""`scalingsweep-worker trial`: reads the two JSON values and hands them to the launcher."""

from collections.abc import Mapping

from scalingsweep.api.attempt import Attempt
from scalingsweep.api.outcome import Outcome
from scalingsweep.api.trial import TrialSpec
from scalingsweep_trainer import environment, launcher, log


def run(variables: Mapping[str, str]) -> Outcome:
    """Train one trial.

    Raises:
        SpecError: a variable is missing or wrong.
    """
    log.start()
    spec = environment.parse(TrialSpec, variables, environment.TRIAL)
    attempt = environment.parse(Attempt, variables, environment.ATTEMPT)
    return launcher.launch(spec, attempt, variables)
