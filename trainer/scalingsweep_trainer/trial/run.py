"""One attempt at one trial, from claim to outcome, on one of its ranks. The launcher calls `run`.

It takes the claim, opens all that an attempt holds (cache, checkpoints, metrics, the model), lets
`work` bring every budget's results into S3, and closes it again, whatever ends it.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from scalingsweep.api.attempt import Attempt
from scalingsweep.api.outcome import Class, Outcome
from scalingsweep.api.trial import NUMERICS_VERSION, TrialSpec
from scalingsweep.errors import SpecError
from scalingsweep.store import Missing, Patience, Store
from scalingsweep_trainer import drill, endings
from scalingsweep_trainer.data import stream
from scalingsweep_trainer.trial import checkpoint, claim, itinerary, layout, loop
from scalingsweep_trainer.trial import pulse as pulses
from scalingsweep_trainer.trial.itinerary import Branch
from scalingsweep_trainer.trial.metrics import Metrics
from scalingsweep_trainer.trial.progress import Progress, Server
from scalingsweep_trainer.trial.ranks import Ranks
from scalingsweep_trainer.trial.state import State
from scalingsweep_trainer.trial.stop import Stop
from scalingsweep_trainer.trial.telemetry import Telemetry
from scalingsweep_trainer.trial.work import Work


def run(
    spec: TrialSpec, attempt: Attempt, ranks: Ranks, stop: Stop, *, outcome: Path | None = None
) -> Outcome:
    """Train what is missing of a trial. A collective.

    Args:
        spec: the trial.
        attempt: its surroundings.
        ranks: who trains it.
        stop: looked at wherever the state is whole.
        outcome: where this process's outcome goes if it hangs; None does not look for that.

    Raises:
        SpecError, DataError: what the user must mend.
        TransientError: storage does not answer.
        Ending: diverged, superseded or preempted.
    """
    if spec.numerics_version != NUMERICS_VERSION:
        raise SpecError(
            "numericsVersion",
            f"this worker trains version {NUMERICS_VERSION}, the trial asks for "
            f"{spec.numerics_version}: use the worker of the same release",
        )
    branches = itinerary.branches(spec)
    with pulses.Pulse(ranks, attempt.stall_seconds, outcome) as pulse:
        if ranks.agree(stop.requested)[0]:
            raise endings.Preempted("stopped before it began")
        return _attempt(spec, attempt, ranks, branches, stop=stop, pulse=pulse)


def _attempt(
    spec: TrialSpec,
    attempt: Attempt,
    ranks: Ranks,
    branches: tuple[Branch, ...],
    *,
    stop: Stop,
    pulse: pulses.Pulse,
) -> Outcome:
    store = Store(attempt.storage, patience=_patience(attempt, stop))
    ours = claim.take(store, spec.id) if ranks.first else None
    drill.at("claim")
    generation = ranks.from_first(ours.generation if ours else 0)
    whole = ranks.from_first(_merge_spec(store, spec) if ours else spec)
    if ours:
        checkpoint.settle(store, spec.id, generation)
    with _cache(attempt) as cache, contextlib.ExitStack() as closing:
        watch = claim.Watch(ours)
        closing.callback(watch.close)
        checkpoints = checkpoint.Checkpoints(
            store,
            whole,
            ranks,
            generation=generation,
            claim=ours,
            keep_last=attempt.keep_last,
        )
        closing.callback(checkpoints.close)
        progress = Progress(arm=spec.arm, size=spec.size, seed=spec.seed)
        metrics = Metrics(store, spec.id, generation) if ranks.first else None
        if metrics is not None:
            closing.callback(metrics.close)  # whatever ends the attempt, its curve is kept
            closing.callback(Server(progress, attempt.host, attempt.port).close)
        telemetry = Telemetry(spec, attempt, world=ranks.size, progress=progress, metrics=metrics)
        state = State.build(spec, ranks)
        work = Work(
            spec=spec,
            attempt=attempt,
            store=store,
            cache=cache,
            ranks=ranks,
            stop=stop,
            pulse=pulse,
            claim=ours,
            state=state,
            checkpoints=checkpoints,
            telemetry=telemetry,
            loop=loop.Loop(
                spec,
                attempt,
                state,
                stream.of(spec, store, cache),
                checkpoints=checkpoints,
                telemetry=telemetry,
                stop=stop,
                watch=watch,
                pulse=pulse,
            ),
        )
        work.all(branches)
        if metrics is not None:
            metrics.close()
            metrics.check()
        progress.phase = "done"
    return Outcome(
        klass=Class.DONE,
        message=f"{len(branches)} budgets of {spec.arm} {spec.size} are complete",
        step=state.step,
        generation=generation,
        budgets=spec.budgets,
        losses=work.losses(),
    )


def _patience(attempt: Attempt, stop: Stop) -> Patience:
    """Whoever was told to stop still waits for a storage that hiccups, within half its grace."""
    return Patience(
        hurried=lambda: stop.requested,
        hurried_seconds=attempt.grace_seconds / 2,
    )


def _merge_spec(store: Store, spec: TrialSpec) -> TrialSpec:
    """Write the spec with all budgets that were ever asked of this trial, and answer it."""
    key = layout.spec(spec.id)
    try:
        before = set(TrialSpec.from_wire(store.get_json(key), key).budgets)
    except Missing:
        before = set()
    budgets = tuple(sorted(before | set(spec.budgets)))
    whole = spec.model_copy(update={"budgets": budgets})
    store.put_json(key, whole.to_wire())
    return whole


@contextlib.contextmanager
def _cache(attempt: Attempt) -> Iterator[Path]:
    """The folder of downloaded shards: the given one, or one for this process alone."""
    if attempt.cache is not None:
        Path(attempt.cache).mkdir(parents=True, exist_ok=True)
        yield Path(attempt.cache)
        return
    with tempfile.TemporaryDirectory(prefix=f"scalingsweep-{os.getpid()}-") as folder:
        yield Path(folder)
