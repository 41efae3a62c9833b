"""Counts and memory of core against what transformers really builds and torch really saves."""

from typing import Any

import pytest
import torch
import transformers

from scalingsweep import cost, devices, shapes
from scalingsweep.api.shape import Shape


def build(shape: Shape) -> torch.nn.Module:
    config = transformers.LlamaConfig(
        vocab_size=shape.vocab_size,
        hidden_size=shape.hidden_size,
        intermediate_size=shape.intermediate_size,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        max_position_embeddings=shape.context_length,
        tie_word_embeddings=shape.tied_embeddings,
    )
    model: torch.nn.Module = transformers.LlamaForCausalLM(config)
    return model


def shape(**changes: Any) -> Shape:
    given: dict[str, Any] = {
        "vocab_size": 96,
        "hidden_size": 64,
        "intermediate_size": 256,
        "layers": 3,
        "heads": 4,
        "kv_heads": 4,
        "context_length": 128,
    }
    return Shape(**given | changes)


PRESET = dict(shapes.preset("zheng2024", None, 2048))
CASES = {
    "tiny": shape(),
    "grouped queries": shape(kv_heads=2),
    "one key": shape(kv_heads=1),
    "untied": shape(tied_embeddings=False),
    "odd FFN": shape(intermediate_size=77),
    "49M": PRESET["49M"],
    "4016M": PRESET["4016M"],
    "5534M": PRESET["5534M"],
    "generated 27k": shapes.generate(27_000, vocab_size=1024, context_length=128),
    "generated 70B": shapes.generate(70_000_000_000, vocab_size=128_000, context_length=8192),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_counts_are_those_of_the_model(case: Shape) -> None:
    with torch.device("meta"):
        model = build(case)
    sizes = {name: weight.numel() for name, weight in model.named_parameters()}
    embedding = sum(n for name, n in sizes.items() if "embed_tokens" in name or "lm_head" in name)
    look_up = 0 if case.tied_embeddings else sizes["model.embed_tokens.weight"]
    counts = shapes.counts(case)
    assert counts.total == sum(sizes.values())
    assert counts.N + look_up == sum(sizes.values())
    assert counts.embedding == embedding
    assert counts.non_embedding == sum(sizes.values()) - embedding


def saved_bytes(case: Shape, precision: devices.Precision, micro_batch: int) -> int:
    """Bytes of the tensors that a forward pass keeps for its backward one, weights apart."""
    torch.manual_seed(0)
    model = build(case)
    weights = {weight.untyped_storage().data_ptr() for weight in model.parameters()}
    shapes_of_weights = {tuple(weight.shape) for weight in model.parameters()}
    shapes_of_weights |= {size[::-1] for size in shapes_of_weights}
    kept: dict[int, torch.Tensor] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        # autocast's copies of the weights are `copies` in the estimate
        if tuple(tensor.shape) not in shapes_of_weights:
            kept.setdefault(tensor.untyped_storage().data_ptr(), tensor)
        return tensor

    tokens = torch.randint(0, case.vocab_size, (micro_batch, case.context_length))
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16"):
            logits = model(input_ids=tokens, use_cache=False).logits
        torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), tokens.flatten())
    return sum(
        tensor.untyped_storage().nbytes() for at, tensor in kept.items() if at not in weights
    )


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("kv_heads", [4, 1])
def test_activations_are_what_torch_keeps(precision: devices.Precision, kv_heads: int) -> None:
    few, many = (shape(layers=layers, kv_heads=kv_heads) for layers in (2, 6))
    measured = saved_bytes(many, precision, 3) - saved_bytes(few, precision, 3)
    given: dict[str, Any] = {"micro_batch": 3, "precision": precision, "world_size": 1}
    estimated = cost.memory(many, **given).activations - cost.memory(few, **given).activations
    assert estimated == pytest.approx(measured, rel=0.03)
