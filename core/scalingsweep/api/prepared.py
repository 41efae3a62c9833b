"""What prepare found out: digests, token counts, and which observations exist already."""

from pydantic import Field

from scalingsweep.api.names import Digest, Name, Uri
from scalingsweep.api.wire import Wire

MOST_OBSERVATIONS = 12_000
"""Of one sweep: a bit for each must fit into prepare's answer beside all else that it says."""
_BITMAP = 4 * -(-MOST_OBSERVATIONS // 24)
"""Characters of base64: four hold 24 bits."""


class PreparedCorpus(Wire):
    """One corpus as token shards."""

    name: Name
    """Its name in the manifest."""
    digest: Digest
    """Digest of the training split's tokens."""
    validation: Digest
    """Digest of the held-out split's tokens."""
    tokens: int = Field(ge=1, le=10**18)
    """Tokens of the training split."""
    bytes: int = Field(ge=1, le=10**18)
    """UTF-8 bytes of the training split's documents."""
    documents: int = Field(ge=1, le=10**18)
    """Documents of the training split."""
    validation_tokens: int = Field(ge=1, le=10**18)
    """Tokens of the held-out split."""
    validation_bytes: int = Field(ge=1, le=10**18)
    """UTF-8 bytes of the held-out split's documents."""
    duplicates: int = Field(default=0, ge=0, le=10**18)
    """Documents left out because the same text was there already."""


class PreparedCheckpoint(Wire):
    """A given source checkpoint."""

    uri: Uri
    """Its address in the manifest."""
    digest: Digest
    """Digest of its config and weights."""


class Prepared(Wire):
    """The world as prepare left it; ids of trials are computed from it."""

    corpora: tuple[PreparedCorpus, ...] = Field(max_length=16)
    """One per corpus of the manifest, in its order."""
    tokenizer: Digest
    """Digest of tokenizer.json."""
    vocab_size: int = Field(ge=2, le=10**9)
    """Its vocabulary."""
    checkpoints: tuple[PreparedCheckpoint, ...] = Field(default=(), max_length=64)
    """One per given source checkpoint."""
    observed: str = Field(default="", pattern=r"^[A-Za-z0-9+/=]*$", max_length=_BITMAP)
    """Base64 bitmap in plan order: which observations exist with all their losses."""
