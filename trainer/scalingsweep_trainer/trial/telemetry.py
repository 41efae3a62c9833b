"""From the numbers of a step on the device to step records, the live view, and the one alarm.

On a GPU a number is only known when the device has caught up, so losses are looked at some steps
at a time; before anything is saved they all are (`drain`), and a run that diverged never saves.
"""

import math
import time
from dataclasses import dataclass

import torch
from torch import Tensor

from scalingsweep import cost, devices
from scalingsweep.api.attempt import Attempt
from scalingsweep.api.trial import TrialSpec
from scalingsweep_trainer import endings
from scalingsweep_trainer.trial.metrics import Metrics
from scalingsweep_trainer.trial.progress import Progress

_AT_ONCE = 16  # steps that a GPU may run ahead of our look at them


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """One step's."""

    step: int
    loss: Tensor
    """Nats per token over the whole batch, a scalar on the device."""
    norm: Tensor
    """Global gradient norm before clipping, a scalar on the device."""
    rate: float
    loader_wait: float
    checkpoint_wait: float


class Telemetry:
    """Takes every step's numbers; `metrics` is None on all ranks but the first."""

    def __init__(
        self,
        spec: TrialSpec,
        attempt: Attempt,
        *,
        world: int,
        progress: Progress,
        metrics: Metrics | None,
    ) -> None:
        self.progress = progress
        self._metrics = metrics
        self._tokens = spec.step_tokens
        self._at_once = 1 if attempt.device == "cpu" else _AT_ONCE
        self._flops = cost.flops_per_token(spec.shape)
        device = devices.find(attempt.accelerator) if attempt.accelerator else None
        peak = device.peak(spec.precision) if device else None
        self._peak = peak * world if peak else None
        self._branch = ""
        self._pending: list[Numbers] = []
        self._since = time.perf_counter()
        self._speed: float | None = None

    def begin(self, branch: str, *, step: int, until: int) -> None:
        """A stretch of steps on one branch begins now."""
        self.drain()
        self._branch = branch
        view = self.progress
        view.phase, view.branch, view.step, view.steps = "training", branch, step, until
        self._since = time.perf_counter()

    def add(self, numbers: Numbers) -> None:
        """Take a step's numbers.

        Raises:
            Diverged: a loss or a norm so far is no number.
        """
        self._pending.append(numbers)
        if len(self._pending) >= self._at_once:
            self.drain()

    def drain(self) -> None:
        """Look at all numbers taken so far; raises as `add`."""
        pending, self._pending = self._pending, []
        if not pending:
            return
        values = torch.stack([part for one in pending for part in (one.loss, one.norm)]).tolist()
        now = time.perf_counter()
        seconds, self._since = (now - self._since) / len(pending), now
        for one, loss, norm in zip(pending, values[::2], values[1::2], strict=True):
            if not (math.isfinite(loss) and math.isfinite(norm)):
                what = "loss" if not math.isfinite(loss) else "gradient norm"
                raise endings.Diverged(
                    f"the {what} of step {one.step} is no number; lower the learning rate",
                    step=one.step,
                )
            self._tell(one, loss, norm, self._tokens / seconds)

    def evaluated(self, branch: str, step: int, losses: dict[str, float]) -> None:
        """Take losses by validation digest."""
        self.drain()
        if self._metrics is not None:
            record = {"step": step, "tokens": step * self._tokens, "evaluation": losses}
            self._metrics.add(branch, record)

    def flush(self) -> None:
        """Send the records so far."""
        if self._metrics is not None:
            self._metrics.flush()

    def _tell(self, one: Numbers, loss: float, norm: float, speed: float) -> None:
        mfu = speed * self._flops / self._peak if self._peak else None
        view = self.progress
        self._speed = speed if self._speed is None else 0.95 * self._speed + 0.05 * speed
        view.step, view.loss, view.mfu = one.step, loss, mfu
        view.tokens += self._tokens
        view.tokensPerSecond = self._speed
        view.eta = max(0, view.tokensTotal - view.tokens) / self._speed
        if self._metrics is not None:
            record = {
                "step": one.step,
                "tokens": one.step * self._tokens,
                "loss": loss,
                "lr": one.rate,
                "gradNorm": norm,
                "tokensPerSecond": speed,
                "mfu": mfu,
                "loaderWait": one.loader_wait,
                "checkpointWait": one.checkpoint_wait,
            }
            self._metrics.add(self._branch, record)
