"""The loss on a held-out split: every token but the first predicted once, nats in float64.

It leaves weights, optimizer and random state as they are. Windows are split over the ranks in
contiguous runs; ranks with fewer get rows that count nothing, for under FSDP all must run alike.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch

from scalingsweep.errors import DataError
from scalingsweep_trainer import drill, endings
from scalingsweep_trainer.data.shards import Shards
from scalingsweep_trainer.data.windows import windows
from scalingsweep_trainer.trial.model import IGNORED, LanguageModel
from scalingsweep_trainer.trial.pulse import Pulse
from scalingsweep_trainer.trial.ranks import Ranks
from scalingsweep_trainer.trial.stop import Stop


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """A model's loss on one split."""

    loss: float
    """Nats per predicted token."""
    tokens: int
    """Predicted tokens."""
    bytes: int
    """UTF-8 bytes of the split's documents."""

    @property
    def bits_per_byte(self) -> float:
        """Comparable over tokenizers and languages."""
        return self.loss * self.tokens / math.log(2) / self.bytes


def evaluate(
    model: LanguageModel,
    shards: Shards,
    *,
    context: int,
    rows: int,
    ranks: Ranks,
    stop: Stop,
    pulse: Pulse,
    step: int,
) -> Evaluation:
    """Evaluate on all of a split. A collective.

    Args:
        model: on this rank.
        shards: the split.
        context: tokens that a window predicts.
        rows: windows in one forward pass.
        ranks: who takes part.
        stop: looked at between forward passes.
        pulse: beats at each of them.
        step: updates that the model has had, for those who ask how far the attempt came.

    Raises:
        Preempted: told to stop.
        DataError: the split has no token to predict.
    """
    spans = windows(shards.tokens, context)
    if spans.shape[0] == 0:
        raise DataError(f"validation/{shards.digest}", "holds no token to predict; give more text")
    share = -(-spans.shape[0] // ranks.size)
    nats, tokens = 0.0, 0
    with torch.no_grad():
        for first in range(ranks.rank * share, (ranks.rank + 1) * share, rows):
            drill.at("evaluation")
            pulse.beat("an evaluation")
            if ranks.agree(stop.requested)[0]:
                message = "stopped in an evaluation; what was trained is saved"
                raise endings.Preempted(message, step=step or None)
            mine = spans[first : min(first + rows, (ranks.rank + 1) * share)]
            inputs, labels = _rows(shards, mine, context)
            found = model(inputs.to(ranks.device), labels.to(ranks.device))
            nats += found.double().sum().item()
            tokens += int((labels != IGNORED).sum())
    nats, counted = ranks.total(nats, tokens)
    return Evaluation(loss=nats / counted, tokens=int(counted), bytes=shards.bytes)


def _rows(shards: Shards, spans: np.ndarray, context: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs and labels [m, c] of consecutive windows, padded where the last one is ragged."""
    count = max(1, spans.shape[0])
    inputs = np.zeros(count * context, dtype=np.int64)
    labels = np.full(count * context, IGNORED, dtype=np.int64)
    if spans.shape[0]:
        # windows overlap by one token, so a run of them is one stretch of the split
        stretch = shards.read(int(spans[0, 0]), int(spans[-1, 1]))
        inputs[: stretch.size - 1] = stretch[:-1]
        labels[: stretch.size - 1] = stretch[1:]
    shape = (count, context)
    return torch.from_numpy(inputs.reshape(shape)), torch.from_numpy(labels.reshape(shape))
