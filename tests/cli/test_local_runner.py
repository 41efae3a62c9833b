"""The loop over real processes: every way that an attempt can end, and what comes of it."""

import json
import os
import signal
import stat
import threading
from pathlib import Path

import pytest

from scalingsweep.errors import DataError, SpecError
from scalingsweep.world import Phase
from support import local_run
from support.s3 import S3


def test_a_study_runs_in_order_and_a_second_run_trains_nothing(tmp_path: Path, s3: S3) -> None:
    study = local_run.study(tmp_path)
    end, heard = local_run.here(study, s3)
    assert end.phase is Phase.COMPLETE
    assert end.reason == "5 observations fitted"
    assert end.summary is not None
    assert end.summary.laws[0].name == "extended"
    assert heard.most == 2  # parallelTrialCount
    order = [line.split()[0] for line in study.did]
    assert order[0] == "prepare"
    assert order[-1] == "fit"
    assert order.index("source/27k/0") < order.index("cpt/27k/0")
    assert len(order) == 5
    for path in (study.data, *study.data.rglob("*")):
        if path.is_dir():
            assert stat.S_IMODE(path.stat().st_mode) == 0o700, path
    assert s3.access.secret_key not in "".join(
        path.read_text(errors="replace") for path in study.data.rglob("*") if path.is_file()
    )
    # again: prepare looks, nothing is trained, the fit is made again
    end, heard = local_run.here(study, s3)
    assert end.phase is Phase.COMPLETE
    assert study.did[5:] == ["prepare 2 0", "fit 2 0"]


def test_failures_that_may_pass_are_tried_again_after_a_pause(tmp_path: Path, s3: S3) -> None:
    study = local_run.study(tmp_path)
    study.acts(
        source=["crash", "done"], scratch=["OutOfMemory", "done"], cpt=["Superseded", "done"]
    )
    end, heard = local_run.here(study, s3)
    assert end.phase is Phase.COMPLETE
    (number, klass, message), last = heard.said("source/27k/0")
    assert (number, klass) == (1, "Infrastructure")
    assert message.startswith("ended by SIGKILL and left no outcome; see ")
    assert last[:2] == (2, "Done")
    assert "scratch/27k/0 2 1" in study.did  # the micro-batch is halved once
    assert [klass for _, klass, _ in heard.said("cpt/27k/0")] == ["Superseded", "Done"]
    ends = {(e["work"], e["number"]): e["time"] for e in study.journal if e["event"] == "end"}
    for event in study.journal:
        if event["event"] == "start" and event["number"] == 2:
            assert event["time"] - ends[event["work"], 1] >= 0.2  # retry.backoffSeconds


def test_what_outcomes_claim_is_not_believed(tmp_path: Path, s3: S3) -> None:
    study = local_run.study(tmp_path, retry={"limit": 4, "backoffSeconds": 0})
    study.acts(source=["garbage", "oversized", "link", "liar", "done"])
    end, heard = local_run.here(study, s3)
    assert end.phase is Phase.COMPLETE
    said = heard.said("source/27k/0")
    assert [klass for _, klass, _ in said] == ["Infrastructure"] * 4 + ["Done"]
    for (_, _, message), why in zip(
        said, ["is no JSON", "over 4096 bytes", "cannot be read", "are missing"], strict=False
    ):
        assert why in message


def test_the_sweep_goes_on_without_what_is_given_up(tmp_path: Path, s3: S3) -> None:
    study = local_run.study(tmp_path)
    study.acts(source=["Diverged"], scratch=["crash", "done"])
    end, heard = local_run.here(study, s3)
    assert end.phase is Phase.COMPLETE
    assert end.reason == "2 observations fitted, 3 missing"
    assert [str(e.order.work) for e in end.failures] == ["source/27k/0"]
    assert not heard.said("cpt/27k/0")  # skipped with its source
    # a new run forgives, and keeps counting
    study.acts(source=["Diverged", "done"])
    end, heard = local_run.here(study, s3)
    assert end.reason == "5 observations fitted"
    assert [number for number, _, _ in heard.said("source/27k/0")] == [2]
    assert [number for number, _, _ in heard.said("cpt/27k/0")] == [1]


def test_retries_have_an_end(tmp_path: Path, s3: S3) -> None:
    study = local_run.study(tmp_path)
    study.acts(source=["Infrastructure"], scratch=["Infrastructure"])
    end, heard = local_run.here(study, s3)
    assert end.phase is Phase.FAILED
    assert "no trial finished" in end.reason
    assert len(heard.said("scratch/27k/0")) == 2  # retry.limit 1


@pytest.mark.parametrize(
    ("klass", "error"), [("BadConfiguration", SpecError), ("BadData", DataError)]
)
def test_what_prepare_refuses_names_the_field(
    klass: str, error: type[SpecError], tmp_path: Path, s3: S3
) -> None:
    study = local_run.study(tmp_path)
    study.acts(prepare=[klass])
    with pytest.raises(error) as refused:
        local_run.here(study, s3)
    assert str(refused.value) == f"spec.corpora[0].uri: {klass} of the stand-in"
    assert len(study.did) == 1


def test_a_killed_worker_is_replaced(tmp_path: Path, s3: S3) -> None:
    study = local_run.study(tmp_path)
    study.acts(source=["hang", "done"])
    killer = threading.Thread(
        target=lambda: os.kill(study.pid_of("source"), signal.SIGKILL), daemon=True
    )
    killer.start()
    end, heard = local_run.here(study, s3)
    assert end.phase is Phase.COMPLETE
    assert [klass for _, klass, _ in heard.said("source/27k/0")] == ["Infrastructure", "Done"]


def test_a_deadline_stops_what_runs_and_fits_what_there_is(tmp_path: Path, s3: S3) -> None:
    study = local_run.study(tmp_path, limits={"deadline": "5s"})
    study.acts(source=["hang"])  # it does not leave by itself: it is killed after its grace
    end, heard = local_run.here(study, s3)
    assert end.phase is Phase.COMPLETE
    assert "limits.deadline 5s has passed" in end.reason
    assert heard.said("source/27k/0")[0][1:] == ("Preempted", "ended before it had saved")


def test_a_worker_that_cannot_be_started_is_an_end_too(tmp_path: Path, s3: S3) -> None:
    study = local_run.study(tmp_path, retry={"limit": 1, "backoffSeconds": 0})
    end, heard = local_run.here(study, s3, worker=("/nowhere/worker",))
    assert end.phase is Phase.FAILED
    assert len(heard.said("prepare")) == 2
    assert "nowhere" in (study.data / "sweeps/small/logs/prepare-a1.log").read_text()


def test_gpu_time_of_earlier_runs_is_kept(tmp_path: Path, s3: S3) -> None:
    study = local_run.study(tmp_path)
    local_run.here(study, s3)
    path = study.data / "sweeps/small/journal.jsonl"
    used = {"pid": 1, "born": 1.0, "gpus": 8, "fitted": 0}
    start = {"event": "start", "work": "gone/27k/0", "number": 1, "time": 0.0, **used}
    ended = {"event": "end", "work": "gone/27k/0", "number": 1, "time": 450.0, "class": "Done"}
    with path.open("a") as file:
        file.write(json.dumps(start) + "\n")
        file.write(json.dumps(ended | {"message": "", "budgets": []}) + "\n")
    from scalingsweep_cli.local.journal import Journal

    with Journal(path) as record:
        record.begin(1e9)
        assert record.earlier_gpu_seconds() == 3600
