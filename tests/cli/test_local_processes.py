"""The processes of an attempt: none starts unrecorded, none outlives it, no other is touched."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil

from scalingsweep_cli.local import processes

FAMILY = """
import subprocess, sys, time
# a worker in a session of its own, whose parent then dies: no tree and no group leads to it
subprocess.Popen([sys.executable, "-c", "import time; print('up', flush=True); time.sleep(300)"],
                 start_new_session=True)
time.sleep(300)
"""


def _launch(tmp_path: Path, *command: str) -> processes.Launched:
    return processes.launch(
        command, environment=dict(os.environ), log=tmp_path / "log", mark=tmp_path / "outcome"
    )


def _until(found: object) -> None:
    deadline = time.monotonic() + 20
    while not found():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_nothing_runs_before_the_gate_opens(tmp_path: Path) -> None:
    launched = _launch(tmp_path, "touch", str(tmp_path / "ran"))
    time.sleep(0.3)
    assert not (tmp_path / "ran").exists()
    assert launched.process.poll() is None
    launched.open_gate()
    assert launched.process.wait(10) == 0
    assert (tmp_path / "ran").exists()


def test_a_dead_runner_leaves_no_process_at_the_gate(tmp_path: Path) -> None:
    launched = _launch(tmp_path, "touch", str(tmp_path / "ran"))
    assert launched.process.stdin is not None
    launched.process.stdin.close()  # as the kernel does when the runner dies
    assert launched.process.wait(10) != 0
    assert not (tmp_path / "ran").exists()


def test_the_command_becomes_the_recorded_process_with_an_empty_input(tmp_path: Path) -> None:
    code = "import os, sys; print(os.getpid(), repr(sys.stdin.read()), os.getsid(0))"
    launched = _launch(tmp_path, sys.executable, "-c", code, "an 'odd' $argument")
    launched.open_gate()
    assert launched.process.wait(10) == 0
    assert (tmp_path / "log").read_text().split() == [
        str(launched.pid), "''", str(launched.pid)
    ]  # fmt: skip


def test_a_kill_reaches_those_whose_parent_is_gone(tmp_path: Path) -> None:
    launched = _launch(tmp_path, sys.executable, "-c", FAMILY)
    launched.open_gate()
    _until(lambda: "up" in (tmp_path / "log").read_text())
    launched.process.kill()
    launched.process.wait(10)
    (orphan,) = processes.members({launched.mark})
    assert orphan.pid != launched.pid
    launched.kill()
    assert not list(processes.members({launched.mark}))
    assert not psutil.pid_exists(orphan.pid) or orphan.status() == psutil.STATUS_ZOMBIE


def test_orphans_may_save_and_bystanders_live(tmp_path: Path) -> None:
    saving = """
import signal, sys, time
def leave(*_):
    time.sleep(0.2); print("saved", flush=True); sys.exit(0)
signal.signal(signal.SIGTERM, leave); print("up", flush=True); time.sleep(300)
"""
    launched = _launch(tmp_path, sys.executable, "-c", saving)
    launched.open_gate()
    bystander = subprocess.Popen(["sleep", "300"])
    try:
        _until(lambda: "up" in (tmp_path / "log").read_text())
        # the bystander has the recorded process id of another attempt, which is long gone
        born = psutil.Process(bystander.pid).create_time()
        marks = {
            launched.mark: (launched.pid, launched.born),
            str(tmp_path / "other"): (bystander.pid, born),
        }
        began = time.monotonic()
        # reaped here, for we are its parent; an orphan's would be init
        assert processes.end_orphans(marks, grace=10) == 1
        assert time.monotonic() - began < 5
        assert (tmp_path / "log").read_text() == "up\nsaved\n"
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()
        launched.process.wait(10)
        launched.kill()
