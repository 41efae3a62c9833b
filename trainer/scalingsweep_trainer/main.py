"""`scalingsweep-worker prepare|trial|fit|export`: the work, the same on both back ends.

A control plane starts it with JSON in the environment (ARCHITECTURE.md, "The contract with the
worker") and reads the outcome file that is written here whatever happens, and the exit code.
"""

import importlib
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Protocol, cast

from scalingsweep.api.outcome import EXIT_CODES, Class, Outcome
from scalingsweep_trainer import endings, outcomes

COMMANDS = ("prepare", "trial", "fit", "export")


class Command(Protocol):
    """A module of `commands`."""

    def run(self, environment: Mapping[str, str]) -> Outcome:
        """Do the work; errors are raised."""
        ...


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and answer with the exit code of its outcome."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if len(arguments) != 1 or arguments[0] not in COMMANDS:
        print(f"usage: scalingsweep-worker {'|'.join(COMMANDS)}", file=sys.stderr)
        return EXIT_CODES[Class.BAD_CONFIGURATION]
    outcome = _run(arguments[0], os.environ)
    if outcome.klass is not Class.DONE:
        print(f"{outcome.klass}: {outcome.message}", file=sys.stderr, flush=True)
    if path := os.environ.get("SCALINGSWEEP_OUTCOME"):
        outcomes.write(Path(path), outcome)
    return EXIT_CODES[outcome.klass]


def _run(name: str, environment: Mapping[str, str]) -> Outcome:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
    try:
        command = cast("Command", importlib.import_module(f"scalingsweep_trainer.commands.{name}"))
        return command.run(environment)
    except Exception as error:  # noqa: BLE001 - every end has its class
        return outcomes.of_error(error)
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)  # the outcome is written without disturbance


def _stop(number: int, _: FrameType | None) -> None:
    # `trial` replaces this by a flag that the training loop looks at
    raise endings.Preempted(f"stopped by {signal.Signals(number).name}")


if __name__ == "__main__":
    sys.exit(main())
