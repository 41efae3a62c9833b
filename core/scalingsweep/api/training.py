"""How every trial is trained: batch, learning rate, schedule, optimizer, precision, seeds."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from scalingsweep.api import cluster
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


TABLE_STAYS = cluster.Rule(
    cel="has(self.bySize) == has(oldSelf.bySize)",
    message="cannot come or go; its rules may, as long as no size that stays gets another value",
    at=".bySize",
)
"""A table by size grows with the sizes; `edits` compares what it gives to each of them."""


class BatchTokens(Wire):
    """Tokens of one optimizer step: a rule, one value, or values by size."""

    one_of: ClassVar = ("rule", "value", "bySize")
    guards: ClassVar = (*cluster.fixed("rule", "value"), TABLE_STAYS)

    rule: Literal["auto"] | None = None
    """`auto`: 2048 · 160 · (N / 108e6)^⅔ tokens (OLMo-core's ladder); refused below 20M."""
    value: Count | None = None
    """The same for every size."""
    by_size: tuple[CountRule, ...] | None = Field(default=None, min_length=1, max_length=64)
    """The first rule whose upTo is not below N."""


class LearningRate(Wire):
    """Peak learning rate: a rule, one value, or values by size."""

    one_of: ClassVar = ("rule", "value", "bySize")
    guards: ClassVar = (*cluster.fixed("rule", "value"), TABLE_STAYS)

    rule: Literal["auto"] | None = None
    """`auto`: 0.0047 · (N / 108e6)^-⅓ / 2 (OLMo-core's ladder); refused below 20M."""
    value: float | None = Field(default=None, gt=0, lt=10)
    """The same for every size."""
    by_size: tuple[RateRule, ...] | None = Field(default=None, min_length=1, max_length=64)
    """The first rule whose upTo is not below N."""


class Warmup(Wire):
    """Length of the warm-up. It depends on N alone: a share of the budget would bend the law."""

    one_of: ClassVar = ("tokens", "tokensPerParameter")

    tokens: Count | None = None
    """The same for every size."""
    tokens_per_parameter: float | None = Field(default=None, gt=0)
    """Tokens for each counted parameter."""


class Schedule(Wire):
    """The learning rate over a run."""

    guards: ClassVar = tuple(  # twins in `check`
        cluster.Rule(
            cel=f"self.type == 'wsd' || !has(self.{field})",
            message="belongs to wsd: leave it out",
            at=f".{field}",
        )
        for field in ("decay", "shape")
    )

    type: Literal["wsd", "cosine"] = "wsd"
    """`wsd`: one stable trunk, a decay branched off for each budget. `cosine`: a run per budget."""
    warmup: Warmup = Warmup(tokens_per_parameter=1)
    """It must end before the first branch."""
    decay: float = Field(default=0.2, gt=0, lt=1, json_schema_extra=cluster.NO_DEFAULT)
    """WSD: share of a budget that the decay takes; 0.2 when left out."""
    shape: Literal["linear", "cosine", "sqrt"] = Field(
        default="linear", json_schema_extra=cluster.NO_DEFAULT
    )
    """WSD: how the rate falls; `linear` when left out."""
    floor: float = Field(default=0, ge=0, lt=1)
    """Rate at the end, as a fraction of the peak."""


Beta = Annotated[float, Field(ge=0, lt=1)]


class Optimizer(Wire):
    """AdamW with clipping by global norm."""

    betas: tuple[Beta, Beta] | None = None
    """Decay rates of the moments; left out: 0.9, and 0.95 or, under `batchTokens: {rule: auto}`
    and below 524,288 tokens a batch, 0.99."""
    eps: float = Field(default=1e-8, gt=0)
    """Added to the root of the second moment."""
    weight_decay: float = Field(default=0.1, ge=0)
    """Decoupled weight decay, multiplied by the learning rate."""
    clip: float = Field(default=1.0, ge=0)
    """Largest global gradient norm; 0 leaves gradients as they are."""


Seed = Annotated[int, Field(ge=0, lt=2**31)]


class Training(Wire):
    """How every trial is trained."""

    guards: ClassVar = cluster.fixed("schedule", "optimizer", "precision")

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
    seeds: tuple[Seed, ...] = Field(
        default=(0,), min_length=1, max_length=64, json_schema_extra=cluster.EACH_ONCE
    )
    """Every trial is run once for each seed: initial weights and data order."""

    @model_validator(mode="after")
    def _distinct_seeds(self) -> Self:
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError("seeds has one twice: name each seed once")
        return self
