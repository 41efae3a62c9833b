"""What `make bench` makes of its measurements; the measurements themselves need a quiet machine."""

import pytest
from hack.bench import pairs


def test_a_ratio_is_taken_within_turns() -> None:
    # the machine halves its speed from turn to turn; ours is always a tenth faster
    theirs = [100.0, 50.0, 25.0, 12.5]
    found = pairs.ratio([1.1 * value for value in theirs], theirs)
    assert found.low == pytest.approx(found.median) == pytest.approx(1.1)
    assert pairs.ratio([10, 40, 90], [10, 20, 30]).median == 2


def test_turns_interleave_and_rotate() -> None:
    order: list[str] = []

    def runner(name: str) -> int:
        order.append(name)
        return len(order)

    found = pairs.turns(3, {"a": lambda: runner("a"), "b": lambda: runner("b")})
    assert order == ["a", "b", "b", "a", "a", "b"]
    assert found == {"a": [1, 4, 5], "b": [2, 3, 6]}
