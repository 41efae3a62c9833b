from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalingsweep import quantity


@pytest.mark.parametrize(
    ("written", "count"),
    [
        ("50M", 50_000_000),
        ("1.3B", 1_300_000_000),
        ("200k", 200_000),
        ("200K", 200_000),
        (" 2 T ", 2 * 10**12),
        ("1e24", 10**24),
        ("1.5e3k", 1_500_000),
        (1e24, 10**24),
        (2048.0, 2048),
        (60_000_000, 60_000_000),
        ("4016M", 4_016_000_000),
        (2**80 + 1, 2**80 + 1),
    ],
)
def test_written_counts_become_exact_integers(written: float | str, count: int) -> None:
    assert quantity.parse(written) == count


@pytest.mark.parametrize("written", ["50X", "", "M", "-1", "1,000", "1e-3", "nan", "50MB", "1_0"])
def test_what_is_no_count_is_refused_with_the_mend(written: float | str) -> None:
    with pytest.raises(ValueError, match=r"is not a count: write digits .* as 50M$"):
        quantity.parse(written)


@pytest.mark.parametrize("written", [True, float("nan"), float("inf"), -5, 0, 0.0, 1.5, "1.2345k"])
def test_numbers_that_count_nothing_are_refused(written: float | str) -> None:
    with pytest.raises(ValueError, match=r"is not a (count|whole number): "):
        quantity.parse(written)


@pytest.mark.parametrize(
    ("n", "label"),
    [
        (1, "1"),
        (999, "999"),
        (2048, "2.048k"),
        (49_955_328, "49.96M"),
        (1_300_000_000, "1.3B"),
        (999_999, "1M"),
        (200_000, "200k"),
        (10**24, "1e24"),
        (6 * 10**22, "6e22"),
        (12_345 * 10**20, "1.234e24"),
    ],
)
def test_labels(n: int, label: str) -> None:
    assert quantity.label(n) == label


@given(st.integers(min_value=1, max_value=10**30))
def test_a_label_reads_back_to_four_digits(n: int) -> None:
    assert quantity.parse(quantity.label(n)) == pytest.approx(n, rel=5.1e-4)


@given(st.integers(min_value=1, max_value=9_999), st.integers(min_value=0, max_value=20))
def test_four_digits_survive(digits: int, power: int) -> None:
    n = digits * 10**power
    assert quantity.parse(quantity.label(n)) == n


@given(st.floats(min_value=1, max_value=1e30).map(lambda x: float(int(x))))
def test_a_float_and_its_text_are_the_same_count(value: float) -> None:
    assert quantity.parse(value) == quantity.parse(repr(value))


@pytest.mark.parametrize("value", [True, None, {}, [1], {"k": 1}])
def test_what_is_no_number_at_all_is_refused_like_any_other_text(value: Any) -> None:
    with pytest.raises(ValueError, match="is not a count"):
        quantity.parse(value)
