import csv
import io
import json
from pathlib import Path

import pytest

from scalingsweep import manifest, plan
from scalingsweep.errors import SpecError
from scalingsweep_cli.commands import export
from support import command, manifests, past
from support.s3 import S3


def test_results_so_far(tmp_path: Path, s3: S3) -> None:
    past.make(tmp_path, s3, skip=3)
    keys = s3.access.keys()
    table = command.run("results", "sweep.yaml", cwd=tmp_path, environment=keys)
    assert table.returncode == 0, table.stderr
    assert "17 observations of 20 planned" in table.stdout
    assert "missing: replay/55k/0" in table.stdout
    assert "\x1b" not in table.stdout
    text = command.run("results", "sweep.yaml", "--format=csv", cwd=tmp_path, environment=keys)
    rows = list(csv.DictReader(io.StringIO(text.stdout)))
    assert len(rows) == 17
    assert {"arm", "N", "D_target", "loss_fr", "bpb_en"} <= rows[0].keys()
    value = command.run("results", "sweep.yaml", "--format=json", cwd=tmp_path, environment=keys)
    found = json.loads(value.stdout)
    assert len(found["observations"]) == 17
    assert len(found["missing"]) == 3
    assert found["observations"][0]["loss_en"] == float(rows[0]["loss_en"])


def test_their_csv_is_a_table_for_fit(tmp_path: Path, s3: S3) -> None:
    model = {"contextLength": 128, "sizes": ["27k", "55k", "110k", "220k"]}
    past.make(tmp_path, s3, model=model)
    keys = s3.access.keys()
    text = command.run("results", "sweep.yaml", "--format=csv", cwd=tmp_path, environment=keys)
    (tmp_path / "observations.csv").write_text(text.stdout)
    options = ("--corpus", "fr", "--arm", "scratch", "--bootstrap", "0", "--json")
    done = command.run("fit", "observations.csv", *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["arms"] == ["scratch"]
    assert found["parameters"]["alpha"]["value"] == pytest.approx(past.LAW.alpha, rel=0.01)


def test_a_report_is_made_again(tmp_path: Path, s3: S3) -> None:
    model = {"contextLength": 128, "sizes": ["27k", "55k", "110k", "220k"]}
    past.make(tmp_path, s3, skip=1, model=model, fit={"bootstrap": 100, "laws": ["chinchilla"]})
    keys = s3.access.keys()
    options = ("report", "sweep.yaml", "--out", "page.html")
    done = command.run(*options, cwd=tmp_path, environment=keys)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "page.html\n"
    assert "<html" in (tmp_path / "page.html").read_text()
    home = tmp_path / ".scalingsweep" / "sweeps" / "small"
    assert len(json.loads((home / "fit.json").read_text())["missing"]) == 1


def test_a_study_without_any_observation_has_no_report(tmp_path: Path, s3: S3) -> None:
    past.make(tmp_path, s3, skip=20)
    done = command.run("report", "sweep.yaml", cwd=tmp_path, environment=s3.access.keys())
    assert done.returncode == 3
    assert done.stderr == "error: no observation is there yet: no trial has finished\n"


def test_export_says_what_there_is(tmp_path: Path, s3: S3) -> None:
    past.make(tmp_path, s3)
    options = ("export", "sweep.yaml", "--trial", "cpt/50k", "out")
    done = command.run(*options, cwd=tmp_path, environment=s3.access.keys())
    assert done.returncode == 2
    assert done.stderr.startswith("error: --trial: there is no 'cpt/50k'; there are source/27k/0")


def test_export_finds_the_trial_and_the_budget() -> None:
    planned = manifests.planned()
    trial, D = export.chosen(planned, "cpt/27k", None)
    assert (trial.key.arm, trial.key.size, D) == ("cpt", "27k", max(trial.budgets))
    assert export.chosen(planned, "cpt/27k/0", "250k") == (trial, min(trial.budgets))
    with pytest.raises(SpecError, match="--tokens: cpt/27k has no model at 1M; it has"):
        export.chosen(planned, "cpt/27k", "1M")
    seeds = manifests.planned(training=manifests.small()["training"] | {"seeds": [0, 7]})
    with pytest.raises(SpecError, match="seeds 0, 7: name one"):
        export.chosen(seeds, "cpt/27k", None)
    assert export.chosen(seeds, "cpt/27k/7", None)[0].key.seed == 7


def test_export_under_cosine_takes_the_run_of_the_budget() -> None:
    schedule = {"schedule": {"type": "cosine", "warmup": {"tokens": 51200}}}
    planned = manifests.planned(training=manifests.small()["training"] | schedule)
    trial, D = export.chosen(planned, "scratch/55k", "700k")
    assert trial.budgets == (D,)
    assert export.chosen(planned, "scratch/55k", None)[1] == max(
        D for trial, D in planned.observations if trial.key.arm == "scratch"
    )


def test_export_never_writes_over_anything(tmp_path: Path, s3: S3) -> None:
    past.make(tmp_path, s3)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("")
    options = ("export", "sweep.yaml", "--trial", "cpt/27k", "full")
    done = command.run(*options, cwd=tmp_path, environment=s3.access.keys())
    assert done.returncode == 2
    assert done.stderr == "error: full: is a folder that holds something: name a new one\n"


def test_a_manifest_that_changed_since_its_run_is_told(tmp_path: Path, s3: S3) -> None:
    path = past.make(tmp_path, s3)
    changed = path.read_text().replace("name: fr\n", "name: de\n").replace("- fr\n", "- de\n")
    path.write_text(changed.replace("corpus: fr\n", "corpus: de\n"))
    plan.make(manifest.parse(path.read_text()).spec)
    done = command.run("results", "sweep.yaml", cwd=tmp_path, environment=s3.access.keys())
    assert done.returncode == 2
    assert done.stderr.startswith("error: spec.corpora: changed since the last run: ")
