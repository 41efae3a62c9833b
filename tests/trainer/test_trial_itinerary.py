"""Where a trial goes on from, what it still has to do, which checkpoints it may lose."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalingsweep.api.trial import CosineSchedule, WsdSchedule
from scalingsweep.errors import SpecError
from scalingsweep_trainer.trial import itinerary
from scalingsweep_trainer.trial.itinerary import TRUNK, Branch, Saved
from support import trials

CORPUS = trials.Corpus(training="1" * 32, validation="2" * 32, entropy=0.0)
BRANCHES = itinerary.branches(trials.spec(CORPUS, (20, 40, 80)))


def saved(branch: str, step: int, generation: int = 1) -> Saved:
    return Saved(step=step, generation=generation, branch=branch)


def test_branches_leave_the_trunk_before_their_decay() -> None:
    assert [(one.start, one.end) for one in BRANCHES] == [(15, 20), (30, 40), (60, 80)]


def test_a_cosine_run_is_one_branch_from_the_start() -> None:
    schedule = CosineSchedule(type="cosine", peak=0.01, warmup_steps=2)
    spec = trials.spec(CORPUS, (40,), schedule=schedule)
    (branch,) = itinerary.branches(spec)
    assert (branch.start, branch.end) == (0, 40)
    rates = [itinerary.rate(spec, branch, step) for step in range(40)]
    assert max(rates) == pytest.approx(0.01, rel=0.01)
    assert rates[0] < rates[1] < rates[2] > rates[39]


def test_a_warm_up_that_reaches_into_a_branch_is_refused() -> None:
    schedule = WsdSchedule(type="wsd", peak=0.01, warmup_steps=15, decay=0.25)
    with pytest.raises(SpecError, match=r"warmup.*decays from step 15"):
        itinerary.branches(trials.spec(CORPUS, (20, 40), schedule=schedule))


def test_a_branch_has_the_trunks_rate_up_to_its_start() -> None:
    spec = trials.spec(CORPUS, (20, 40, 80))
    for branch in BRANCHES:
        for step in range(branch.start):
            assert itinerary.rate(spec, branch, step) == itinerary.rate(spec, None, step)
        assert itinerary.rate(spec, branch, branch.start) < itinerary.rate(spec, None, branch.start)


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        ([], None),
        ([saved(TRUNK, 10)], saved(TRUNK, 10)),
        ([saved(TRUNK, 10), saved(TRUNK, 30), saved(TRUNK, 31)], saved(TRUNK, 30)),
        ([saved(TRUNK, 30, 2), saved("2560", 33)], saved("2560", 33)),
        ([saved("2560", 33, 2), saved("2560", 35, 1)], saved("2560", 35, 1)),
        ([saved("1280", 20)], None),
        ([saved(TRUNK, 30, 1), saved(TRUNK, 30, 2)], saved(TRUNK, 30, 2)),
    ],
)
def test_it_goes_on_from_its_own_newest_else_the_trunks(
    places: list[Saved], expected: Saved | None
) -> None:
    assert itinerary.resume(BRANCHES[1], places) == expected


def test_work_counts_the_trunk_once() -> None:
    assert itinerary.work(BRANCHES) == 60 + 5 + 10 + 20
    assert itinerary.work_left(BRANCHES, []) == itinerary.work(BRANCHES)
    assert itinerary.work_left(BRANCHES[1:], [saved(TRUNK, 15)]) == (60 - 15) + 10 + 20
    assert itinerary.work_left(BRANCHES[2:], [saved(TRUNK, 60), saved("5120", 70)]) == 10


places = st.builds(
    Saved,
    step=st.integers(0, 80),
    generation=st.integers(1, 3),
    branch=st.sampled_from([TRUNK, *(one.name for one in BRANCHES)]),
)


@given(st.sets(places), st.integers(1, 3))
def test_pruning_never_costs_a_step(found: set[Saved], keep_last: int) -> None:
    spec = trials.spec(CORPUS, (20, 40, 80))
    kept = itinerary.kept(spec)
    gone = itinerary.superfluous(found, places=kept, keep_last=keep_last)
    left = [one for one in found if one not in gone]
    assert not any((one.branch, one.step) in kept for one in gone)
    last = BRANCHES[-1]
    assert itinerary.resume(last, left) == itinerary.resume(last, found) or _was_passed(left, last)
    for name in {one.branch for one in left}:
        passing = [one for one in left if one.branch == name and (name, one.step) not in kept]
        assert len(passing) <= keep_last


def _was_passed(left: list[Saved], branch: Branch) -> bool:
    """A newer one of the trunk beyond the branch's start may push out one before it."""
    return any(one.branch == TRUNK and one.step > branch.start for one in left)
