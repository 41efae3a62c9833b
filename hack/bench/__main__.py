"""`make bench`: how fast we are, always beside something that everybody knows, on this machine.

    PYTHONPATH=tests python -m hack.bench [train|small|fit|command …] [--precision bf16]

Prints a table and writes build/bench.json with every single value. Each figure is the median, with
its quartiles, of ratios within turns: run it on a machine that does nothing else.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from hack.bench import bootstrap, command, machine, task, training
from hack.bench.figure import Figure
from rich import box, console, table

ROOT = Path(__file__).parent.parent.parent
ACCELERATE = "accelerate==1.15.0"
"""What Hugging Face's Trainer needs and nothing of ours does. Where it is installed, transformers
imports it too, so it goes into a folder of its own and not into the environment."""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("parts", nargs="*", metavar="part", help="train, small, fit, command")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "bench.json")
    told = parser.parse_args()

    def train(plan: task.Plan) -> list[Figure]:
        return training.measure(
            plan,
            rounds=told.rounds,
            accelerate=_accelerate(ROOT / "build" / "bench-peers"),
            precision=told.precision,
        )

    parts: dict[str, Callable[[], list[Figure]]] = {
        "command": lambda: command.measure(rounds=2 * told.rounds),
        "fit": lambda: bootstrap.measure(samples=4000, rounds=told.rounds),
        "small": lambda: train(task.SMALL),
        "train": lambda: train(task.TEN_MILLION),
    }
    if unknown := set(told.parts) - set(parts):
        parser.error(f"there is no part {min(unknown)}: {', '.join(parts)}")
    facts, began = machine.facts(), time.monotonic()
    figures: list[Figure] = []
    for name, measure in parts.items():
        if name in told.parts or not told.parts:
            print(f"measuring {name} …", file=sys.stderr, flush=True)
            figures += measure()
    _show(figures, facts)
    told.out.parent.mkdir(parents=True, exist_ok=True)
    answer = {"machine": facts, "figures": [one.to_json() for one in figures]}
    told.out.write_text(json.dumps(answer, indent=1, ensure_ascii=False) + "\n")
    print(f"{time.monotonic() - began:.0f} s; every value is in {told.out}")
    return 0


def _accelerate(folder: Path) -> Path:
    """A folder with accelerate alone, made once."""
    if not (folder / "accelerate").is_dir():
        subprocess.run(
            [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
             "--no-deps", "--target", str(folder), ACCELERATE],
            check=True,
        )  # fmt: skip
    return folder


def _show(figures: list[Figure], facts: dict[str, str]) -> None:
    shown = table.Table("figure", "median (quartiles)", "asked", "medians", box=box.SIMPLE)
    for one in figures:
        shown.add_row(*one.row())
    wide = console.Console() if sys.stdout.isatty() else console.Console(width=160)
    wide.print(shown)
    for name, value in facts.items():
        wide.print(f"{name}: {value}", highlight=False)


if __name__ == "__main__":
    sys.exit(main())
