"""One attempt at one trial, from claim to outcome, on one of its ranks. The launcher calls `run`.

    claim → what lies in S3 → for each budget without results: the trunk to the branch's start, the
    branch to its end, its decayed model on every validation split → done

A budget whose results are complete is passed over; one whose decayed checkpoint exists is only
evaluated (a corpus was added later); all others go on from the nearest checkpoint of any attempt.
"""

import contextlib
import logging
import math
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from scalingsweep.api import result
from scalingsweep.api.attempt import Attempt
from scalingsweep.api.outcome import Class, Outcome
from scalingsweep.api.trial import NUMERICS_VERSION, InitFromTrial, TrialSpec
from scalingsweep.errors import DataError, SpecError
from scalingsweep.store import Missing, Patience, Store
from scalingsweep_trainer import drill, endings
from scalingsweep_trainer.data import stream
from scalingsweep_trainer.data.shards import Shards
from scalingsweep_trainer.trial import checkpoint, claim, itinerary, layout, loop, source
from scalingsweep_trainer.trial import pulse as pulses
from scalingsweep_trainer.trial.evaluate import Evaluation, evaluate
from scalingsweep_trainer.trial.itinerary import TRUNK, Branch, Saved
from scalingsweep_trainer.trial.metrics import Metrics
from scalingsweep_trainer.trial.progress import Progress, Server
from scalingsweep_trainer.trial.ranks import Ranks
from scalingsweep_trainer.trial.state import State
from scalingsweep_trainer.trial.stop import Stop
from scalingsweep_trainer.trial.telemetry import Telemetry

log = logging.getLogger("scalingsweep_trainer")

_TOLERANCE = {"fp32": 1e-4, "bf16": 2e-3}
"""Relative: by how much a copied model's loss may differ from its source's recorded one. bf16
rounds each product to 3 digits, differently for other shapes of a batch."""


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
        work = _Work(
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """What the parts of one attempt share."""

    spec: TrialSpec
    attempt: Attempt
    store: Store
    cache: Path
    ranks: Ranks
    stop: Stop
    pulse: pulses.Pulse
    claim: claim.Claim | None
    state: State
    checkpoints: checkpoint.Checkpoints
    telemetry: Telemetry
    loop: loop.Loop

    def all(self, branches: tuple[Branch, ...]) -> None:
        """Bring every budget's results into S3."""
        saved, done = self.ranks.from_first(
            self._look() if self.ranks.first else ([], frozenset[tuple[int, str]]())
        )
        missing = {
            branch: [
                digest for digest in self.spec.validation if (branch.tokens, digest) not in done
            ]
            for branch in branches
        }
        todo = [branch for branch in branches if missing[branch]]
        progress = self.telemetry.progress
        progress.tokensTotal = itinerary.work(branches) * self.spec.step_tokens
        progress.tokens = progress.tokensTotal - self.spec.step_tokens * itinerary.work_left(
            todo, saved
        )
        for branch in todo:
            if self.ranks.first:
                log.info("%s %s to D = %d", self.spec.arm, self.spec.size, branch.tokens)
            decayed = itinerary.decayed(branch, saved)
            if decayed is None:
                decayed = self._train(branch, saved)
            else:
                self._load(decayed, weights_only=True)
            self._evaluate(branch, missing[branch])

    def _look(self) -> tuple[list[Saved], frozenset[tuple[int, str]]]:
        """Complete checkpoints, and (D, validation digest) of the results that exist."""
        results = set()
        for key in self.store.list(layout.results(self.spec.id)):
            tokens, _, name = key.removeprefix(layout.results(self.spec.id)).partition("/")
            if tokens.isdigit():
                results.add((int(tokens), name.removesuffix(".json")))
        return checkpoint.found(self.store, self.spec.id), frozenset(results)

    def _train(self, branch: Branch, saved: list[Saved]) -> Saved:
        """Train to the branch's end; new checkpoints are added to `saved`."""
        place = itinerary.resume(branch, saved)
        self._obey("the start of a budget")
        if self.ranks.first:
            where = f"step {place.step} of {place.branch}" if place else "the start"
            log.info("going on from %s", where)
        if place is None:
            self._start()
        else:
            self.checkpoints.wait()  # it may be one of ours that is still on its way
            self.ranks.meet()
            self._load(place)
        if place is None or place.branch == TRUNK:
            self._trunk(branch, saved)
        drill.at("branch", branch.start)
        self.loop.advance(branch, branch.end)
        end = self.loop.save(branch.name)
        saved.append(end)
        return end

    def _trunk(self, branch: Branch, saved: list[Saved]) -> None:
        if self.spec.schedule.type == "cosine":
            return
        self.loop.advance(None, branch.start)
        if not any((one.branch, one.step) == (TRUNK, branch.start) for one in saved):
            saved.append(self.loop.save(TRUNK))

    def _start(self) -> None:
        source.start(self.state, self.spec, self.store, Path(self.attempt.base))
        if isinstance(self.spec.init, InitFromTrial) and self.spec.init.checkpoint == "decayed":
            self._check_source(self.spec.init)

    def _check_source(self, init: InitFromTrial) -> None:
        """The copied model must have the very losses that its source recorded."""
        losses: dict[str, float] = {}
        for digest in self.spec.validation:
            key = result.key(init.trial, init.tokens, digest)
            recorded = self.ranks.from_first(self._recorded(key) if self.ranks.first else None)
            if recorded is None:
                continue
            losses[digest] = self._loss(digest).loss
            if abs(losses[digest] - recorded) > _TOLERANCE[self.spec.precision] * recorded:
                raise DataError(
                    f"trial {init.trial}",
                    f"its checkpoint of {init.tokens} tokens has loss {losses[digest]} on "
                    f"{digest}, but {recorded} is recorded: the checkpoint is damaged",
                )
        self.telemetry.evaluated(TRUNK, 0, losses)

    def losses(self) -> tuple[float, ...]:
        """Of every budget on the arm's own held-out text; nothing on other ranks than the first."""
        if not self.ranks.first:
            return ()
        keys = [result.key(self.spec.id, D, self.spec.held_out) for D in self.spec.budgets]
        found = [self._recorded(key) for key in keys]
        return tuple(round(loss, 4) for loss in found if loss is not None)

    def _recorded(self, key: str) -> float | None:
        try:
            return result.Result.from_wire(self.store.get_json(key), key).loss
        except Missing:
            return None

    def _obey(self, doing: str) -> None:
        """Leave if told to, where nothing has been trained since the last save."""
        self.pulse.beat(doing)
        if self.ranks.agree(self.stop.requested)[0]:
            self.checkpoints.wait()
            step = self.state.step or None
            raise endings.Preempted(
                f"stopped at {doing}, with all that was trained saved", step=step
            )

    def _load(self, place: Saved, *, weights_only: bool = False) -> None:
        drill.at("load", place.step)
        snapshot = self.state.empty(weights_only=weights_only)
        checkpoint.load(self.store, self.spec.id, place, snapshot, self.ranks)
        self.state.restore(snapshot)

    def _evaluate(self, branch: Branch, validation: list[str]) -> None:
        """Write one result for each split; the decayed checkpoint is complete before the first."""
        self.telemetry.progress.phase = "evaluating"
        if drill.at("decayed", branch.end):
            drill.poison(self.state.parameters.values())
        found = {digest: self._loss(digest) for digest in validation}
        for digest, one in found.items():
            if not math.isfinite(one.loss):
                raise endings.Diverged(
                    f"the loss on {digest} after step {branch.end} is no number; lower the "
                    "learning rate",
                    step=branch.end,
                )
        losses = {digest: one.loss for digest, one in found.items()}
        self.telemetry.evaluated(branch.name, branch.end, losses)
        self.checkpoints.wait()
        drill.at("results", branch.end)
        if self.claim is None:
            return
        self.telemetry.flush()
        self.claim.check()
        for digest, one in found.items():
            made = self._result(branch.tokens, digest, one)
            key = result.key(self.spec.id, branch.tokens, digest)
            self.store.put_json_if_absent(key, made.to_wire())
            log.info("D = %d: %.4f nats per token on %s", branch.tokens, one.loss, digest)

    def _result(self, tokens: int, validation: str, found: Evaluation) -> result.Result:
        return result.Result(
            trial=self.spec.id,
            tokens=tokens,
            validation=validation,
            loss=found.loss,
            bits_per_byte=found.bits_per_byte,
            evaluated_tokens=found.tokens,
            evaluated_bytes=found.bytes,
        )

    def _loss(self, validation: str) -> Evaluation:
        vocabulary = self.spec.shape.vocab_size
        shards = Shards(self.store, "validation", validation, self.cache, vocabulary=vocabulary)
        if shards.tokenizer != self.spec.tokenizer:
            raise DataError(
                f"validation/{validation}",
                f"was made with tokenizer {shards.tokenizer}, not the trial's; run prepare again",
            )
        return evaluate(
            self.state.model,
            shards,
            context=self.spec.shape.context_length,
            rows=loop.micro_batch(self.spec, self.attempt, self.ranks.size),
            ranks=self.ranks,
            stop=self.stop,
            pulse=self.pulse,
            step=self.state.step,
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
