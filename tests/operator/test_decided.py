"""What a decision means for single objects."""

from typing import Any

import pytest

from scalingsweep import resolve
from scalingsweep.api.trial import TrialSpec
from scalingsweep.errors import SpecError
from scalingsweep_operator import decided
from support import manifests


@pytest.fixture(scope="module")
def spec() -> TrialSpec:
    return next(iter(resolve.trials(manifests.planned(), manifests.prepared()).values()))


def having(spec: TrialSpec, *steps: int, **changes: Any) -> TrialSpec:
    """The trial with budgets of so many steps."""
    budgets = [step * spec.step_tokens for step in steps]
    return TrialSpec.from_wire({**spec.to_wire(), "budgets": budgets, **changes})


def after(there: TrialSpec, asked: TrialSpec) -> TrialSpec:
    """What the API server has once the change is written; parsed, so within all bounds."""
    return TrialSpec.from_wire({**there.to_wire(), **(decided.grown(there, asked) or {})})


def test_a_budget_that_is_added_is_asked_for_too(spec: TrialSpec) -> None:
    there, asked = having(spec, 10, 30), having(spec, 10, 20)
    assert after(there, asked) == having(spec, 10, 20, 30)
    assert decided.grown(having(spec, 10, 20, 30), asked) is None


def test_more_budgets_than_a_trial_can_hold(spec: TrialSpec) -> None:
    """Budgets that were exchanged, edit by edit: none may go, and the CRD takes 64."""
    there, asked = having(spec, *range(1, 61)), having(spec, *range(101, 161))
    with pytest.raises(SpecError):
        having(spec, *range(1, 61), *range(101, 161))
    full = after(there, asked)
    assert full == having(spec, *range(1, 61), 157, 158, 159, 160)
    assert decided.grown(full, asked) is None, "or it would be written at every look"


def test_more_validation_splits_than_a_trial_can_hold(spec: TrialSpec) -> None:
    splits = [f"{number:032x}" for number in range(20)]
    there = having(spec, 10, validation=splits[:14])
    full = after(there, having(spec, 10, validation=splits[10:20]))
    assert list(full.validation) == splits[:16]
    assert decided.grown(full, having(spec, 10, validation=splits[10:20])) is None
