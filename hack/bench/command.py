"""How long the command takes to answer, beside an interpreter that does nothing."""

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from hack.bench import pairs
from hack.bench.figure import Figure

COMMAND = Path(sys.executable).with_name("scalingsweep")
EXAMPLES = Path(__file__).parent.parent.parent / "examples"


def measure(*, rounds: int) -> list[Figure]:
    """Time help and plans in turns."""
    asked: dict[str, Sequence[str | Path]] = {
        "--help": (COMMAND, "--help"),
        "plan quickstart": (COMMAND, "plan", EXAMPLES / "quickstart" / "sweep.yaml"),
        "plan zheng2024": (COMMAND, "plan", EXAMPLES / "zheng2024" / "sweep.yaml"),
    }
    nothing = (sys.executable, "-c", "pass")
    runners: dict[str, Callable[[], float]] = {"python": lambda: _seconds(nothing)}
    for name, command in asked.items():
        runners[name] = lambda command=command: _seconds(command)  # type: ignore[misc]  # as bound
    found = pairs.turns(rounds, runners)
    return [
        Figure.of(
            f"scalingsweep {name}: seconds over those of an empty python",
            "",
            pairs.ratio(found[name], found["python"]),
            {"ours": found[name], "python": found["python"]},
        )
        for name in asked
    ]


def _seconds(command: Sequence[str | Path]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began
