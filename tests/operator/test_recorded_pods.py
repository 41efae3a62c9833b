"""Pods as a real kubelet left them (tests/data/pods.json), and what they mean."""

import json
from pathlib import Path

import pytest

from scalingsweep.api.outcome import Class
from scalingsweep.api.status import Reason
from scalingsweep.world import Job
from scalingsweep_operator import clock, ending, vitals
from scalingsweep_operator.ending import Evidence
from scalingsweep_operator.vitals import Vitals

RECORDED = json.loads((Path(__file__).parent.parent / "data" / "pods.json").read_text("utf-8"))
GPUS = {"nvidia.com/gpu"}


def _read(name: str) -> Vitals:
    return vitals.read(RECORDED[name], GPUS)


def _class(name: str, job: Job | None = None) -> Class | None:
    pod = _read(name)
    asked = None if job else (10,)
    evidence = Evidence(job=job, asked=asked, pods=(pod,), since=pod.created)
    outcome = ending.judge(evidence, pod.created + 3600)
    return outcome.klass if outcome else None


@pytest.mark.parametrize(
    ("name", "klass"),
    [
        ("failed", Class.DIVERGED),
        ("silent", Class.INFRASTRUCTURE),
        ("memory", Class.HOST_MEMORY),
        ("evicted", Class.PREEMPTED),
        ("running", None),
        ("image", None),
        ("secret", None),
        ("unschedulable", None),
    ],
)
def test_how_it_ended(name: str, klass: Class | None) -> None:
    assert _class(name) is klass


@pytest.mark.parametrize(
    ("seconds", "klass"),
    [(20, Class.PREEMPTED), (60, Class.INFRASTRUCTURE)],
    ids=["in it", "before"],
)
def test_silence_in_the_grace_of_a_delete_is_the_deletes(seconds: int, klass: Class) -> None:
    """By hand, without a condition that tells of it."""
    silent = RECORDED["silent"]
    word = vitals.read(silent, GPUS).word
    assert word is not None
    deleted = {
        "deletionTimestamp": clock.stamp(word.at + seconds).isoformat(),
        "deletionGracePeriodSeconds": 30,
    }
    pod = vitals.read({**silent, "metadata": {**silent["metadata"], **deleted}}, GPUS)
    outcome = ending.judge(Evidence(job=Job.PREPARE, pods=(pod,), since=pod.created), word.at)
    assert outcome is not None
    assert outcome.klass is klass


def test_prepare_and_fit_have_answered() -> None:
    assert _class("prepare", Job.PREPARE) is Class.DONE
    assert _class("fit", Job.FIT) is Class.DONE


@pytest.mark.parametrize(
    ("name", "reason", "words"),
    [
        ("image", Reason.IMAGE_PULL, "localhost/nowhere:1"),
        ("secret", Reason.CANNOT_START, 'secret "none" not found'),
        ("unschedulable", Reason.UNSCHEDULABLE, "Insufficient nvidia.com/gpu"),
    ],
)
def test_why_it_waits(name: str, reason: Reason, words: str) -> None:
    waiting = _read(name).waiting
    assert waiting is not None
    assert waiting.reason is reason
    assert words in waiting.message


def test_what_it_holds() -> None:
    assert (_read("running").gpus, _read("running").running) == (2, True)
    assert _read("unschedulable").held_from is None
