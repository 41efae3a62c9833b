"""One rank under torchrun: joins the others, trains, and leaves its outcome in a file."""

import os
from pathlib import Path
from typing import NoReturn

from scalingsweep.api.attempt import Attempt
from scalingsweep.api.outcome import Outcome
from scalingsweep.api.trial import TrialSpec
from scalingsweep_trainer import drill, imports, launcher, leaving, log, outcomes
from scalingsweep_trainer.trial.stop import Stop


def main() -> NoReturn:
    """Train this rank's share; the exit code is the outcome's."""
    stop = Stop.install()
    log.start()
    spec = TrialSpec.model_validate_json(os.environ["SCALINGSWEEP_TRIAL"])
    attempt = Attempt.model_validate_json(os.environ["SCALINGSWEEP_ATTEMPT"])
    path = outcomes.of_rank(Path(os.environ[launcher.RANK_OUTCOMES]), int(os.environ["RANK"]))
    with leaving.Deadline(attempt.grace_seconds * leaving.RANK_SHARE, path):
        try:
            outcome = _train(spec, attempt, stop, path)
        except Exception as error:  # noqa: BLE001 - every end has its class
            outcome = outcomes.of_error(error)
    # at once: parting from ranks that may be lost must not hold up the word
    leaving.now(outcome, path)


def _train(spec: TrialSpec, attempt: Attempt, stop: Stop, path: Path) -> Outcome:
    with imports.heavy():
        from scalingsweep_trainer.trial import process, ranks, run

    drill.at("start")
    process.settle(attempt.threads)
    together = ranks.join(attempt.device, attempt.stall_seconds)
    return run.run(spec, attempt, together, stop, outcome=path)


if __name__ == "__main__":
    main()
