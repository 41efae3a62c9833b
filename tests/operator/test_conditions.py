"""What conditions say of an obstacle, and how long it is left alone."""

import dataclasses

import pytest

from scalingsweep import decide
from scalingsweep.api.status import ConditionType, Reason
from scalingsweep.world import Observed
from scalingsweep_operator import conditions, studies
from scalingsweep_operator.metrics import Metrics
from scalingsweep_operator.reconcile import Reconciler
from scalingsweep_operator.settings import Settings
from scalingsweep_operator.vitals import Waiting
from support import manifests

FULL = Waiting(reason=Reason.QUOTA_EXCEEDED, message="exceeded quota: few")


@pytest.fixture
def view(study: studies.Study) -> conditions.View:
    """A sweep whose trials are to start."""
    observed = Observed(
        plan=study.plan,
        attempts={},
        prepared=manifests.prepared(),
        observed={},
        started=100.0,
    )
    return conditions.View(decision=decide.decide(observed, 200.0), observed=observed)


@pytest.mark.parametrize(
    ("training", "status", "reason"),
    [(False, "False", Reason.QUOTA_EXCEEDED), (True, "True", Reason.RUNNING)],
)
def test_what_is_in_the_way_is_said_whether_others_train_or_not(
    view: conditions.View, training: bool, status: str, reason: Reason
) -> None:
    seen = dataclasses.replace(view, obstacle=FULL, training=training)
    found = conditions.of(seen)[ConditionType.PROGRESSING]
    assert (found.status, found.reason) == (status, reason)
    assert FULL.message in found.message


def test_what_is_refused_again_and_again_is_asked_for_ever_less_often() -> None:
    made = Reconciler(
        api=None,  # type: ignore[arg-type] # nothing is asked of it
        settings=Settings(worker_image="x"),
        metrics=Metrics(),
    )
    pauses = [made._back_off("u", [FULL]) for _ in range(40)]
    assert pauses[:6] == [2, 4, 8, 16, 32, 60]
    assert set(pauses[6:]) == {60}
    assert made._back_off("another", [FULL]) == 2
    assert made._back_off("u", []) is None
    assert made._back_off("u", [FULL]) == 2
