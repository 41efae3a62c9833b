from typing import Any

import pytest

from scalingsweep import cost, devices, shapes
from scalingsweep.api.shape import Shape

ROWS = shapes.preset("zheng2024", None, 2048)
SMALLEST = ROWS[0][1]


def test_flops_per_token_by_hand() -> None:
    # 49M: 8 layers of width 512 at 2,048 tokens
    N = shapes.counts(SMALLEST).N
    assert cost.flops_per_token(SMALLEST) == 6 * N + 6 * 8 * 512 * 2048
    assert cost.trial_flops(SMALLEST, 1000) == 1000 * cost.flops_per_token(SMALLEST)


def test_flops_count_every_product_that_a_pass_makes() -> None:
    # forward: two FLOPs a weight of every matrix that multiplies, the LM head among them, and QKᵀ
    # and its product with V over the causal half; backward: twice that
    h, f, s = SMALLEST.hidden_size, SMALLEST.intermediate_size, SMALLEST.context_length
    matrices = SMALLEST.layers * (4 * h * h + 3 * h * f) + 32_000 * h
    forward = 2 * matrices + SMALLEST.layers * 2 * 2 * h * s / 2
    assert cost.flops_per_token(SMALLEST) == pytest.approx(3 * forward, rel=1e-3)  # norms apart


def test_untied_embeddings_cost_the_same() -> None:
    untied = SMALLEST.model_copy(update={"tied_embeddings": False})
    assert cost.flops_per_token(untied) == cost.flops_per_token(SMALLEST)


def test_the_papers_study_costs_what_was_recomputed() -> None:
    # paper.md: three sets at D = 20 N are about 6e22 FLOPs and 42k H100-hours at 40 % MFU
    sizes = [shapes.counts(shape).N for _, shape in ROWS]
    flops = 3 * sum(cost.model_flops(N, 20 * N) for N in sizes)
    assert flops == pytest.approx(6.0e22, rel=0.01)
    h100 = devices.find("H100")
    assert h100 is not None
    assert cost.gpu_hours(flops, h100) == pytest.approx(42_000, rel=0.02)


def test_gpu_hours_need_a_peak_in_the_precision() -> None:
    v100 = devices.find("V100")
    assert v100 is not None
    assert cost.gpu_hours(1e18, v100) is None
    hours = cost.gpu_hours(3600 * 15.7e12, v100, 0.5, precision="fp32")
    assert hours == pytest.approx(2)


def estimate(shape: Shape, **given: Any) -> cost.Memory:
    usual: dict[str, Any] = {"micro_batch": 1, "precision": "bf16", "world_size": 1}
    return cost.memory(shape, **(usual | given))


def test_states_take_sixteen_bytes_a_parameter_shared_among_ranks() -> None:
    total = shapes.counts(SMALLEST).total
    alone, eight = estimate(SMALLEST), estimate(SMALLEST, world_size=8)
    assert alone.weights + alone.gradients + alone.optimizer == 16 * total
    shared = eight.weights + eight.gradients + eight.optimizer
    assert 16 * total / 8 <= shared <= 16 * total / 8 + 16
    assert eight.activations == alone.activations


def test_activations_follow_the_micro_batch_and_checkpointing_saves_most() -> None:
    one, four = estimate(SMALLEST), estimate(SMALLEST, micro_batch=4)
    assert (four.activations, four.logits) == (4 * one.activations, 4 * one.logits)
    saved = estimate(SMALLEST, activation_checkpointing=True)
    assert one.activations / SMALLEST.layers < saved.activations < one.activations / 4
    assert saved.total == one.total - one.activations + saved.activations


def test_fp32_on_one_rank_needs_no_copies() -> None:
    fp32 = estimate(SMALLEST, precision="fp32")
    assert fp32.copies == 0
    assert estimate(SMALLEST).copies == 2 * shapes.counts(SMALLEST).total
    assert fp32.activations > estimate(SMALLEST).activations


def test_a_checkpoint_holds_weights_and_both_moments_in_fp32() -> None:
    assert cost.storage(SMALLEST, 3) == 3 * 12 * shapes.counts(SMALLEST).total
