"""Arms: the ways of training that a study compares; and the budgets that they train for."""

from fractions import Fraction
from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator

from scalingsweep.api import cluster
from scalingsweep.api.names import Count, Flops, Name, Uri, WrittenBudget
from scalingsweep.api.wire import Wire


class Budgets(Wire):
    """How long to train, in one of three measures; all values are kept to whole steps."""

    one_of: ClassVar = ("tokens", "tokensPerParameter", "flops")

    tokens: tuple[Count, ...] | None = Field(default=None, min_length=1, max_length=32)
    """Tokens D."""
    tokens_per_parameter: tuple[Annotated[float, Field(gt=0)], ...] | None = Field(
        default=None, min_length=1, max_length=32
    )
    """D/N, with the counted N of each size."""
    flops: tuple[Flops, ...] | None = Field(default=None, min_length=1, max_length=32)
    """C = 6 N D: the same compute at every size."""

    @property
    def values(self) -> tuple[float, ...]:
        """The values in whatever measure."""
        return self.tokens or self.tokens_per_parameter or self.flops or ()


class Init(Wire):
    """Where continual pre-training starts: another arm's checkpoint, or a given one."""

    one_of: ClassVar = ("arm", "uri")
    guards: ClassVar = (
        cluster.Rule(
            cel="has(self.arm) || !has(self.budget)",
            message="belongs to init.arm: leave it out with uri",
            at=".budget",
        ),
        cluster.S3_URI,
        *cluster.fixed("arm", "uri", "checkpoint"),
    )

    arm: Name | None = None
    """The source arm; its trial of the same size and seed."""
    budget: WrittenBudget | None = None
    """Which of the source's budgets, as written there; needed when it has several."""
    checkpoint: Literal["decayed", "stable"] = "decayed"
    """`decayed`: the end of that budget. `stable`: the trunk where that branch leaves it."""
    uri: Uri | None = None
    """A folder with a Hugging Face checkpoint; `{size}` stands for the size's label."""


class Replay(Wire):
    """Source text mixed in against forgetting."""

    corpus: Name
    """The replayed corpus; when it is the source arm's own, only what that run has seen."""
    ratio: float = Field(gt=0, lt=1, json_schema_extra=cluster.rules(cluster.THREE_DECIMALS))
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

    guards: ClassVar = (  # twins in `check`
        cluster.Rule(
            cel="!has(self.replay) || has(self.init)",
            message="needs init: an arm from scratch has no source to replay",
            at=".replay",
        ),
        cluster.Rule(
            cel="!has(self.replay) || self.replay.corpus != self.corpus",
            message="is the arm's own corpus: name the source's",
            at=".replay.corpus",
        ),
        *cluster.fixed("corpus", "replay"),
        cluster.Rule(
            cel="has(self.init) == has(oldSelf.init)",
            message="cannot come or go: give the arm another name",
            at=".init",
        ),
    )

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
