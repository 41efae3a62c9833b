"""Our trainer beside Hugging Face's Trainer and a bare PyTorch loop, one CPU thread each.

Speed, peak memory, seconds to the first step; and, from our own step records, what the loader and
the checkpoints cost.
"""

import math
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from hack.bench import pairs, runs, task
from hack.bench.figure import Figure
from hack.bench.runs import Run
from hack.bench.task import Plan, Task

from scalingsweep.store import Store
from scalingsweep_cli.local import s3server

PEERS = {"HF Trainer": "hf_trainer", "bare loop": "bare_loop"}
AGREEMENT = {"fp32": 1e-4, "bf16": 5e-3}
"""Relative: how far the losses of honest contenders may lie apart after some steps."""
CADENCE = 600.0
"""Seconds between two checkpoints where the manifest says nothing."""


def measure(
    plan: Plan, *, rounds: int, accelerate: Path, precision: Literal["fp32", "bf16"]
) -> list[Figure]:
    """Run all three in turns.

    Args:
        plan: what is trained.
        rounds: turns.
        accelerate: folder that has `accelerate`, which Trainer needs and we do not.
        precision: of all three.
    """
    with (
        tempfile.TemporaryDirectory(prefix="scalingsweep-bench-") as name,
        s3server.S3Server(Path(name) / "s3") as server,
    ):
        folder, keys = Path(name), server.access.keys()
        store = Store(server.access.location("bench"), keys=keys)
        made = task.prepare(plan, store, folder, precision=precision)
        found = pairs.turns(
            rounds,
            {
                "ours": lambda: runs.ours(made, store, keys, folder),
                "HF Trainer": lambda: runs.peer("hf_trainer", made.recipe, accelerate),
                "bare loop": lambda: runs.peer("bare_loop", made.recipe),
            },
        )
    _same_work(found, precision)
    where = f"{made.parameters / 1e6:.1f}M {precision}"
    return [*_compared(found, made, where), *_waits(found["ours"], made, where)]


def _same_work(found: Mapping[str, Sequence[Run]], precision: str) -> None:
    """All of them arrived at one loss, or the comparison means nothing."""
    ours = found["ours"][0].loss
    for name, all_runs in found.items():
        for run in all_runs:
            if not math.isclose(run.loss, ours, rel_tol=AGREEMENT[precision]):
                raise RuntimeError(f"{name} has loss {run.loss}, we have {ours}: not the same work")


def _compared(found: Mapping[str, Sequence[Run]], made: Task, where: str) -> list[Figure]:
    tokens = made.plan.batch * made.plan.shape.context_length
    skipped = made.plan.skipped
    speed = {
        name: [tokens / statistics.median(run.seconds[skipped:]) for run in all_runs]
        for name, all_runs in found.items()
    }
    first = {name: [run.first for run in all_runs] for name, all_runs in found.items()}
    peak = {name: [run.peak / 2**20 for run in all_runs] for name, all_runs in found.items()}
    fastest = [max(speed[name][turn] for name in PEERS) for turn in range(len(speed["ours"]))]
    return [
        Figure.of(f"{where}: tokens/s, ours over the faster peer's", "≥ 0.97",
                  pairs.ratio(speed["ours"], fastest), speed),
        *(
            Figure.of(f"{where}: tokens/s, ours over {name}'s", "",
                      pairs.ratio(speed["ours"], speed[name]), speed)
            for name in PEERS
        ),
        *(
            Figure.of(f"{where}: peak memory MiB, ours over {name}'s", "",
                      pairs.ratio(peak["ours"], peak[name]), peak)
            for name in PEERS
        ),
        *(
            Figure.of(f"{where}: seconds to the first step, ours over {name}'s", "",
                      pairs.ratio(first["ours"], first[name]), first)
            for name in PEERS
        ),
    ]  # fmt: skip


def _waits(ours: Sequence[Run], made: Task, where: str) -> list[Figure]:
    """Shares of step time that the loader and the checkpoints take."""
    steps, skipped = made.plan.steps, made.plan.skipped
    loader, stalls, share = [], [], []
    for run in ours:
        timed = run.records[skipped:steps]
        loader.append(_sum(timed, "loaderWait") / sum(run.seconds[skipped:]))
        stalls.append(_sum(run.records[steps:], "checkpointWait"))
        usual = statistics.median(run.seconds[skipped:])
        after = [
            made.spec.step_tokens / one["tokensPerSecond"] - usual for one in run.records[steps:]
        ]
        # what the write in the background takes from the steps beside it counts too
        share.append((stalls[-1] + max(0.0, sum(after))) / CADENCE)
    return [
        Figure.of(f"{where}: loader wait, share of step time", "",
                  pairs.spread(loader), {"ours": loader}),
        Figure.of(f"{where}: seconds that a checkpoint stops the steps", "",
                  pairs.spread(stalls), {"ours": stalls}),
        Figure.of(f"{where}: checkpoint every 10 min, share of step time, slower steps too", "",
                  pairs.spread(share), {"ours": share}),
    ]  # fmt: skip


def _sum(records: Sequence[Mapping[str, Any]], field: str) -> float:
    return math.fsum(float(one[field]) for one in records)
