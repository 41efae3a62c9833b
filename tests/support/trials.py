"""Tiny trials on hand-made shards, run by the real worker in processes of its own."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from scalingsweep.api.attempt import Attempt
from scalingsweep.api.outcome import Outcome
from scalingsweep.api.shape import Shape
from scalingsweep.api.trial import NUMERICS_VERSION, Optimizer, TrialSpec, WsdSchedule
from scalingsweep.store import Store
from scalingsweep_trainer import drill
from scalingsweep_trainer.trial import checkpoint, process, ranks, run
from scalingsweep_trainer.trial.state import State
from scalingsweep_trainer.trial.stop import Stop
from support import markov, token_shards
from support import s3 as s3_support

VOCABULARY = 32
CONTEXT = 16
BATCH = 4
STEP = BATCH * CONTEXT
"""Tokens of one step."""

SHAPE = Shape(
    vocab_size=VOCABULARY,
    hidden_size=16,
    intermediate_size=32,
    layers=2,
    heads=2,
    kv_heads=2,
    context_length=CONTEXT,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """A Markov corpus in S3."""

    training: str
    validation: str
    entropy: float


def corpus(store: Store, *, chain: int = 0, tokens: int = 20_000, held_out: int = 1000) -> Corpus:
    """A training and a validation split of one chain, in two shards each."""
    digests = []
    for number, (split, count) in enumerate((("corpora", tokens), ("validation", held_out))):
        ids, entropy = markov.tokens(number, count, states=VOCABULARY, chain=chain)
        digests.append(hashlib.sha256(split.encode() + ids.tobytes()).hexdigest()[:32])
        token_shards.write(store, split, digests[-1], ids, cuts=[count // 3])
    return Corpus(training=digests[0], validation=digests[1], entropy=entropy)


def spec(of: Corpus, steps: tuple[int, ...], **changes: Any) -> TrialSpec:
    """A WSD trial with budgets at these steps. Give each different trial its own `id`."""
    values: dict[str, Any] = {
        "id": "a" * 32,
        "arm": "scratch",
        "size": "tiny",
        "shape": SHAPE,
        "tokenizer": "0" * 32,
        "corpus": of.training,
        "batch_sequences": BATCH,
        "schedule": WsdSchedule(type="wsd", peak=0.01, warmup_steps=2, decay=0.25),
        "optimizer": Optimizer(),
        "precision": "fp32",
        "numerics_version": NUMERICS_VERSION,
        "budgets": tuple(step * STEP for step in steps),
        "validation": (of.validation,),
        "held_out": of.validation,
    }
    return TrialSpec(**(values | changes))


def train(
    store: Store, trial: TrialSpec, folder: Path, *, stop: Stop | None = None, **attempt: Any
) -> Outcome:
    """One attempt by one rank in this process. Needs the server's keys in the environment."""
    process.settle(threads=1)
    told = Attempt(sweep="test", storage=store.location, cache=str(folder), **attempt)
    return run.run(trial, told, ranks.alone("cpu"), stop or Stop())


def records(store: Store, trial: str, generation: int = 1) -> list[dict[str, Any]]:
    """All records of one attempt, each with its branch."""
    found = []
    for key in store.list(f"trials/{trial}/g{generation:04}/metrics/"):
        branch = key.rpartition("/")[2].partition("-")[0]
        found += [{**json.loads(line), "branch": branch} for line in store.get(key).splitlines()]
    return found


def losses(store: Store, trial: str, generation: int = 1) -> dict[tuple[str, int], float]:
    """The loss of every step of one attempt, by (branch, step)."""
    found = records(store, trial, generation)
    return {(one["branch"], one["step"]): one["loss"] for one in found if "loss" in one}


def result(store: Store, trial: TrialSpec, tokens: int | None = None) -> dict[str, Any]:
    """A result on the first validation split; of the last budget when `tokens` is left out."""
    D = tokens or trial.budgets[-1]
    found = store.get_json(f"trials/{trial.id}/results/{D}/{trial.validation[0]}.json")
    assert isinstance(found, dict)
    return found


def snapshot(store: Store, trial: TrialSpec, branch: str, step: int) -> dict[str, torch.Tensor]:
    """All tensors of a checkpoint of any generation."""
    process.settle(threads=1)
    state = State.build(trial, ranks.alone("cpu"))
    found = state.empty()
    place = max(
        one for one in checkpoint.found(store, trial.id) if (one.branch, one.step) == (branch, step)
    )
    checkpoint.load(store, trial.id, place, found, state.ranks)
    return found


def ledger(store: Store, trial: TrialSpec) -> str:
    """The digest of all sequences consumed up to the last budget's end."""
    letters = snapshot(store, trial, str(trial.budgets[-1]), trial.budgets[-1] // trial.step_tokens)
    return bytes(letters["ledger"].tolist()).decode()


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    """Whether two snapshots are equal to the last bit."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@dataclass(slots=True, kw_only=True)
class Worker:
    """One running attempt."""

    process: "subprocess.Popen[bytes]"
    outcome_path: Path
    port: int

    def wait(self, seconds: float = 120) -> Outcome:
        """Its outcome; the exit code is checked against it by the caller if it cares."""
        self.process.wait(timeout=seconds)
        return Outcome.model_validate_json(self.outcome_path.read_bytes())

    def await_object(self, store: Store, prefix: str) -> str:
        """Wait until there is an object under `prefix`; its key."""
        for _ in range(6000):
            if (key := next(store.list(prefix), None)) is not None:
                return key
            assert self.process.poll() is None, "the worker ended"
            time.sleep(0.01)
        raise AssertionError(f"nothing under {prefix} in a minute")

    def stop(self) -> Outcome:
        self.process.send_signal(signal.SIGTERM)
        return self.wait()


@contextmanager
def worker(
    s3: s3_support.S3,
    store: Store,
    trial: TrialSpec,
    folder: Path,
    *,
    fault: str | None = None,
    **attempt: Any,
) -> Iterator[Worker]:
    """A worker's process at this trial, with a fault (`drill`); killed when the block ends."""
    told = Attempt(sweep="test", storage=store.location, cache=str(folder / "cache"), **attempt)
    path = folder / f"outcome-{time.monotonic_ns()}.json"
    environment = {
        **s3.environment(),
        "OMP_NUM_THREADS": "1",
        "SCALINGSWEEP_TRIAL": json.dumps(trial.to_wire()),
        "SCALINGSWEEP_ATTEMPT": json.dumps(told.to_wire()),
        "SCALINGSWEEP_OUTCOME": str(path),
        **({drill.VARIABLE: fault} if fault else {}),
    }
    command = [sys.executable, "-m", "scalingsweep_trainer.main", "trial"]
    with subprocess.Popen(command, env=environment, start_new_session=True) as child:
        try:
            yield Worker(process=child, outcome_path=path, port=told.port)
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
