"""What an attempt leaves behind is judged, never trusted."""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from scalingsweep.api.outcome import Class
from scalingsweep.plan import Key
from scalingsweep.world import Job
from scalingsweep_cli.local import ending
from support import manifests

KEY = Key(arm="a", size="27k", seed=0)


def _judge(path: Path, status: int = 1, **told: Any) -> tuple[Class, str]:
    given: dict[str, Any] = {"work": KEY, "budgets": (5, 7), "log": Path("the.log")} | told
    outcome = ending.judge(path, status, ending.Told(**given))
    return outcome.klass, outcome.message


def test_a_valid_done_wins_whatever_the_exit_status(tmp_path: Path) -> None:
    path = tmp_path / "o.json"
    path.write_text('{"class": "Done", "budgets": [5, 7, 9]}')
    for status in (0, 1, -9):
        assert _judge(path, status, stopped=True, memory_kills=1)[0] is Class.DONE
    prepared = json.dumps({"class": "Done", "prepared": manifests.prepared().to_wire()})
    path.write_text(prepared)
    assert _judge(path, work=Job.PREPARE, budgets=())[0] is Class.DONE


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is no JSON"),
        ("[" * 3000, "is no JSON"),
        ('{"class": "Done", "budgets": [5]}', r"\[7\] are missing"),
        ('{"class": "Done", "budgets": [5, "7 "], "x": 1}', "outcome cannot be used"),
        ('{"class": "Finished"}', "class"),
        ('{"class": "HostMemory"}', "only a control plane"),
        ('{"class": "Done", "message": "' + "x" * 4096 + '"}', "over 4096 bytes"),
        ('{"class": "Done", "budgets": [5, 7], "step": NaN}', "step"),
        ("\udcff", "is no JSON"),
        ("[" * 100 + "]" * 100, "must be a map"),
        ("null", "must be a map"),
        ('{"class": "Done", "budgets": [1e400]}', "budgets"),
        ('{"class": "Done", "budgets": ["' + "9" * 3000 + '"]}', "budgets"),
        ('{"class": "Diverged", "step": ' + "9" * 3900 + "}", "is no JSON|step"),
        ('{"class": "Diverged", "step": -1}', "step"),
        ('{"class": "Done", "budgets": {"5": 7}}', "budgets"),
        ('{"class": ["Done"]}', "class"),
        ('{"class": "Done", "fit": {"observations": -1}}', "fit"),
        ('{"class": "Done", "prepared": {"corpora": 7}}', "prepared"),
        ('{"class": "Done", "budgets": ' + str([*range(65)]) + "}", "budgets"),
        ('{"class": "Diverged", "message": "' + "x" * 1025 + '"}', "message"),
        ('{"class": "Diverged", "message": "\udcff"}', "is no JSON"),
    ],
)
def test_a_bad_outcome_is_an_infrastructure_failure(text: str, why: str, tmp_path: Path) -> None:
    path = tmp_path / "o.json"
    path.write_bytes(text.encode(errors="surrogateescape"))
    klass, message = _judge(path, 0)
    assert klass is Class.INFRASTRUCTURE
    assert re.search(why, message), message
    assert "the.log" in message
    assert len(message) <= 1024


def test_links_pipes_and_folders_are_not_read(tmp_path: Path) -> None:
    link, pipe, folder = tmp_path / "link", tmp_path / "pipe", tmp_path / "folder"
    link.symlink_to("/dev/zero")
    os.mkfifo(pipe)
    folder.mkdir()
    for path in (link, pipe, folder):
        assert _judge(path)[0] is Class.INFRASTRUCTURE


def test_without_an_outcome_the_way_it_went_tells(tmp_path: Path) -> None:
    path = tmp_path / "none"
    assert _judge(path, -9) == (
        Class.INFRASTRUCTURE,
        "ended by SIGKILL and left no outcome; see the.log",
    )
    assert "with exit status 3" in _judge(path, 3)[1]
    assert _judge(path, -9, stopped=True)[0] is Class.PREEMPTED
    assert _judge(path, -9, memory_kills=1)[0] is Class.HOST_MEMORY
    path.write_text('{"class": "Infrastructure", "message": "rank 0 ended by SIGKILL"}')
    assert _judge(path, 1, memory_kills=1)[0] is Class.HOST_MEMORY
    path.write_text('{"class": "Diverged"}')
    assert _judge(path, 4, memory_kills=1)[0] is Class.DIVERGED


def test_done_without_the_answer_is_not_done(tmp_path: Path) -> None:
    path = tmp_path / "o.json"
    path.write_text('{"class": "Done"}')
    for job in Job:
        assert _judge(path, 0, work=job, budgets=())[0] is Class.INFRASTRUCTURE


def test_a_message_cannot_move_the_cursor(tmp_path: Path) -> None:
    path = tmp_path / "o.json"
    path.write_text(json.dumps({"class": "BadData", "message": "a\x1b[2Jb\r\nc", "field": "\x07"}))
    assert _judge(path) == (Class.BAD_DATA, "a [2Jb  c")
