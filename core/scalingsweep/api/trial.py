"""The contract handed to the worker for one trial: what determines its numbers, resolved.

The id covers every field but those that say so; names, addresses and resources are not in it.
`resolve` makes these values, the trainer reads them, ScalingTrial carries them.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from scalingsweep.api.names import Digest, Label, Name, Uri
from scalingsweep.api.shape import Shape
from scalingsweep.api.wire import Wire

NUMERICS_VERSION = 1
"""Raised when the trainer's numbers change for the same spec; golden losses in the tests tell."""

TrialId = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
Tokens = Annotated[int, Field(ge=1, le=10**15)]


class WsdSchedule(Wire):
    """Warm-up, stable, decay: the trunk is trained once, a decay branches off for each budget."""

    type: Literal["wsd"]
    """`wsd`: one trunk for all budgets."""
    peak: float = Field(gt=0, lt=10)
    """Learning rate of the stable part."""
    warmup_steps: int = Field(ge=0)
    """Updates until the peak is reached."""
    decay: float = Field(gt=0, le=1)
    """Fraction of a budget's steps that the decay takes."""
    shape: Literal["linear", "cosine", "sqrt"] = "linear"
    """How the rate falls: linear, half a cosine, or 1 − √t."""
    floor: float = Field(default=0, ge=0, lt=1)
    """Rate at the end of the decay, as a fraction of the peak."""


class CosineSchedule(Wire):
    """Warm-up and half a cosine down to the floor, of one length: every budget is its own run."""

    type: Literal["cosine"]
    """`cosine`: a run of its own for each budget."""
    peak: float = Field(gt=0, lt=10)
    """Highest learning rate."""
    warmup_steps: int = Field(ge=0)
    """Updates until the peak is reached."""
    floor: float = Field(default=0, ge=0, lt=1)
    """Rate at the end, as a fraction of the peak."""


Schedule = Annotated[WsdSchedule | CosineSchedule, Field(discriminator="type")]


class Optimizer(Wire):
    """AdamW with clipping by global norm. Norm weights and embeddings decay like the rest."""

    betas: tuple[float, float] = (0.9, 0.95)
    """Decay rates of the first and second moment."""
    eps: float = Field(default=1e-8, gt=0)
    """Added to the root of the second moment."""
    weight_decay: float = Field(default=0.1, ge=0)
    """Decoupled weight decay, multiplied by the learning rate."""
    clip: float = Field(default=1.0, ge=0)
    """Largest global gradient norm; 0 leaves gradients as they are."""


class Replay(Wire):
    """Source text mixed into continual pre-training against forgetting."""

    corpus: Digest
    """Digest of the replayed corpus."""
    held_out: Digest
    """Digest of its validation split."""
    numerator: int = Field(ge=1, le=999)
    """p of the ratio p/q: replayed sequences in every block of q."""
    denominator: int = Field(ge=2, le=1000)
    """q of the ratio p/q."""
    source_sequences: int | None = Field(default=None, ge=1)
    """How many sequences the source run had consumed: replay draws from just these. Left out when
    the start is no run of ours, or of another corpus: replay then draws from the whole corpus."""
    source_seed: int | None = Field(default=None, ge=0, lt=2**31)
    """Seed of the source run, which fixes which sequences those are."""


class InitFromTrial(Wire):
    """Start from a checkpoint of another trial of the same storage."""

    trial: TrialId
    """Its id."""
    tokens: Tokens
    """Its D: the decayed checkpoint of this budget, or the trunk at its branch point."""
    checkpoint: Literal["decayed", "stable"] = "decayed"
    """`decayed` is the end of the branch; `stable` the trunk where that branch leaves it."""


class InitFromUri(Wire):
    """Start from a Hugging Face checkpoint (config.json and safetensors) in S3 or a folder."""

    uri: Uri
    """Where it lies."""
    digest: Digest
    """Digest of its weight files and config; the address is not part of the id, this is."""


class TrialSpec(Wire):
    """One trial, resolved: the worker needs nothing else to produce its numbers."""

    id: TrialId
    """Hash of everything below that determines the numbers (see `identity`)."""
    arm: Name
    """For people only; not in the id."""
    size: Label
    """For people only; not in the id."""
    seed: int = Field(default=0, ge=0, lt=2**31)
    """Seeds initial weights and the order of the data."""
    shape: Shape
    """The model."""
    tokenizer: Digest
    """Digest of the tokenizer."""
    corpus: Digest
    """Digest of the training split of the arm's own corpus."""
    held_out: Digest
    """Digest of the validation split of the arm's own corpus."""
    replay: Replay | None = None
    """Source text mixed in."""
    init: InitFromTrial | InitFromUri | None = None
    """Where the weights come from; nothing: random, keyed by parameter name and seed."""
    batch_sequences: int = Field(ge=1)
    """Sequences of contextLength tokens in one optimizer step, over all ranks."""
    schedule: Schedule
    """The learning rate."""
    optimizer: Optimizer = Optimizer()
    """AdamW's settings."""
    precision: Literal["fp32", "bf16"] = "bf16"
    """Of the matrix products; master weights, optimizer and loss are fp32."""
    numerics_version: int = Field(ge=1)
    """Version of the trainer's numbers; a worker of another version refuses the trial."""
    budgets: tuple[Tokens, ...] = Field(min_length=1, max_length=64)
    """Tokens D at which a branch ends, ascending. Under WSD not in the id, for a new one only adds
    a branch; under cosine exactly one, and in the id."""
    validation: tuple[Digest, ...] = Field(min_length=1, max_length=16)
    """Digests of the validation splits on which every finished model is evaluated. Not in the id:
    a corpus added later is evaluated from the kept checkpoints."""
    max_epochs: float = Field(default=1, ge=1)
    """How often the arm's own corpus may be passed over; not in the id."""

    @model_validator(mode="after")
    def _whole_steps(self) -> Self:
        if list(self.budgets) != sorted(set(self.budgets)):
            raise ValueError("budgets must ascend without repetition")
        if any(budget % self.step_tokens for budget in self.budgets):
            raise ValueError(f"budgets must be multiples of a step's {self.step_tokens} tokens")
        if self.schedule.type == "cosine" and len(self.budgets) != 1:
            raise ValueError("a cosine trial has exactly one budget")
        return self

    @property
    def step_tokens(self) -> int:
        """Tokens of one optimizer step."""
        return self.batch_sequences * self.shape.context_length
