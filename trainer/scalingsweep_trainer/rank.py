"""One rank under torchrun: joins the others, trains, and leaves its outcome in a file."""

import os
import sys
from pathlib import Path

from scalingsweep.api.attempt import Attempt
from scalingsweep.api.outcome import EXIT_CODES, Outcome
from scalingsweep.api.trial import TrialSpec
from scalingsweep_trainer import launcher, log, outcomes
from scalingsweep_trainer.trial.stop import Stop


def main() -> int:
    """Train this rank's share; the exit code is the outcome's."""
    stop = Stop.install()
    log.start()
    try:
        outcome = _train(stop)
    except Exception as error:  # noqa: BLE001 - every end has its class
        outcome = outcomes.of_error(error)
    folder = Path(os.environ[launcher.RANK_OUTCOMES])
    outcomes.write(folder / f"rank-{os.environ['RANK']}.json", outcome)
    return EXIT_CODES[outcome.klass]


def _train(stop: Stop) -> Outcome:
    from scalingsweep_trainer.trial import process, ranks, run

    spec = TrialSpec.model_validate_json(os.environ["SCALINGSWEEP_TRIAL"])
    attempt = Attempt.model_validate_json(os.environ["SCALINGSWEEP_ATTEMPT"])
    process.settle(attempt.threads)
    together = ranks.join(attempt.device)
    try:
        return run.run(spec, attempt, together, stop)
    finally:
        ranks.leave()


if __name__ == "__main__":
    sys.exit(main())
