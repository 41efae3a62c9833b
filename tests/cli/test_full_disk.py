"""A disk that is full, to the last byte, wherever one machine writes: one line with the mend.

The embedded server's own disk, and whole studies with real trainers: tests/chaos/test_storage.py.
What a trainer writes on its way: tests/trainer/test_full_disk.py.
"""

import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from scalingsweep.errors import DiskFull
from scalingsweep.store import Patience, Store
from scalingsweep.world import Phase
from scalingsweep_cli import files
from scalingsweep_cli.local import applied, closing, journal, lock, s3server
from scalingsweep_cli.local import study as studies
from scalingsweep_cli.local.storage import LEAST_BESIDE_BYTES
from scalingsweep_cli.tables import writing
from support import disks, local_run
from support.s3 import S3

TABLE = "N,D,loss\n" + "".join(
    f"{n},{d},{1.7 + 400 / n**0.34 + 400 / d**0.28:.6f}\n"
    for n in (10_000_000, 40_000_000, 160_000_000)
    for d in (200_000_000, 800_000_000, 3_200_000_000)
)
MEND = "free some and run the same again; everything so far is kept"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with disks.small(tmp_path, "96m") as disk:
        yield disk


def beside(disk: Path, s3: S3, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> local_run.Study:
    """A study on that disk, whose storage is elsewhere."""
    for name, value in s3.access.keys().items():
        monkeypatch.setenv(name, value)
    # the one prefix under which the stand-in leaves results to be fetched
    storage = {"s3": s3.access.location("local").to_wire()}
    return local_run.study(disk, **{"storage": storage} | changes)


def test_it_is_told_before_anything_starts(
    disk: Path, s3: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = beside(disk, s3, monkeypatch)
    ballast = disks.fill(disk)
    status, _, err = study.run()
    assert status == 1
    assert err == f"error: {study.data / 'lock'}: its disk is full: {MEND}\n"
    ballast.unlink()
    status, out, err = study.run()
    assert (status, err) == (0, ""), out


def test_a_disk_that_fills_ends_the_run_and_the_next_one_goes_on(
    disk: Path, s3: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = beside(disk, s3, monkeypatch)
    study.acts(source=["sleep:100", "done"], scratch=["done"])
    run = study.start()
    source = study.pid_of("source")
    study.wait_for(lambda: list(disk.glob("done-*")))  # scratch has finished
    ballast = disks.fill(disk, leave=LEAST_BESIDE_BYTES // 2)
    status, _, err = local_run.finish(run)
    assert status == 1
    # the run looks while the disk is being filled
    place, words = re.escape(str(study.data)), re.escape(MEND)
    said = rf"error: {place}: its disk has \d\d MB left, and this study needs 67: {words}\n"
    assert re.fullmatch(said, err)
    assert not psutil.pid_exists(source)
    ballast.unlink()
    status, out, err = study.run()
    assert (status, err) == (0, ""), out
    assert [line for line in study.did if line.startswith("scratch")] == ["scratch/27k/0 1 0"]
    assert "source/27k/0 2 0" in study.did


def test_a_journal_that_cannot_grow_ends_all_processes(disk: Path, s3: S3) -> None:
    """Nothing can be recorded any more, not even how they ended: the next run finds them open."""
    arms = [
        {"name": "source", "corpus": "en", "budgets": {"tokens": ["250k"]}},
        {"name": "other", "corpus": "en", "budgets": {"tokens": ["700k"]}},
        {"name": "scratch", "corpus": "fr"},
    ]
    forever = {"limit": 100, "backoffSeconds": 0}
    study = local_run.study(disk, arms=arms, parallelTrialCount=3, retry=forever)
    study.acts(source=["hang"], other=["hang"], scratch=["Infrastructure"])
    pids: list[int] = []

    def fill() -> None:
        pids.extend([study.pid_of("source"), study.pid_of("other")])
        disks.fill(disk)

    filling = threading.Thread(target=fill)
    filling.start()
    with pytest.raises(DiskFull, match=rf"journal\.jsonl: its disk is full: {MEND}"):
        local_run.here(study, s3)
    filling.join()
    assert [psutil.pid_exists(pid) for pid in pids] == [False, False]
    (disk / "ballast").unlink()
    study.acts()
    end, heard = local_run.here(study, s3)
    assert end.phase is Phase.COMPLETE
    assert [klass for _, klass, _ in heard.said("source/27k/0")] == ["Done"]
    assert study.journal[-1]["class"] == "Done"


def test_results_are_copied_whole_or_not_at_all(disk: Path, s3: S3) -> None:
    made = local_run.study(disk)
    study = studies.make(files.sweep(disk / "sweep.yaml"), disk / "sweep.yaml", embedded=False)
    study.folder.make()
    store = s3.store()
    for name in closing.FILES:
        store.put(f"sweeps/local/small/{name}", b"new" * 10_000)
        (study.folder.home / name).write_bytes(b"old")
    ballast = disks.fill(disk, leave=40_000)  # the first of them has room
    with pytest.raises(DiskFull, match=rf"fit\.json: its disk is full: {MEND}"):
        closing.fetch(study, store)
    home = made.data / "sweeps" / "small"
    assert (home / "fit.json").read_bytes() == b"old"
    assert not list(home.glob(".*.part"))
    ballast.unlink()
    assert closing.fetch(study, store).read_bytes() == b"new" * 10_000


def test_a_download_does_not_wait_for_room(disk: Path, s3: S3) -> None:
    """It is not the server's fault, and would not pass in ten minutes."""
    store = s3.store()
    store.put("large", b"." * 2**20)
    patient = Store(store.location, keys=s3.access.keys(), patience=Patience())
    ballast = disks.fill(disk)
    began = time.monotonic()
    with pytest.raises(DiskFull, match=rf"{disk}: its disk is full: {MEND}"):
        patient.download_file("large", disk / "copy")
    assert time.monotonic() - began < 10
    assert list(disk.iterdir()) == [ballast]
    ballast.unlink()
    patient.download_file("large", disk / "copy")
    assert (disk / "copy").stat().st_size == 2**20


def test_small_records_name_themselves(disk: Path) -> None:
    study = local_run.study(disk)
    sweep = files.sweep(disk / "sweep.yaml")
    folder = studies.make(sweep, disk / "sweep.yaml", embedded=False).folder
    folder.make()
    with journal.Journal(folder.journal) as record:
        ballast = disks.fill(disk)
        with pytest.raises(DiskFull, match="journal"):
            record.begin(1.0)
        with pytest.raises(DiskFull, match="applied"):
            applied.settle(folder, sweep.spec, record)
    with pytest.raises(DiskFull, match="lock"), lock.hold(folder.lock):
        pass
    with pytest.raises(DiskFull, match="s3"):
        s3server.S3Server(study.data / "s3").start()
    ballast.unlink()
    with journal.Journal(folder.journal) as record:
        record.begin(2.0)
        assert record.first_start == 2.0
        applied.settle(folder, sweep.spec, record)


def test_tables_and_what_is_printed(disk: Path) -> None:
    """The command's stdout and stderr lie on the full disk, too: the status alone tells."""
    (disk / "runs.csv").write_text(TABLE)
    disks.fill(disk)
    with pytest.raises(DiskFull, match=r"t\.csv"):
        writing.write(disk / "t.csv", b"1")
    assert [path.name for path in disk.iterdir()].count("t.csv") == 0
    program = [sys.executable, "-m", "scalingsweep_cli.main", "fit", "runs.csv", "--bootstrap", "0"]
    with (disk / "out").open("wb") as out:
        plain = subprocess.run(
            program, cwd=disk, stdout=out, stderr=subprocess.PIPE, text=True, check=False
        )
        assert plain.returncode == 1
        assert plain.stderr == f"error: the output: its disk is full: {MEND}\n"
        assert (
            subprocess.run(program, cwd=disk, stdout=out, stderr=out, check=False).returncode == 1
        )
