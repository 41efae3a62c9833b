"""Starts the ranks of a trial on this node, and answers with one outcome for all of them.

One rank alone runs in this very process: torchrun would double the start-up. From two up it is
torchrun, which exits 1 whatever its workers returned; each rank therefore leaves a file of its own.
"""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from scalingsweep.api.attempt import Attempt
from scalingsweep.api.outcome import Class, Outcome
from scalingsweep.api.trial import TrialSpec
from scalingsweep_trainer import outcomes
from scalingsweep_trainer.trial.stop import Stop

RANK_OUTCOMES = "SCALINGSWEEP_RANK_OUTCOMES"
"""Folder that each rank writes `rank-<rank>.json` to."""


def launch(spec: TrialSpec, attempt: Attempt, environment: Mapping[str, str]) -> Outcome:
    """Train the trial with as many ranks as the attempt and PET_NNODES say."""
    nodes = int(environment.get("PET_NNODES", "1"))
    if nodes == 1 and attempt.processes == 1:
        return _here(spec, attempt)
    with tempfile.TemporaryDirectory(prefix="scalingsweep-ranks-") as folder:
        return _torchrun(attempt, nodes, Path(folder), environment)


def _here(spec: TrialSpec, attempt: Attempt) -> Outcome:
    stop = Stop.install()
    from scalingsweep_trainer.trial import process, ranks, run

    process.settle(attempt.threads)
    return run.run(spec, attempt, ranks.alone(attempt.device), stop)


def _torchrun(
    attempt: Attempt, nodes: int, folder: Path, environment: Mapping[str, str]
) -> Outcome:
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        f"--nproc-per-node={attempt.processes}",
        f"--shutdown-timeout={max(1, round(attempt.grace_seconds * 0.8))}",
        "--max-restarts=0",
        # on several nodes PET_NNODES, PET_NODE_RANK, PET_MASTER_ADDR and PET_MASTER_PORT, which the
        # job's controller sets, are torchrun's own defaults
        *(["--standalone"] if nodes == 1 else []),
        "--module",
        "scalingsweep_trainer.rank",
    ]
    surroundings = {
        **environment,
        RANK_OUTCOMES: str(folder),
        "OMP_NUM_THREADS": str(attempt.threads),
    }
    with subprocess.Popen(command, env=surroundings) as process, _forwarding(process):
        code = process.wait()
    said = outcomes.earliest(folder)
    if said is not None:
        return said
    how = f"was killed by signal {-code}" if code < 0 else f"exited with {code}"
    return Outcome(
        klass=Class.INFRASTRUCTURE,
        message=f"torchrun {how} and no rank left a word: see the log, and the host's memory",
    )


@contextlib.contextmanager
def _forwarding(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    def forward(*_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGTERM)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, forward)
    yield
