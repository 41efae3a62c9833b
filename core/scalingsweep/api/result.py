"""One measured loss: what the trainer writes once for each (trial, D, validation split)."""

from pydantic import Field

from scalingsweep.api.names import Digest
from scalingsweep.api.trial import TrialId
from scalingsweep.api.wire import Wire


class Result(Wire):
    """The loss of a finished model on a held-out split."""

    trial: TrialId
    """Whose model."""
    tokens: int = Field(ge=1)
    """D, the budget that it was trained for."""
    validation: Digest
    """Digest of the split."""
    loss: float = Field(ge=0)
    """Nats per token, the mean over every evaluated token."""
    bits_per_byte: float = Field(ge=0)
    """The same in bits per UTF-8 byte, which compares across tokenizers and languages."""
    evaluated_tokens: int = Field(ge=1)
    """Tokens that a loss was taken of."""
    evaluated_bytes: int = Field(ge=1)
    """Bytes of the split's documents."""


def key(trial: str, tokens: int, validation: str) -> str:
    """Where the result lies, under the manifest's prefix."""
    return f"trials/{trial}/results/{tokens}/{validation}.json"
