"""How every trial is trained: batch, learning rate, schedule, optimizer, precision, seeds."""

from typing import Literal, Self

from pydantic import Field, model_validator

from scalingsweep.api import names
from scalingsweep.api.names import Count
from scalingsweep.api.wire import Wire


class CountRule(Wire):
    """A value for all sizes up to one."""

    up_to: Count
    """Counted N, inclusive."""
    value: Count
    """Tokens."""


class RateRule(Wire):
    """A value for all sizes up to one."""

    up_to: Count
    """Counted N, inclusive."""
    value: float = Field(gt=0, lt=10)
    """Learning rate."""


class BatchTokens(Wire):
    """Tokens of one optimizer step: a rule, one value, or values by size."""

    rule: Literal["auto"] | None = None
    """`auto`: 2048 · 160 · (N / 108e6)^⅔ tokens (OLMo-core's ladder); refused below 20M."""
    value: Count | None = None
    """The same for every size."""
    by_size: tuple[CountRule, ...] | None = Field(default=None, min_length=1, max_length=64)
    """The first rule whose upTo is not below N."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        names.exactly_one(self, "rule", "value", "by_size")
        return self


class LearningRate(Wire):
    """Peak learning rate: a rule, one value, or values by size."""

    rule: Literal["auto"] | None = None
    """`auto`: 0.0047 · (N / 108e6)^-⅓ / 2 (OLMo-core's ladder); refused below 20M."""
    value: float | None = Field(default=None, gt=0, lt=10)
    """The same for every size."""
    by_size: tuple[RateRule, ...] | None = Field(default=None, min_length=1, max_length=64)
    """The first rule whose upTo is not below N."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        names.exactly_one(self, "rule", "value", "by_size")
        return self


class Warmup(Wire):
    """Length of the warm-up. It depends on N alone: a share of the budget would bend the law."""

    tokens: Count | None = None
    """The same for every size."""
    tokens_per_parameter: float | None = Field(default=None, gt=0)
    """Tokens for each counted parameter."""

    @model_validator(mode="after")
    def _one_measure(self) -> Self:
        names.exactly_one(self, "tokens", "tokens_per_parameter")
        return self


class Schedule(Wire):
    """The learning rate over a run."""

    type: Literal["wsd", "cosine"] = "wsd"
    """`wsd`: one stable trunk, a decay branched off for each budget. `cosine`: a run per budget."""
    warmup: Warmup = Warmup(tokens_per_parameter=1)
    """It must end before the first branch."""
    decay: float = Field(default=0.2, gt=0, lt=1)
    """WSD: share of a budget that the decay takes."""
    shape: Literal["linear", "cosine", "sqrt"] = "linear"
    """WSD: how the rate falls."""
    floor: float = Field(default=0, ge=0, lt=1)
    """Rate at the end, as a fraction of the peak."""


class Optimizer(Wire):
    """AdamW with clipping by global norm."""

    betas: tuple[float, float] | None = None
    """Decay rates of the moments; left out: 0.9, and 0.95 or, under `batchTokens: {rule: auto}`
    and below 524,288 tokens a batch, 0.99."""
    eps: float = Field(default=1e-8, gt=0)
    """Added to the root of the second moment."""
    weight_decay: float = Field(default=0.1, ge=0)
    """Decoupled weight decay, multiplied by the learning rate."""
    clip: float = Field(default=1.0, ge=0)
    """Largest global gradient norm; 0 leaves gradients as they are."""


class Training(Wire):
    """How every trial is trained."""

    batch_tokens: BatchTokens = BatchTokens(rule="auto")
    """Tokens of one optimizer step, rounded to whole sequences; it never depends on budgets."""
    learning_rate: LearningRate = LearningRate(rule="auto")
    """Peak learning rate; it never depends on budgets."""
    schedule: Schedule = Schedule()
    """The learning rate over a run."""
    optimizer: Optimizer = Optimizer()
    """AdamW's settings."""
    precision: Literal["bf16", "fp32"] = "bf16"
    """Of the matrix products; part of the numbers. fp32 on a CPU study."""
    seeds: tuple[int, ...] = Field(default=(0,), min_length=1, max_length=64)
    """Every trial is run once for each seed: initial weights and data order."""

    @model_validator(mode="after")
    def _distinct_seeds(self) -> Self:
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError("seeds has one twice: name each seed once")
        if min(self.seeds) < 0 or max(self.seeds) >= 2**31:
            raise ValueError("seeds must lie between 0 and 2147483647")
        return self
