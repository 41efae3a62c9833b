"""What a trial costs: FLOPs, GPU-hours, memory, storage.

`plan` prints all four before anything runs; the trainer takes its MFU from `flops_per_token`, the
observations their `flops` column from `trial_flops`. Estimates say so; counts are exact.
"""

import dataclasses

from scalingsweep import devices
from scalingsweep.api.shape import Shape
from scalingsweep.shapes import counting

FLOPS_FORMULA = "6 N + 6 L d s a token (N with the LM head, no look-up; causal half of attention)"
"""To be printed beside an MFU, with the peak and the device."""

ASSUMED_MFU = 0.40
"""The share of a device's peak that a plan assumes, and prints: between what is published for dense
models on H100s, nanotron 38 % and torchtitan 39 % up to fms-fsdp and nanochat 46 %. Small models
reach less: their first trials tell."""


def flops_per_token(shape: Shape) -> float:
    """FLOPs of training on one token, forward and backward, without recomputation.

    6 N for the matrices (2 a parameter forward, 4 backward; our N leaves the look-up out and has
    the LM head), and 6 L d s for the two products of attention, of which causality needs half.
    """
    attention = 6 * shape.layers * shape.hidden_size * shape.context_length
    return float(6 * counting.counts(shape).N + attention)


def trial_flops(shape: Shape, tokens: int) -> float:
    """FLOPs of training on `tokens`: D for one observation; trunk and decays for a whole trial."""
    return flops_per_token(shape) * tokens


def model_flops(N: int, D: int) -> int:
    """The paper's C = 6 N D, in which laws, budgets and allocations are written."""
    return 6 * N * D


def gpu_hours(
    flops: float,
    device: devices.Device,
    mfu: float = ASSUMED_MFU,
    *,
    precision: devices.Precision = "bf16",
) -> float | None:
    """Hours of one device; None where it cannot compute in this precision."""
    peak = device.peak(precision)
    return None if peak is None else flops / (peak * mfu) / 3600


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Bytes of one rank at its fullest moment, the end of a forward pass; an estimate."""

    weights: int
    """fp32 weights, this rank's share."""
    gradients: int
    """fp32 gradients, this rank's share."""
    optimizer: int
    """AdamW's two fp32 moments, this rank's share."""
    copies: int
    """Weights in the precision of the computation: one rank's bf16 copies, or FSDP2's gathered
    groups and the gradient that is being reduced."""
    activations: int
    """What the blocks keep for the backward pass."""
    logits: int
    """The logits, their log-softmax and its gradient."""

    @property
    def total(self) -> int:
        return (
            self.weights
            + self.gradients
            + self.optimizer
            + self.copies
            + self.activations
            + self.logits
        )


def memory(
    shape: Shape,
    *,
    micro_batch: int,
    precision: devices.Precision,
    world_size: int,
    activation_checkpointing: bool = False,
) -> Memory:
    """The memory of one rank under FSDP2 (one rank: not sharded), attention by a fused kernel.

    Args:
        shape: the model.
        micro_batch: sequences that one rank takes at a time.
        precision: of the computation; weights, gradients and moments are kept in fp32.
        world_size: ranks that share the weights.
        activation_checkpointing: whether blocks keep only their input and are computed again.
    """
    width = 2 if precision == "bf16" else 4
    share = -(-counting.counts(shape).total // world_size)
    tokens = micro_batch * shape.context_length
    block = tokens * _block_bytes(shape, width)
    if activation_checkpointing:
        activations = shape.layers * tokens * shape.hidden_size * width + block
    else:
        activations = shape.layers * block
    return Memory(
        weights=4 * share,
        gradients=4 * share,
        optimizer=8 * share,
        copies=_copies(shape, width, world_size),
        activations=activations,
        # three in fp32, and under bf16 what the head really put out
        logits=tokens * shape.vocab_size * (12 if precision == "fp32" else 14),
    )


def storage(shape: Shape, checkpoints: int) -> int:
    """Bytes of so many checkpoints: weights and AdamW's two moments in fp32."""
    return 12 * counting.counts(shape).total * checkpoints


def _block_bytes(shape: Shape, width: int) -> int:
    """Bytes that one block keeps of a token: the tensors that torch saves, seen through its hooks.

    bf16 is counted under autocast, where every matrix keeps a bf16 copy of its input; FSDP2's own
    mixed precision keeps about 15 % less.
    """
    h, f = shape.hidden_size, shape.intermediate_size
    kv_width = h // shape.heads * shape.kv_heads
    norms = 2 * (4 + 4) * h  # the input in fp32 and the normalized, of either norm
    inputs = (2 if width == 4 else 5) * h  # q, k, v share theirs in fp32, gate and up too
    attention = 2 * h + 2 * kv_width  # q and the output, k and v; a fused kernel keeps no scores
    return norms + width * (inputs + attention + 4 * f)  # gate, silu(gate), up, their product


def _copies(shape: Shape, width: int, world_size: int) -> int:
    counts = counting.counts(shape)
    if world_size == 1:
        return 0 if width == 4 else width * counts.total
    block = counting.layer(shape)
    root = counts.embedding + shape.hidden_size
    # the root stays gathered, one block computes and the next is fetched; gradients reduce in fp32
    return width * (root + 2 * block) + 4 * block
