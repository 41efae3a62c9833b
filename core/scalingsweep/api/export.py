"""What `scalingsweep export` asks of the worker."""

from pydantic import Field

from scalingsweep.api.trial import TrialId
from scalingsweep.api.wire import Wire


class Export(Wire):
    """Write one decayed model for use elsewhere."""

    trial: TrialId
    """Whose model."""
    tokens: int = Field(ge=1)
    """D, the budget at whose end it stood."""
    target: str = Field(min_length=1, max_length=4096)
    """Folder for model.safetensors, config.json and the tokenizer's files."""
