"""The training loop: from one step to a later one on one branch, and what comes between two steps.

Between two steps the state is whole: there a checkpoint is taken, a stop is obeyed, a newer claim
is noticed, each on all ranks at once.
"""

import time

import numpy as np
import torch
from torch import Tensor
from torch.distributed.fsdp import FSDPModule

from scalingsweep.api.attempt import Attempt
from scalingsweep.api.trial import TrialSpec
from scalingsweep_trainer import drill, endings
from scalingsweep_trainer.data.batches import Batch, Batches, MicroBatch
from scalingsweep_trainer.data.stream import Stream
from scalingsweep_trainer.trial import itinerary, optimizer, weights
from scalingsweep_trainer.trial.checkpoint import Checkpoints
from scalingsweep_trainer.trial.claim import Watch
from scalingsweep_trainer.trial.itinerary import TRUNK, Branch, Saved
from scalingsweep_trainer.trial.model import IGNORED
from scalingsweep_trainer.trial.pulse import Pulse
from scalingsweep_trainer.trial.state import State
from scalingsweep_trainer.trial.stop import Stop
from scalingsweep_trainer.trial.telemetry import Numbers, Telemetry

_LOGIT_BYTES = {"cpu": 2**28, "cuda": 2**31}
"""fp32 logits of one forward pass; the loss and its gradient need as much again, twice."""

_LOOK_SECONDS = 0.5
"""While a batch is awaited, so often a stop is looked for."""


def micro_batch(spec: TrialSpec, attempt: Attempt, world: int) -> int:
    """Sequences of one forward pass of one rank: its share in equal parts, each within memory."""
    share = -(-spec.batch_sequences // world)
    row = 4 * spec.shape.context_length * spec.shape.vocab_size
    most = attempt.micro_batch or max(1, _LOGIT_BYTES[attempt.device] // row)
    passes = min(share, -(-share // most) << attempt.halvings)
    return -(-share // passes)


def tensors(part: MicroBatch, device: torch.device) -> tuple[Tensor, Tensor]:
    """Inputs and labels [m, c] on the device; rows that do not count have no labels."""
    tokens = torch.from_numpy(part.tokens)
    labels = tokens[:, 1:].contiguous()
    if not part.counts.all():
        labels = labels.clone()  # of a single row even a slice is contiguous: it was the tokens'
        labels[torch.from_numpy(~part.counts)] = IGNORED
    return (
        tokens[:, :-1].contiguous().to(device, non_blocking=True),
        labels.to(device, non_blocking=True),
    )


class Loop:
    """Trains one State; the same calls on every rank."""

    def __init__(
        self,
        spec: TrialSpec,
        attempt: Attempt,
        state: State,
        stream: Stream,
        *,
        checkpoints: Checkpoints,
        telemetry: Telemetry,
        stop: Stop,
        watch: Watch,
        pulse: Pulse,
    ) -> None:
        self._spec = spec
        self._state = state
        self._stream = stream
        self._checkpoints = checkpoints
        self._telemetry = telemetry
        self._stop = stop
        self._watch = watch
        self._pulse = pulse
        self._ranks = state.ranks
        self._parameters = list(state.parameters.values())
        self._micro_batch = micro_batch(spec, attempt, state.ranks.size)
        # gradients are reduced once a step: on two CPU ranks and four micro-batches a step of 10M
        # parameters took 1.12 times as long when each was. A rank then holds a whole gradient,
        # which is given up where memory has run out
        self._sparing = attempt.halvings > 0
        self._batch_tokens = spec.batch_sequences * spec.shape.context_length
        self._every = attempt.checkpoint_minutes * 60
        self._saved_at = time.monotonic()
        self._waited = 0.0
        self._safe = 0

    def advance(self, branch: Branch | None, until: int) -> None:
        """Train to step `until` on a branch (None: the trunk).

        Raises:
            Preempted: told to stop; the state is saved.
            Superseded: a newer attempt holds the claim.
            Diverged: the loss or the gradient norm is no number.
        """
        state, name = self._state, branch.name if branch else TRUNK
        self._safe = state.step  # a stretch begins with weights that are drawn, loaded or saved
        self._telemetry.begin(name, step=state.step, until=until)
        batches = Batches(
            self._stream,
            batch=self._spec.batch_sequences,
            micro_batch=self._micro_batch,
            first=state.step,
            last=until,
            rank=self._ranks.rank,
            world=self._ranks.size,
            ledger=state.ledger,
        )
        with batches:
            while state.step < until:
                self._between(name, batches)
                batch = next(batches)
                rate = itinerary.rate(self._spec, branch, state.step)
                loss, norm = self._update(batch, rate)
                state.step += 1
                state.ledger = batch.ledger
                self._telemetry.add(
                    Numbers(
                        step=state.step,
                        loss=loss,
                        norm=norm,
                        rate=rate,
                        loader_wait=batches.waited,
                        checkpoint_wait=self._waited,
                    )
                )
                self._waited = 0.0
                if state.step == 1 and self._spec.init is None:
                    self._check_start(batch, loss)
        self._telemetry.drain()

    def save(self, branch: str) -> Saved:
        """Start to save the state as it is. A collective."""
        began = time.perf_counter()
        self._telemetry.drain()
        saved = self._checkpoints.save(self._state.capture(), branch, self._state.step)
        self._saved_at = time.monotonic()
        self._waited += time.perf_counter() - began
        return saved

    def _between(self, branch: str, batches: Batches) -> None:
        """Obey, notice and save; back when every rank has its next batch."""
        step = self._state.step
        drill.at("step", step)
        waiting = True
        while waiting:
            self._pulse.beat(f"step {step} of {branch}")
            ready = batches.ready(_LOOK_SECONDS)
            due = self._ranks.first and time.monotonic() - self._saved_at >= self._every
            stop, superseded, due, waiting = self._ranks.agree(
                self._stop.requested, self._watch.superseded, due, not ready
            )
            if superseded:
                raise endings.Superseded("a newer attempt holds the claim", step=step)
            if due or (stop and step > self._safe):
                self.save(branch)
                self._telemetry.flush()
                self._safe = step
            if stop:
                self._checkpoints.wait()
                raise endings.Preempted(f"stopped and saved at step {step} of {branch}", step=step)

    def _update(self, batch: Batch, rate: float) -> tuple[Tensor, Tensor]:
        """One step; the batch's loss in nats per token and the gradient norm before clipping."""
        state = self._state
        if drill.at("update", state.step):
            drill.poison(self._parameters)
        state.optimizer.zero_grad(set_to_none=True)
        total: Tensor | None = None
        for number, part in enumerate(batch.micro_batches, start=1):
            if isinstance(state.model, FSDPModule):
                last = number == len(batch.micro_batches)
                state.model.set_requires_gradient_sync(last or self._sparing)
            self._pulse.beat(f"the update of step {state.step + 1}")
            inputs, labels = tensors(part, self._ranks.device)
            loss = state.model(inputs, labels).sum() / self._batch_tokens
            loss.backward()
            total = loss.detach() if total is None else total + loss.detach()
        assert total is not None, "a batch has rows"
        norm = optimizer.clip(self._parameters, self._spec.optimizer.clip)
        optimizer.set_rate(state.optimizer, rate)
        state.optimizer.step()
        return self._ranks.sum_(total), norm

    def _check_start(self, batch: Batch, loss: Tensor) -> None:
        """The first loss must be that of the initialisation: a bug of ours if not."""
        repeated = float(
            sum(
                np.count_nonzero((part.tokens[:, :-1] == part.tokens[:, 1:])[part.counts])
                for part in batch.micro_batches
            )
        )
        repeats = self._ranks.total(repeated)[0] / self._batch_tokens
        low, high = weights.expected_loss(self._spec.shape, repeats)
        assert low <= loss.item() <= high, f"initial loss {loss.item()} is not in {low} … {high}"
