"""A manifest that is edited between runs, and storage that is not what the manifest says."""

import json
import random
import socket
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml

from scalingsweep_cli.local import s3server
from support import command, local_run
from support.s3 import S3


def edit(study: local_run.Study, **changes: Any) -> None:
    """Change top-level fields of the manifest's spec."""
    path = study.folder / "sweep.yaml"
    manifest = yaml.safe_load(path.read_text())
    manifest["spec"] |= changes
    path.write_text(yaml.safe_dump(manifest))


def training(study: local_run.Study, **changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = yaml.safe_load((study.folder / "sweep.yaml").read_text())
    return {**made["spec"]["training"], **changes}


def test_edits_between_runs(tmp_path: Path) -> None:
    study = local_run.study(tmp_path)
    assert study.run()[0] == 0
    applied = study.data / "sweeps" / "small" / "applied.json"
    assert stat.S_IMODE(applied.stat().st_mode) == 0o600
    before, did = applied.read_bytes(), list(study.did)
    good = training(study)
    edit(study, training=training(study, precision="bf16"))
    for words in (("run",), ("results",), ("report",)):
        done = command.run(*words, "sweep.yaml", cwd=tmp_path)
        assert done.returncode == 2, done.stdout
        assert done.stderr.startswith('error: spec.training.precision: was "fp32" and is "bf16": ')
        assert "name the study anew in metadata.name" in done.stderr
    assert applied.read_bytes() == before
    assert study.did == did, "nothing was started"
    edit(study, training=good, parallelTrialCount=1, retry={"limit": 0}, fit={
        "identifiability": "Warn", "laws": ["chinchilla"]}, limits={"gpuHours": 5})  # fmt: skip
    status, out, err = study.run()
    assert (status, err) == (0, ""), out
    assert json.loads(applied.read_text())["limits"] == {"gpuHours": 5}


def test_before_any_trial_everything_may_be_mended(tmp_path: Path) -> None:
    study = local_run.study(tmp_path)
    study.acts(prepare=["BadData", "done"])
    assert study.run()[0] == 2
    edit(study, training=training(study, precision="bf16"))
    status, out, err = study.run()
    assert (status, err) == (0, ""), out


def test_an_edit_under_a_running_sweep_waits_for_it(tmp_path: Path) -> None:
    study = local_run.study(tmp_path)
    study.acts(source=["sleep:4"], scratch=["done"])
    run = study.start()
    study.pid_of("source")
    edit(study, training=training(study, precision="bf16"))
    status, _, err = study.run()
    assert status == 2
    assert "is at work here: wait for it, or stop it with Ctrl-C" in err
    status, out, err = local_run.finish(run)
    assert (status, err) == (0, ""), out


def test_a_record_that_is_none_of_ours(tmp_path: Path) -> None:
    study = local_run.study(tmp_path)
    assert study.run()[0] == 0
    (study.data / "sweeps" / "small" / "applied.json").write_text("{")
    status, _, err = study.run()
    assert status == 2
    assert "applied.json: is no spec of ours: remove it" in err


KEYS = {"AWS_ACCESS_KEY_ID": "wrong", "AWS_SECRET_ACCESS_KEY": "wrong"}


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ("keys", ("spec.storage.s3.credentialsSecret", "check the credentials in AWS_*")),
        ("no keys", ("spec.storage.s3.credentialsSecret", "set AWS_ACCESS_KEY_ID")),
        ("bucket", ("spec.storage.s3.bucket", "no bucket 'missing'", "create or correct it")),
        ("name", ("spec.storage.s3.endpoint", "correct it")),
    ],
)
def test_storage_that_is_not_what_it_should_be(
    wrong: str, says: tuple[str, ...], tmp_path: Path, s3: S3
) -> None:
    location = s3.access.location("p").to_wire()
    if wrong == "bucket":
        location["bucket"] = "missing"
    if wrong == "name":
        location["endpoint"] = "http://no-such-machine.invalid:1"
    made = study_on(tmp_path, location)
    keys = {"keys": KEYS, "no keys": {}}.get(wrong, s3.access.keys())
    done = command.run("run", "sweep.yaml", cwd=made, environment=keys)
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: ")
    for words in says:
        assert words in done.stderr


def study_on(folder: Path, location: dict[str, Any]) -> Path:
    """A study with real text, whose prepare is the real one."""
    made = local_run.study(folder, storage={"s3": location})
    for name in ("en", "fr"):
        (folder / "text" / name).mkdir(parents=True)
        for page in range(3):
            (folder / "text" / name / f"{page}.txt").write_text(f"{name} {page}\n")
    return made.folder


def test_ports_that_are_taken_are_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another program sits on the ports that the server would take first."""
    taken = [socket.socket() for _ in range(3)]
    for one in taken:
        one.bind(("127.0.0.1", 0))
        one.listen()
    busy = [one.getsockname()[1] for one in taken]
    candidates = [*busy, *range(20_000, 20_200)]
    monkeypatch.setattr(random, "sample", lambda ports, count: candidates)
    with s3server.S3Server(tmp_path / "s3") as server:
        ports = json.loads((tmp_path / "s3" / "server.json").read_text())["ports"]
        assert set(ports.values()).isdisjoint(busy)
        assert server.pid is not None
    for one in taken:
        one.close()
