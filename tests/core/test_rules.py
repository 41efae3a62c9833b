from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalingsweep import rules
from scalingsweep.errors import SpecError


def test_the_ladder_at_its_reference() -> None:
    assert rules.batch_tokens(108_000_000, 2048) == 160 * 2048
    assert rules.peak_learning_rate(108_000_000) == pytest.approx(0.00235)
    assert rules.batch_tokens(864_000_000, 2048) == 640 * 2048  # 8 × the size, 4 × the batch
    assert rules.peak_learning_rate(864_000_000) == pytest.approx(0.001175)


@given(st.integers(rules.SMALLEST_N, 10**11), st.integers(8, 100_000))
def test_batches_are_whole_sequences_nearest_to_the_law(N: int, context_length: int) -> None:
    tokens = rules.batch_tokens(N, context_length)
    law = 160 * 2048 * (N / 108e6) ** (2 / 3)
    assert tokens % context_length == 0
    assert abs(tokens - law) <= context_length / 2 * (1 + 1e-9)


def test_beta2_has_a_longer_memory_for_small_batches() -> None:
    assert [rules.beta2(tokens) for tokens in (512, 524_287, 524_288)] == [0.99, 0.99, 0.95]


@pytest.mark.parametrize(
    ("rule", "field"),
    [
        (lambda N: rules.batch_tokens(N, 128), "spec.training.batchTokens"),
        (rules.peak_learning_rate, "spec.training.learningRate"),
    ],
)
def test_auto_is_refused_where_it_was_measured_to_fail(
    rule: Callable[[int], float], field: str
) -> None:
    rule(20_000_000)
    with pytest.raises(SpecError, match=r"from 20M parameters, not .* 27.65k: give bySize") as e:
        rule(27_648)
    assert e.value.field == field


def test_the_first_rule_that_reaches_the_size_holds() -> None:
    table: list[tuple[int | None, str]] = [
        (200_000, "small"),
        (1_000_000, "middle"),
        (None, "large"),
    ]
    assert rules.by_size(table, 200_000, at="x") == "small"
    assert rules.by_size(table, 200_001, at="x") == "middle"
    assert rules.by_size(table, 10**9, at="x") == "large"


def test_a_size_without_a_rule_names_the_list() -> None:
    with pytest.raises(SpecError, match=r"^spec.training.batchTokens.bySize: .* 2M: .*upTo"):
        rules.by_size([(1_000_000, 512)], 2_000_000, at="spec.training.batchTokens.bySize")
