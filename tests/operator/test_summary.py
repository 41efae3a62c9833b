"""The status of a sweep: how large it can become, and what it counts."""

import dataclasses
import json

import pytest

from scalingsweep import decide, resolve
from scalingsweep.api.outcome import MAX_BYTES, Class, FitSummary, FittedLaw, Outcome
from scalingsweep.api.outcome import FittedParameter as Parameter
from scalingsweep.api.prepared import Prepared
from scalingsweep.api.status import PlanSummary, Reason, SweepStatus
from scalingsweep.world import Attempt, Decision, Job, Observed
from scalingsweep_operator import brief, conditions, studies, summary
from scalingsweep_operator.case import Case
from scalingsweep_operator.vitals import Waiting
from scalingsweep_operator.work import JobAttempt
from support import gathered, manifests

KILOBYTES_32 = 32 * 1024
LONGEST = ["x", '"', "é", "界", "\N{SNAKE}", "\n"]


@pytest.fixture(scope="module")
def thousand(study: studies.Study) -> studies.Study:
    """A study of a thousand trials and six thousand observations."""
    arms = [{"name": "source", "corpus": "en"}]
    arms += [{"name": f"arm-{n}", "corpus": "fr"} for n in range(9)]
    plan = manifests.planned(
        arms=arms,
        model={"contextLength": 128, "sizes": [f"{30 + 5 * n}k" for n in range(20)]},
        training=manifests.small()["training"] | {"seeds": list(range(5))},
        budgets={"tokens": [f"{n}M" for n in range(1, 7)]},
    )
    assert (len(plan.trials), len(plan.observations)) == (1000, 6000)
    return dataclasses.replace(study, plan=plan)


def _fit(letter: str) -> Outcome:
    """As much as a worker can say of a fit."""
    number = -1.2345678901234567e-100
    parameter = Parameter(name="p" * 64, value=number, low=number, high=number)
    law = FittedLaw(name="extended", arms=("scratch",), parameters=(parameter,) * 12)
    room = FitSummary(observations=6000, missing=0, laws=(law,), report="r" * 512)
    outcome = Outcome(klass=Class.DONE, fit=room)
    left = MAX_BYTES - len(outcome.to_json().encode()) - 200
    words = letter * (min(left, 1024) // len(json.dumps(letter, ensure_ascii=False).encode()))
    found = Outcome(klass=Class.DONE, fit=room.model_copy(update={"warnings": (words,)}))
    assert len(found.to_json().encode()) > 3000
    return found


def _prepared() -> Prepared:
    """As much as a worker can say of corpora, with every observation since."""
    (one,) = manifests.prepared(("en",)).corpora
    large = {"tokens": 10**15, "bytes": 10**15, "documents": 10**12, "duplicates": 10**12}
    names = [f"{number:02}".rjust(32, "c") for number in range(13)]
    corpora = tuple(one.model_copy(update={**large, "name": name}) for name in names)
    found = manifests.prepared((), corpora=corpora, observed=resolve.to_bitmap([True] * 6000))
    answer = Outcome(klass=Class.DONE, prepared=found.model_copy(update={"observed": ""}))
    assert 3500 < len(answer.to_json().encode()) <= MAX_BYTES
    return found


def _case(study: studies.Study, words: str, fit: Outcome) -> Case:
    found = _prepared()
    ended = Attempt(started=100.0, ended=200.0, klass=Class.BAD_DATA, message=words)
    observed = Observed(
        plan=study.plan,
        attempts={Job.PREPARE: (ended,)},
        prepared=found,
        observed={},
        started=100.0,
        refusal=words,
    )
    decision: Decision = dataclasses.replace(decide.decide(observed, 300.0), reason=words)
    fitted = JobAttempt(
        item={},
        job=Job.FIT,
        input="d" * 32,
        number=1,
        outcome=fit,
        attempt=ended,
        waiting=None,
        templates="",
    )
    sweep = {"metadata": {**gathered.SWEEP["metadata"], "generation": 10**9}}
    return Case(
        namespace="research",
        image="worker:1",
        study=dataclasses.replace(study, summary=_plan_summary(words)),
        gathered=dataclasses.replace(gathered.gathered(study), sweep=sweep),
        trials={},
        attempts=(fitted,),
        found=found,
        specs={},
        observed=observed,
        decision=decision,
        now=300.0,
    )


def _plan_summary(words: str) -> PlanSummary:
    return PlanSummary(
        observations=6000, flops=6.02e23, gpu_hours=1e6, warnings=(brief.cut(words),) * 8
    )


@pytest.mark.parametrize("letter", LONGEST, ids=ascii)
def test_a_status_of_a_thousand_trials_stays_under_32_kilobytes(
    thousand: studies.Study, letter: str
) -> None:
    words = letter * 5000
    case = _case(thousand, words, _fit(letter))
    view = conditions.View(
        decision=case.decision,
        observed=case.observed,
        obstacle=Waiting(reason=Reason.QUOTA_EXCEEDED, message=words),
    )
    made = summary.make(SweepStatus(), case, view)
    written = json.dumps(made.to_wire(), ensure_ascii=False).encode()
    assert 15_000 < len(written) < KILOBYTES_32
    assert SweepStatus.from_wire(json.loads(written)) == made, "or the API server refuses it"


@pytest.mark.parametrize("letter", LONGEST, ids=ascii)
def test_words_are_cut_at_bytes_and_between_letters(letter: str) -> None:
    assert brief.cut(letter * 20) == letter * 20
    cut = brief.cut("ab" + letter * 5000)
    size = len(json.dumps(cut, ensure_ascii=False).encode()) - 2
    assert brief.MOST_BYTES - 6 < size <= brief.MOST_BYTES
    assert set(cut) == {"a", "b", letter}


def test_half_a_letter_is_no_bug_of_ours() -> None:
    assert brief.cut("\ud800") == "\ud800"
