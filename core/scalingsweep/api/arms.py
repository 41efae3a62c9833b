"""Arms: the ways of training that a study compares; and the budgets that they train for."""

from fractions import Fraction
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from scalingsweep.api import names
from scalingsweep.api.names import Count, Name
from scalingsweep.api.wire import Wire


class Budgets(Wire):
    """How long to train, in one of three measures; all values are kept to whole steps."""

    tokens: tuple[Count, ...] | None = Field(default=None, min_length=1, max_length=32)
    """Tokens D."""
    tokens_per_parameter: tuple[float, ...] | None = Field(
        default=None, min_length=1, max_length=32
    )
    """D/N, with the counted N of each size."""
    flops: tuple[Count, ...] | None = Field(default=None, min_length=1, max_length=32)
    """C = 6 N D: the same compute at every size."""

    @model_validator(mode="after")
    def _one_measure(self) -> Self:
        names.exactly_one(self, "tokens", "tokens_per_parameter", "flops")
        if self.tokens_per_parameter and min(self.tokens_per_parameter) <= 0:
            raise ValueError("tokensPerParameter must be above 0")
        return self

    @property
    def values(self) -> tuple[float, ...]:
        """The values in whatever measure."""
        return self.tokens or self.tokens_per_parameter or self.flops or ()


class Init(Wire):
    """Where continual pre-training starts: another arm's checkpoint, or a given one."""

    arm: Name | None = None
    """The source arm; its trial of the same size and seed."""
    budget: int | float | str | None = None
    """Which of the source's budgets, as written there; needed when it has several."""
    checkpoint: Literal["decayed", "stable"] = "decayed"
    """`decayed`: the end of that budget. `stable`: the trunk where that branch leaves it."""
    uri: str | None = Field(default=None, min_length=1, max_length=1024)
    """A folder with a Hugging Face checkpoint; `{size}` stands for the size's label."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        names.exactly_one(self, "arm", "uri")
        return self


class Replay(Wire):
    """Source text mixed in against forgetting."""

    corpus: Name
    """The replayed corpus; when it is the source arm's own, only what that run has seen."""
    ratio: float = Field(gt=0, lt=1)
    """Share of replayed sequences, exact in every block; at most three decimals."""

    @field_validator("ratio")
    @classmethod
    def _short(cls, ratio: float) -> float:
        if Fraction(str(ratio)).denominator > 1000:
            raise ValueError(f"{ratio} has more than three decimals")
        return ratio

    @property
    def fraction(self) -> Fraction:
        """The ratio p/q in lowest terms."""
        return Fraction(str(self.ratio))


class Arm(Wire):
    """One way of training: from scratch, or continual pre-training from a checkpoint."""

    name: Name
    """What it is called in tables."""
    corpus: Name
    """The corpus that it trains on, and on whose held-out text its law is fitted."""
    init: Init | None = None
    """Left out: random initial weights."""
    replay: Replay | None = None
    """Left out: nothing is mixed in."""
    budgets: Budgets | None = None
    """The arm's own budgets, instead of the sweep's."""
