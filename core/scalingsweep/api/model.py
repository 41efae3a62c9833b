"""Which models are trained: a preset, a list of sizes, or shapes spelled out."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from scalingsweep.api import cluster
from scalingsweep.api.names import Label, WrittenCount
from scalingsweep.api.wire import Wire


class Preset(Wire):
    """A published ladder of shapes, or a stretch of it."""

    preset: Literal["zheng2024"]
    """`zheng2024`: the 42 shapes of arXiv 2407.02118, table 4, 49M to 5.5B."""
    from_: WrittenCount | None = Field(default=None, alias="from")
    """Smallest label, inclusive."""
    to: WrittenCount | None = None
    """Largest label, inclusive."""


class NamedShape(Wire):
    """One shape spelled out."""

    name: Label
    """What the size is called in tables."""
    hidden_size: int = Field(ge=2, le=65_536)
    """Width of the residual stream."""
    intermediate_size: int = Field(ge=1, le=1_048_576)
    """Width of the gated FFN."""
    layers: int = Field(ge=1, le=1_000)
    """Transformer blocks."""
    heads: int = Field(ge=1, le=1_024)
    """Attention heads."""
    kv_heads: int | None = Field(default=None, ge=1, le=1_024)
    """Key and value heads; as many as heads when left out."""


Sizes = (
    Preset | Annotated[tuple[WrittenCount | NamedShape, ...], Field(min_length=1, max_length=128)]
)
"""A preset, or a list whose items are counts (a generator meets N within 3 %) or shapes."""


class Model(Wire):
    """The models of the study."""

    guards: ClassVar = cluster.fixed("family", "contextLength", "tiedEmbeddings")

    family: Literal["llama"] = "llama"
    """The architecture. `llama` is transformers' LlamaForCausalLM."""
    context_length: int = Field(ge=8, le=1_048_576)
    """Tokens of one training sequence."""
    sizes: Sizes
    """A preset (`{preset: zheng2024, from: 50M, to: 1B}`), sizes (`[60M, 125M]`), or shapes."""
    tied_embeddings: bool = True
    """Whether the LM head is the embedding matrix."""

    @model_validator(mode="after")
    def _some_sizes(self) -> Self:
        if isinstance(self.sizes, tuple):
            labels = [_label(size) for size in self.sizes]
            doubled = sorted({label for label in labels if labels.count(label) > 1})
            if doubled:
                raise ValueError(f"sizes has {doubled[0]} twice: name each size once")
        return self


def _label(size: "float | str | NamedShape") -> str:
    return size.name if isinstance(size, NamedShape) else str(size)
