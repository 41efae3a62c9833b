"""The journal: what a later run learns from it, whatever the earlier one died of."""

import stat
from pathlib import Path

import pytest

from scalingsweep.api.outcome import Class
from scalingsweep.errors import DataError, TransientError
from scalingsweep.plan import Key
from scalingsweep.world import Job
from scalingsweep_cli.local import journal
from scalingsweep_cli.local.journal import Journal

KEY = Key(arm="a-b", size="27k", seed=3)
COSINE = Key(arm="a-b", size="27k", seed=3, budget=250_112)


def test_a_later_run_learns_numbers_times_and_what_was_left_open(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path) as first:
        first.begin(100.0)
        entry = first.started(KEY, now=110.0, pid=1, born=1.5, gpus=2)
        first.ended(entry, now=140.0, klass=Class.DONE, message="é", budgets=(5, 7))
        first.started(KEY, now=150.0, pid=2, born=2.5, gpus=4)
        assert first.earlier_gpu_seconds() == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with Journal(path) as later:
        later.begin(1000.0)
        assert later.first_start == 100.0
        assert later.of_this_run() == {}  # earlier failures are forgiven
        assert later.next_number(KEY) == 3
        assert later.next_number(COSINE) == later.next_number(Job.FIT) == 1
        (left,) = later.open_entries()
        assert (left.number, left.pid, left.born, journal.work_of(left)) == (2, 2, 2.5, KEY)
        later.ended(left, now=160.0, klass=Class.PREEMPTED, message="")
        assert later.earlier_gpu_seconds() == 30 * 2 + 10 * 4
        later.started(Job.FIT, now=1001.0, pid=3, born=3.5, fitted="9")
        assert later.of_this_run()[Job.FIT][0].fitted == "9"


@pytest.mark.parametrize("work", [Job.PREPARE, Job.FIT, KEY, COSINE])
def test_names_lead_back_to_the_work(work: Job | Key, tmp_path: Path) -> None:
    with Journal(tmp_path / "j") as record:
        record.begin(0.0)
        assert journal.work_of(record.started(work, now=1.0, pid=1, born=1.0)) == work


def test_a_torn_last_line_never_happened_and_is_written_over(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path) as first:
        first.begin(1.0)
        first.started(KEY, now=2.0, pid=1, born=1.0)
    whole = path.read_bytes()
    for cut in range(1, len(whole.splitlines()[-1]) + 1):
        path.write_bytes(whole[:-cut])
        with Journal(path) as later:
            assert later.next_number(KEY) == 1
            later.started(KEY, now=3.0, pid=9, born=1.0)
        with Journal(path) as again:
            assert [entry.pid for entry in again.open_entries()] == [9]


@pytest.mark.parametrize(
    "line", [b"{}", b"[]", b"{not json", b'{"event": "end", "work": "x", "number": 1}', b"\xff"]
)
def test_a_line_that_is_not_ours_is_named(line: bytes, tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(b'{"event":"run","time":1}\n' + line + b"\n")
    with pytest.raises(DataError, match=r"journal\.jsonl:2: is no record of ours"):
        Journal(path)


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(TransientError, match="cannot be written"):
        Journal(tmp_path / "nowhere" / "journal.jsonl")
