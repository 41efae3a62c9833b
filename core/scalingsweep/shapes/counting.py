"""Exact parameter counts of a shape.

A label is never trusted: the paper's own "parameter size" is 26 % off a literal reading of its
table. Everything that speaks of N, from the plan to observations.csv, asks this module.
"""

import dataclasses

from scalingsweep.api.shape import Shape


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Parameters of one shape, each a whole number of scalars."""

    N: int
    """Every parameter with the vocabulary matrix once: the N of the laws and of C = 6 N D. Of
    untied embeddings the input look-up is left out, for it multiplies nothing."""
    total: int
    """Parameters that are really stored."""
    embedding: int
    """Stored parameters of the vocabulary matrices: one if tied, two if not."""
    non_embedding: int
    """The rest: attention, FFN and norms."""


def counts(shape: Shape) -> Counts:
    """Count a shape exactly as transformers' LlamaForCausalLM holds it."""
    vocabulary = shape.vocab_size * shape.hidden_size
    embedding = vocabulary if shape.tied_embeddings else 2 * vocabulary
    non_embedding = shape.layers * layer(shape) + shape.hidden_size  # + the last norm
    return Counts(
        N=vocabulary + non_embedding,
        total=embedding + non_embedding,
        embedding=embedding,
        non_embedding=non_embedding,
    )


def layer(shape: Shape) -> int:
    """Parameters of one block: q and o, k and v, gate, up and down, two norms; no biases."""
    h = shape.hidden_size
    kv_width = h // shape.heads * shape.kv_heads
    return 2 * h * h + 2 * h * kv_width + 3 * h * shape.intermediate_size + 2 * h
