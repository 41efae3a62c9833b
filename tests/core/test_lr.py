import itertools
from typing import Any, get_args

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from scalingsweep import lr
from scalingsweep.errors import SpecError

INTEGRALS = {"linear": 1 / 2, "cosine": 1 / 2, "sqrt": 1 / 3}

peaks = st.floats(min_value=1e-5, max_value=1)
warmups = st.integers(min_value=0, max_value=200)
lengths = st.integers(min_value=1, max_value=400)
shapes: st.SearchStrategy[lr.DecayShape] = st.sampled_from(get_args(lr.DecayShape))
floors = st.floats(min_value=0, max_value=0.9)


def wsd_rates(steps: int, **schedule: Any) -> list[float]:
    return [lr.wsd(step, **schedule) for step in range(steps)]


def test_rates_by_hand() -> None:
    rates = wsd_rates(
        8, peak=1.0, warmup_steps=2, decay_start=4, decay_steps=4, shape="linear", floor=0
    )
    assert rates == [0.25, 0.75, 1, 1, 0.875, 0.625, 0.375, 0.125]
    cosine = [
        lr.cosine(step, peak=2.0, warmup_steps=2, total_steps=4, floor=0.5) for step in range(5)
    ]
    assert cosine == pytest.approx([0.5, 1.5, 1 + 0.85355339, 1 + 0.14644661, 1.0])


@given(
    peak=peaks,
    warmup=warmups,
    stable=st.integers(0, 300),
    decay=lengths,
    shape=shapes,
    floor=floors,
)
def test_a_branch_is_its_trunk_until_it_leaves(
    *, peak: float, warmup: int, stable: int, decay: int, shape: lr.DecayShape, floor: float
) -> None:
    start = warmup + stable
    both: dict[str, Any] = {"peak": peak, "warmup_steps": warmup, "shape": shape, "floor": floor}
    trunk = wsd_rates(start, **both, decay_start=None, decay_steps=1)
    branch = wsd_rates(start, **both, decay_start=start, decay_steps=decay)
    assert branch == trunk  # the same floats, so that the runs are the same bits
    assert trunk == sorted(trunk)
    assert all(rate == peak for rate in trunk[warmup:])


@given(peaks, warmups, lengths, shapes, floors)
def test_the_decay_falls_to_its_floor_and_rests(
    peak: float, warmup: int, decay: int, shape: lr.DecayShape, floor: float
) -> None:
    schedule: dict[str, Any] = {
        "peak": peak,
        "warmup_steps": warmup,
        "shape": shape,
        "floor": floor,
    }
    schedule |= {"decay_start": warmup, "decay_steps": decay}
    falling = [lr.wsd(warmup + step, **schedule) for step in range(decay)]
    assert falling == sorted(falling, reverse=True)
    assert peak > falling[0]
    assert falling[-1] > floor * peak  # no update is spent on the floor itself
    after = [lr.wsd(warmup + decay + step, **schedule) for step in range(3)]
    assert after == pytest.approx([floor * peak] * 3)


@given(peaks, warmups, st.integers(50, 400), shapes, floors)
def test_the_curve_has_no_jumps(
    peak: float, warmup: int, decay: int, shape: lr.DecayShape, floor: float
) -> None:
    schedule: dict[str, Any] = {
        "peak": peak,
        "warmup_steps": warmup,
        "shape": shape,
        "floor": floor,
    }
    rates = [
        0.0,
        *wsd_rates(warmup + 10 + decay, **schedule, decay_start=warmup + 10, decay_steps=decay),
    ]
    rates.append(floor * peak)
    steepest = {"linear": 1, "cosine": 1.571, "sqrt": decay**0.5}[shape] / decay
    allowed = peak * max(1 / max(1, warmup), steepest) * 1.001
    jumps = [abs(after - before) for before, after in itertools.pairwise(rates)]
    assert max(jumps[1 if warmup == 0 else 0 :]) <= allowed


@given(
    peak=peaks,
    warmup=warmups,
    stable=st.integers(0, 300),
    decay=lengths,
    shape=shapes,
    floor=floors,
)
def test_the_sum_of_rates_is_the_integral(
    *, peak: float, warmup: int, stable: int, decay: int, shape: lr.DecayShape, floor: float
) -> None:
    rates = wsd_rates(
        warmup + stable + decay,
        peak=peak,
        warmup_steps=warmup,
        decay_start=warmup + stable,
        decay_steps=decay,
        shape=shape,
        floor=floor,
    )
    area = warmup / 2 + stable + decay * (floor + (1 - floor) * INTEGRALS[shape])
    # linear and (by symmetry) cosine are exact; the root's corner at t = 0 costs up to 0.12 steps
    slack = 0.13 if shape == "sqrt" else 1e-9 * (1 + area)
    assert sum(rates) / peak == pytest.approx(area, abs=slack)


@given(peaks, st.integers(0, 50), st.integers(1, 300), floors)
def test_cosine_is_symmetric_about_its_middle(
    peak: float, warmup: int, length: int, floor: float
) -> None:
    total = warmup + length
    rates = [
        lr.cosine(step, peak=peak, warmup_steps=warmup, total_steps=total, floor=floor)
        for step in range(total)
    ]
    falling = rates[warmup:]
    assert falling == sorted(falling, reverse=True)
    for early, late in zip(falling, reversed(falling), strict=True):
        assert early + late == pytest.approx(peak * (1 + floor))


@given(st.integers(1, 10**7), st.floats(min_value=0.001, max_value=1))
def test_a_decay_is_its_share_and_at_least_a_step(total: int, fraction: float) -> None:
    decay = lr.decay_steps(total, fraction)
    assert 1 <= decay <= total
    assert abs(decay - total * fraction) <= 0.5 or decay == 1
    assert lr.branch_start(total, fraction) + decay == total


@given(st.integers(1, 10**6), st.integers(1, 10**6), st.floats(min_value=0.001, max_value=0.99))
def test_larger_budgets_branch_later(one: int, other: int, fraction: float) -> None:
    assume(one < other)
    assert lr.branch_start(one, fraction) <= lr.branch_start(other, fraction)


def test_a_warmup_must_end_before_the_first_branch() -> None:
    lr.check_warmup(99, first_branch=100, who="50M in scratch")
    with pytest.raises(
        SpecError, match=r"100 steps for 50M in scratch, whose .* from step 100: "
    ) as e:
        lr.check_warmup(100, first_branch=100, who="50M in scratch")
    assert e.value.field == "spec.training.schedule.warmup"
