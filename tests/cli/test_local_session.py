"""The command `run` as a process: what a user sees, and that it survives whatever kills it."""

import json
import os
import re
import signal
from pathlib import Path

import psutil
import pytest

from support import local_run, manifests

NOT_EMBEDDED = (
    "error: spec.corpora[0].uri: s3://b/en/ is not in the embedded storage: "
    "bring a folder with --corpus en=FOLDER"
)


def _weed(study: local_run.Study) -> int:
    record = json.loads((study.data / "s3" / "server.json").read_text())
    return int(record["pid"])


def _leftovers(study: local_run.Study) -> list[psutil.Process]:
    """Processes of any kind that belong to the study's folder."""
    found = []
    for process in psutil.process_iter():
        try:
            told = " ".join([*process.cmdline(), *process.environ().values()])
        except psutil.Error:
            continue
        if str(study.data) in told and process.status() != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


def test_a_run_without_a_terminal(tmp_path: Path) -> None:
    study = local_run.study(tmp_path)
    study.acts(scratch=["stored"], source=["Infrastructure", "done"])
    status, out, err = study.run()
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert all(line.isprintable() for line in lines)  # no control codes
    for line in (
        "start  scratch/27k/0",
        "FAILED source/27k/0 (attempt 1): Infrastructure: Infrastructure of the stand-in",
        "start  source/27k/0 (attempt 2)",
        "loss   scratch/27k/0 3.250",
    ):
        assert line in lines
    assert re.search(r"alpha +0\.33 +0\.3 … 0\.36", out)
    report = Path(lines[-1])
    assert report == study.data / "sweeps" / "small" / "report.html"
    for name in ("report.html", "fit.json", "observations.csv"):
        assert (report.parent / name).read_text() == "from the stand-in"
    assert not _leftovers(study)


def test_ctrl_c_saves_and_the_same_command_goes_on(tmp_path: Path) -> None:
    study = local_run.study(tmp_path)
    study.acts(source=["sleep:100", "done"], scratch=["hang", "done"])
    run = study.start()
    study.pid_of("source")
    study.pid_of("scratch")
    # beside it no second runner comes in, and says who is in
    status, _, err = study.run()
    assert status == 2
    assert f"another `scalingsweep run` (process {run.pid}) is at work here" in err
    assert err.count("\n") == 1
    run.send_signal(signal.SIGINT)
    status, out, err = local_run.finish(run)
    assert status == 130
    assert err == ""
    assert "left   source/27k/0: Preempted: saved" in out
    assert "left   scratch/27k/0: Preempted: ended before it had saved" in out
    assert out.splitlines()[-1] == f"· to go on: scalingsweep run {tmp_path / 'sweep.yaml'}"
    assert not _leftovers(study)
    status, out, err = study.run()
    assert (status, err) == (0, "")
    assert "start  source/27k/0 (attempt 2)" in out


def test_kill_9_of_the_runner_and_of_the_server(tmp_path: Path) -> None:
    study = local_run.study(tmp_path)
    study.acts(source=["hang", "sleep:2", "done"], scratch=["done"])
    run = study.start()
    orphan = study.pid_of("source")
    study.wait_for(lambda: list(tmp_path.glob("done-*")))  # scratch has finished
    run.kill()
    run.communicate()
    assert orphan in [process.pid for process in _leftovers(study)]
    run = study.start()
    study.wait_for(lambda: len([line for line in study.did if line.startswith("source")]) == 2)
    # ended first, though deaf to SIGTERM
    assert orphan not in [process.pid for process in _leftovers(study)]
    dead = _weed(study)
    os.kill(dead, signal.SIGKILL)
    status, out, err = local_run.finish(run)
    assert (status, err) == (0, "")
    assert "that an earlier run had left behind" in out
    assert "the S3 server had died" in out
    assert len([line for line in study.did if line.startswith("scratch")]) == 1  # never again
    assert "5 observations fitted" in out
    assert not _leftovers(study)


def test_sigterm_and_a_second_signal_end_at_once(tmp_path: Path) -> None:
    study = local_run.study(tmp_path)
    study.acts(prepare=["hang"])
    run = study.start()
    study.pid_of("prepare")
    run.send_signal(signal.SIGTERM)
    run.send_signal(signal.SIGINT)
    status, _, err = local_run.finish(run)
    assert status in {130, 143}  # signals that come together are delivered in no order
    assert err == ""
    assert not _leftovers(study)


@pytest.mark.parametrize(
    ("changes", "options", "line"),
    [
        ({"suspend": True}, [], "error: spec.suspend: is true: set it to false to run"),
        ({}, ["--corpus", "de=."], "error: --corpus: no corpus is called 'de'; there are en, fr"),
        ({}, ["--corpus", "en"], "error: --corpus: 'en' is not NAME=FOLDER"),
        ({}, ["--corpus", "en=no/where"], "error: --corpus: no/where: there is no such folder"),
        (
            {
                "corpora": [
                    {"name": "en", "uri": "s3://b/en/", "format": "text"},
                    {"name": "fr", "uri": "fr", "format": "text"},
                ]
            },
            [],
            NOT_EMBEDDED,
        ),
    ],
)
def test_bad_input_is_one_line(
    changes: dict[str, object],
    options: list[str],
    line: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from scalingsweep_cli import main

    study = local_run.study(tmp_path, **changes)
    assert main.main(["run", str(study.folder / "sweep.yaml"), *options]) == 2
    assert capsys.readouterr().err == f"{line}\n"


def test_a_grid_that_cannot_tell_its_law_is_refused_before_anything_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from scalingsweep_cli import main

    study = local_run.study(tmp_path, fit={})  # one size: nothing tells alpha
    assert main.main(["run", str(study.folder / "sweep.yaml")]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: spec.budgets: ")
    assert "spec.fit.identifiability: Warn" in err
    assert not study.data.exists()


def test_corpora_are_replaced_and_nothing_else() -> None:
    from scalingsweep.api.sweep import ScalingSweep
    from scalingsweep_cli.local import study

    sweep = ScalingSweep.from_wire(manifests.whole(manifests.small()))
    here = Path(__file__).parent
    changed = study.with_corpora(sweep, ["fr=."], here)
    assert [corpus.uri for corpus in changed.spec.corpora] == ["text/en", str(here)]
    back = changed.spec.corpora[1].model_copy(update={"uri": "text/fr"})
    assert back == sweep.spec.corpora[1]
    assert changed.spec.model_copy(update={"corpora": sweep.spec.corpora}) == sweep.spec
