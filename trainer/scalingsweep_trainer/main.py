"""`scalingsweep-worker prepare|trial|fit|export`: the work, the same on both back ends.

A control plane starts it with JSON in the environment (ARCHITECTURE.md, "The contract with the
worker") and reads the outcome file that is written here whatever happens, and the exit code.
"""

import importlib
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Protocol, cast

from scalingsweep.api.attempt import Attempt
from scalingsweep.api.outcome import EXIT_CODES, Class, Outcome
from scalingsweep.errors import SpecError
from scalingsweep_trainer import drill, endings, environment, leaving, outcomes

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
    told = os.environ.get("SCALINGSWEEP_OUTCOME")
    path = Path(told) if told else None
    outcome = _run(arguments[0], os.environ, path)
    if outcome.klass is not Class.DONE:
        print(f"{outcome.klass}: {outcome.message}", file=sys.stderr, flush=True)
    if path is not None:
        outcomes.write(path, outcome)
    return EXIT_CODES[outcome.klass]


def _run(name: str, variables: Mapping[str, str], path: Path | None) -> Outcome:
    with leaving.Deadline(_grace(variables) * leaving.WORKER_SHARE, path) as deadline:
        try:
            _on_signals(_stop)
            drill.at("start")
            module = importlib.import_module(f"scalingsweep_trainer.commands.{name}")
            outcome = cast("Command", module).run(variables)
        except (Exception, endings.Stopped) as error:  # noqa: BLE001 - every end has its class
            outcome = outcomes.of_error(error)
        finally:
            _on_signals(signal.SIG_IGN)  # the outcome is written without disturbance
    return outcomes.when_told(outcome) if deadline.told else outcome


def _grace(variables: Mapping[str, str]) -> float:
    try:
        return environment.parse(Attempt, variables, environment.ATTEMPT).grace_seconds
    except SpecError:
        return 30.0  # the command will say what is wrong


def _stop(number: int, _: FrameType | None) -> None:
    # `trial` replaces this by a flag that the training loop looks at
    _on_signals(signal.SIG_IGN)  # once is enough: what is cleaned up now is not disturbed
    raise endings.Stopped(f"stopped by {signal.Signals(number).name}")


def _on_signals(handler: Callable[[int, FrameType | None], None] | signal.Handlers) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handler)


if __name__ == "__main__":
    sys.exit(main())
