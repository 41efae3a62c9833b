"""The order of samples: bijective, exact in its ratios, and the same for ever."""

from collections import Counter
from fractions import Fraction
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from scalingsweep import order

seeds = st.integers(0, 2**31)
ratios = st.builds(lambda q, p: Fraction(p % q, q), st.integers(1, 60), st.integers(0, 59))


@given(seed=seeds, count=st.integers(1, 700), epoch=st.integers(0, 5))
@settings(max_examples=60)
def test_a_pass_takes_every_sequence_once(seed: int, count: int, epoch: int) -> None:
    taken = order.order(seed, "d1", np.arange(epoch * count, (epoch + 1) * count), count)
    assert np.array_equal(np.sort(taken), np.arange(count))


def test_passes_seeds_and_corpora_have_orders_of_their_own() -> None:
    first = order.order(0, "d1", np.arange(1000), 1000)
    for other in (
        order.order(0, "d1", np.arange(1000, 2000), 1000),
        order.order(1, "d1", np.arange(1000), 1000),
        order.order(0, "d2", np.arange(1000), 1000),
        order.replay(np.arange(1000), seed=0, digest="d1", count=1000),
    ):
        # two random orders of 1,000 agree in one place on average; eight is beyond 1e-5
        assert np.count_nonzero(first == other) < 8


@given(seed=seeds, count=st.integers(1, 10**12), start=st.integers(0, 10**12))
@settings(max_examples=60)
def test_any_slice_gives_what_the_whole_gives(seed: int, count: int, start: int) -> None:
    indices = np.arange(start, start + 64)
    whole = order.order(seed, "d", indices, count)
    assert whole.min() >= 0
    assert whole.max() < count
    parts = [order.order(seed, "d", part, count) for part in np.array_split(indices, 5)]
    assert np.array_equal(np.concatenate(parts), whole)
    backwards = order.order(seed, "d", indices[::-1].copy(), count)[::-1]
    assert np.array_equal(backwards, whole)


@given(ratio=ratios, seed=seeds, blocks=st.integers(1, 20))
@settings(max_examples=60)
def test_every_block_replays_exactly_its_share(ratio: Fraction, seed: int, blocks: int) -> None:
    q = ratio.denominator
    is_replay, own = order.split(np.arange(q * blocks), ratio, seed)
    assert (is_replay.reshape(blocks, q).sum(axis=1) == ratio.numerator).all()
    assert np.array_equal(own[is_replay], np.arange(is_replay.sum()))
    assert np.array_equal(own[~is_replay], np.arange((~is_replay).sum()))


@given(ratio=ratios, seed=seeds, start=st.integers(0, 10**10), size=st.integers(1, 200))
@settings(max_examples=60)
def test_splitting_a_slice_gives_what_the_whole_gives(
    ratio: Fraction, seed: int, start: int, size: int
) -> None:
    indices = np.arange(start, start + size)
    is_replay, own = order.split(indices, ratio, seed)
    for at in (0, size // 2, size - 1):
        one, place = order.split(indices[at : at + 1], ratio, seed)
        assert (one[0], place[0]) == (is_replay[at], own[at])


def test_the_kth_target_sequence_is_the_same_whatever_is_replayed() -> None:
    plain = order.order(3, "fr", np.arange(400), 10_000)
    for ratio in (Fraction(0), Fraction(1, 10), Fraction(1, 4), Fraction(333, 1000)):
        is_replay, own = order.split(np.arange(1000), ratio, 3)
        targets = order.order(3, "fr", own[~is_replay], 10_000)
        assert np.array_equal(targets[:400], plain)


@given(taken=st.integers(1, 400), count=st.integers(1, 300), seed=seeds)
@settings(max_examples=40)
def test_replay_is_the_sources_own_training_text(taken: int, count: int, seed: int) -> None:
    source = order.order(7, "en", np.arange(taken), count)
    for turn in range(2):
        indices = np.arange(turn * taken, (turn + 1) * taken)
        replayed = order.replay(
            indices, seed=seed, digest="en", count=count, source_seed=7, taken=taken
        )
        assert Counter(replayed.tolist()) == Counter(source.tolist())


def test_replay_is_reshuffled_on_every_pass() -> None:
    first, second = (
        order.replay(np.arange(a, a + 500), seed=0, digest="en", count=9000, taken=500)
        for a in (0, 500)
    )
    assert np.count_nonzero(first == second) < 8


@pytest.mark.parametrize("count", [4, 5])
def test_small_orders_are_uniform(count: int) -> None:
    seen = Counter(tuple(order.order(s, "d", np.arange(count), count)) for s in range(2400))
    observed = [seen[p] for p in permutations(range(count))]
    assert stats.chisquare(observed).pvalue > 1e-3


def test_replayed_places_are_uniform() -> None:
    is_replay, _ = order.split(np.arange(10 * 5000), Fraction(1, 10), 0)
    assert stats.chisquare(is_replay.reshape(-1, 10).sum(axis=0)).pvalue > 1e-3


def test_large_orders_have_no_serial_correlation() -> None:
    taken = order.order(0, "d", np.arange(50_000), 50_000)
    # |r| of 50,000 independent pairs has a standard error of 0.0045
    assert abs(stats.pearsonr(taken[:-1], taken[1:]).statistic) < 0.018
    assert abs(stats.pearsonr(np.arange(50_000), taken).statistic) < 0.018


def test_the_numbers_never_change() -> None:
    """Golden values: results of finished studies rest on them."""
    indices = np.array([0, 1, 2, 99, 100, 10**9])
    assert order.order(0, "0" * 32, indices, 100).tolist() == [52, 40, 50, 9, 56, 21]
    is_replay, own = order.split(np.arange(10), Fraction(3, 10), 5)
    assert np.flatnonzero(is_replay).tolist() == [2, 5, 7]
    assert own.tolist() == [0, 1, 0, 2, 3, 1, 4, 2, 5, 6]
    kept = order.replay(np.arange(5), seed=1, digest="en", count=1000, source_seed=2, taken=50)
    assert kept.tolist() == [374, 362, 627, 834, 686]
