"""The shape of a model: everything that fixes its weights' sizes and what it computes."""

from typing import Literal, Self

from pydantic import Field, model_validator

from scalingsweep.api.wire import Wire


class Shape(Wire):
    """One decoder-only transformer of the llama family (RMSNorm, RoPE, gated SiLU FFN)."""

    family: Literal["llama"] = "llama"
    """The architecture. `llama` is transformers' LlamaForCausalLM."""
    vocab_size: int = Field(ge=2, le=1_000_000)
    """Rows of the vocabulary matrix: the tokenizer's, never padded."""
    hidden_size: int = Field(ge=2, le=65_536)
    """Width h of the residual stream."""
    intermediate_size: int = Field(ge=1, le=1_048_576)
    """Width of the gated FFN (each of gate, up and down has h × this many weights)."""
    layers: int = Field(ge=1, le=1_000)
    """Number of transformer blocks."""
    heads: int = Field(ge=1, le=1_024)
    """Attention heads; they divide the width."""
    kv_heads: int = Field(ge=1, le=1_024)
    """Key and value heads (grouped-query attention when fewer than `heads`, which they divide)."""
    context_length: int = Field(ge=8, le=1_048_576)
    """Tokens of one training sequence."""
    tied_embeddings: bool = True
    """Whether the LM head is the embedding matrix."""
    rope_theta: float = Field(default=10_000.0, gt=0)
    """Base of the rotary position embedding."""
    norm_eps: float = Field(default=1e-5, gt=0)
    """Epsilon of RMSNorm."""

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        if self.hidden_size % (2 * self.heads):
            raise ValueError(
                f"hiddenSize {self.hidden_size} is not heads {self.heads} × an even head size "
                "(rotary embeddings turn pairs): change one of them"
            )
        if self.heads % self.kv_heads:
            raise ValueError(f"kvHeads {self.kv_heads} must divide heads {self.heads}")
        return self
