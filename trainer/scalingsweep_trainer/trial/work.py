"""The work of one attempt: every budget's results into S3. `run` sets it up and calls it.

    what lies in S3 → for each budget without results: the trunk to the branch's start, the branch
    to its end, its decayed model on every validation split

A budget whose results are complete is passed over; one whose decayed checkpoint exists is only
evaluated (a corpus was added later); all others go on from the nearest checkpoint of any attempt.
"""

import logging
import math
from dataclasses import dataclass
from pathlib import Path

from scalingsweep.api import result
from scalingsweep.api.attempt import Attempt
from scalingsweep.api.trial import InitFromTrial, TrialSpec
from scalingsweep.errors import DataError
from scalingsweep.store import Missing, Store
from scalingsweep_trainer import drill, endings
from scalingsweep_trainer.data.shards import Shards
from scalingsweep_trainer.trial import checkpoint, claim, itinerary, layout, loop, source
from scalingsweep_trainer.trial import pulse as pulses
from scalingsweep_trainer.trial.evaluate import Evaluation, evaluate
from scalingsweep_trainer.trial.itinerary import TRUNK, Branch, Saved
from scalingsweep_trainer.trial.ranks import Ranks
from scalingsweep_trainer.trial.state import State
from scalingsweep_trainer.trial.stop import Stop
from scalingsweep_trainer.trial.telemetry import Telemetry

log = logging.getLogger("scalingsweep_trainer")

_TOLERANCE = {"fp32": 1e-4, "bf16": 2e-3}
"""Relative: by how much a copied model's loss may differ from its source's recorded one. bf16
rounds each product to 3 digits, differently for other shapes of a batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
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
