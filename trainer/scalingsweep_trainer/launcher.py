"""Starts the ranks of a trial on this node, and answers with one outcome for all of them.

One rank alone runs in this very process: torchrun would double the start-up. From two up it is
torchrun, which exits 1 whatever its workers returned; each rank therefore leaves a file of its own.
"""

import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from scalingsweep.api.attempt import Attempt
from scalingsweep.api.outcome import Class, Outcome
from scalingsweep.api.trial import TrialSpec
from scalingsweep.store import Patience, Store
from scalingsweep_trainer import imports, leaving, outcomes
from scalingsweep_trainer.trial import claim
from scalingsweep_trainer.trial.stop import Stop

RANK_OUTCOMES = "SCALINGSWEEP_RANK_OUTCOMES"
"""Folder that each rank writes `rank-<rank>.json` to."""


def launch(spec: TrialSpec, attempt: Attempt, environment: Mapping[str, str]) -> Outcome:
    """Train the trial with as many ranks as the attempt and PET_NNODES say."""
    if attempt.yields:
        claim.await_silence(Store(attempt.storage, patience=Patience()), spec.id)
    nodes = int(environment.get("PET_NNODES", "1"))
    if nodes == 1 and attempt.processes == 1:
        told = environment.get("SCALINGSWEEP_OUTCOME")
        return _here(spec, attempt, Path(told) if told else None)
    with tempfile.TemporaryDirectory(prefix="scalingsweep-ranks-") as folder:
        return _torchrun(attempt, nodes, Path(folder), environment)


def _here(spec: TrialSpec, attempt: Attempt, outcome: Path | None) -> Outcome:
    # until here a signal is an exception: amid imports there is nothing that a flag could wait for
    with imports.heavy():
        from scalingsweep_trainer.trial import process, ranks, run

    stop = Stop.install()
    process.settle(attempt.threads)
    return run.run(spec, attempt, ranks.alone(attempt.device), stop, outcome=outcome)


def _torchrun(
    attempt: Attempt, nodes: int, folder: Path, environment: Mapping[str, str]
) -> Outcome:
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        f"--nproc-per-node={attempt.processes}",
        f"--shutdown-timeout={max(1, round(attempt.grace_seconds * leaving.TORCHRUN_SHARE))}",
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
    stop = Stop.install()  # from here on a signal is kept, and handed on once torchrun is there
    with subprocess.Popen(command, env=surroundings) as process:
        stop.then(process.terminate)
        code = process.wait()
    first = int(environment.get("PET_NODE_RANK", "0")) * attempt.processes
    silent = [
        rank
        for rank in range(first, first + attempt.processes)
        if outcomes.read(outcomes.of_rank(folder, rank)) is None
    ]
    return _judged(outcomes.earliest(folder), silent, code, told=stop.requested)


def _judged(said: Outcome | None, silent: list[int], code: int, *, told: bool) -> Outcome:
    """One outcome of what the ranks of this node said and which of them were silent."""
    if said is None:
        how = f"was killed by signal {-code}" if code < 0 else f"exited with {code}"
        message = f"torchrun {how} and no rank left a word: see the log, and the host's memory"
        return Outcome(klass=Class.INFRASTRUCTURE, message=message)
    # torchrun stops the others when a rank dies, and what they then say is not why
    if told or not silent or said.klass not in {Class.INFRASTRUCTURE, Class.PREEMPTED}:
        return said
    lost = ", ".join(str(rank) for rank in silent)
    message = f"rank {lost} ended without a word; another: {said.message}"
    return said.model_copy(update={"klass": Class.INFRASTRUCTURE, "message": message[:1024]})
