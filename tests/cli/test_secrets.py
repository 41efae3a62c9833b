"""Credentials are in one file and in the environment of the processes that need them, only."""

import json
import secrets
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import yaml

from scalingsweep.store import Store
from scalingsweep_cli.local import orders, s3server
from support import command, local_run, texts

MARK = "marked" + secrets.token_hex(8)
KEYS = {"accessKey": f"{MARK}access", "secretKey": f"{MARK}secret"}
TOKEN = f"{MARK}token"
"""Of another program of the user's; none of our processes needs it."""


@contextmanager
def watched() -> Iterator[tuple[set[str], list[dict[str, str]]]]:
    """Command lines of all processes that live during the block, and environments of workers."""
    lines: set[str] = set()
    environments: list[dict[str, str]] = []
    stop = threading.Event()

    def look() -> None:
        while not stop.wait(0.2):
            for process in psutil.process_iter():
                try:
                    lines.add("\0".join(process.cmdline()))
                    found = process.environ()
                except (psutil.Error, OSError):
                    continue
                if "SCALINGSWEEP_ATTEMPT" in found:
                    environments.append(found)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield lines, environments
    finally:
        stop.set()
        thread.join()


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]


def leaks(folder: Path) -> list[str]:
    """Files that hold the marker and are not the one that must."""
    return [
        str(path.relative_to(folder))
        for path in files(folder)
        if MARK.encode() in path.read_bytes() and path.name != "credentials.json"
    ]


def modes(folder: Path) -> dict[str, str]:
    """Paths that others than their owner may open."""
    return {
        str(path.relative_to(folder)): stat.filemode(path.lstat().st_mode)
        for path in [folder, *folder.rglob("*")]
        if not path.is_symlink()
        and path.lstat().st_mode & 0o077
        and not stat.S_ISSOCK(path.lstat().st_mode)
        and path.suffix != ".vif"  # the server's own, which it opens up itself, in a 0700 folder
    }


def marked(study: Path) -> Path:
    """The embedded server's folder, with the marked keys."""
    for folder in (study / ".scalingsweep", study / ".scalingsweep" / "s3"):
        folder.mkdir(mode=0o700)
    path = study / ".scalingsweep" / "s3" / "credentials.json"
    path.write_text(json.dumps(KEYS))
    path.chmod(0o600)
    return path.parent


def objects(server: s3server.S3Server) -> bytes:
    """Every object of the bucket, keys and contents."""
    store = Store(server.access.location(""), keys=server.access.keys())
    return b"\n".join(key.encode() + b"\n" + store.get(key) for key in store.list(""))


def test_the_embedded_server_tells_nobody(tmp_path: Path) -> None:
    home = marked(tmp_path)
    with watched() as (lines, _), s3server.S3Server(home) as server:
        Store(server.access.location("p"), keys=server.access.keys()).put_json("a", {})
        server.restart()
    assert not [line for line in lines if MARK in line]
    assert leaks(tmp_path) == []
    assert modes(tmp_path / ".scalingsweep") == {}


@pytest.mark.e2e
def test_a_whole_study_tells_nobody(tmp_path: Path) -> None:
    """The real trainer, one small trial; then the commands that read, and one that fails."""
    texts.write(tmp_path)
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(tiny()))
    home = marked(tmp_path)
    foreign = {"HF_TOKEN": TOKEN, "AWS_PROFILE": TOKEN, "MY_PASSWORD": TOKEN}
    with watched() as (lines, environments):
        run = command.run("run", "sweep.yaml", cwd=tmp_path, environment=foreign, timeout=600)
        assert run.returncode == 0, run.stdout + run.stderr
        done = [
            command.run(*words, cwd=tmp_path, environment=foreign)
            for words in (
                ("results", "sweep.yaml", "--format", "json"),
                ("report", "sweep.yaml"),
                ("export", "sweep.yaml", "model", "--trial", "scratch/xs"),
                ("export", "sweep.yaml", "model", "--trial", "scratch/none"),
            )
        ]
    assert [one.returncode for one in done] == [0, 0, 0, 2]
    said = "".join(one.stdout + one.stderr for one in (run, *done))
    assert MARK not in said
    assert not [line for line in lines if MARK in line]
    assert environments, "no worker was seen"
    assert any(KEYS["secretKey"] in found.values() for found in environments)
    assert not [found for found in environments if TOKEN in found.values()]
    assert leaks(tmp_path) == []
    assert modes(tmp_path / ".scalingsweep") == {}
    with s3server.S3Server(home) as server:
        assert MARK.encode() not in objects(server)


def test_keys_that_are_refused_are_not_told(tmp_path: Path) -> None:
    """A given bucket: what is wrong with the keys is said without them."""
    (tmp_path / "study").mkdir()
    study = local_run.study(tmp_path / "study")
    with s3server.S3Server(tmp_path / "other") as server:
        spec = yaml.safe_load((study.folder / "sweep.yaml").read_text())
        spec["spec"]["storage"] = {"s3": server.access.location("p").to_wire()}
        (study.folder / "sweep.yaml").write_text(yaml.safe_dump(spec))
        wrong = {"AWS_ACCESS_KEY_ID": f"{MARK}access", "AWS_SECRET_ACCESS_KEY": f"{MARK}secret"}
        with watched() as (lines, _):
            done = command.run("run", "sweep.yaml", cwd=study.folder, environment=wrong)
    assert done.returncode == 2
    assert MARK not in done.stdout + done.stderr
    assert not [line for line in lines if MARK in line]
    assert leaks(study.folder) == []


def test_what_a_worker_inherits() -> None:
    given = {
        "PATH": "/bin", "LC_ALL": "C", "NCCL_DEBUG": "INFO", "https_proxy": "http://p",
        "CUDA_HOME": "/c", "AWS_SECRET_ACCESS_KEY": "s", "HF_TOKEN": "t", "SCALINGSWEEP_X": "x",
    }  # fmt: skip
    kept = orders.inherited(given)
    assert set(kept) == {"PATH", "LC_ALL", "NCCL_DEBUG", "https_proxy", "CUDA_HOME"}


def tiny() -> dict[str, object]:
    validation = {"fraction": 0.1, "maxTokens": 1000}
    corpus = {"format": "text", "groupBy": "file", "validation": validation}
    shape = {"name": "xs", "hiddenSize": 8, "intermediateSize": 32, "layers": 1, "heads": 2}
    return {
        "apiVersion": "scalingsweep.dev/v1alpha1",
        "kind": "ScalingSweep",
        "metadata": {"name": "tiny"},
        "spec": {
            "corpora": [{"name": "en", "uri": "en", **corpus}],
            "tokenizer": {"train": {"vocabSize": 300, "corpora": ["en"]}},
            "model": {"contextLength": 32, "sizes": [shape]},
            "arms": [{"name": "scratch", "corpus": "en"}],
            "budgets": {"tokens": ["2k", "4k"]},
            "training": {
                "batchTokens": {"value": 256},
                "learningRate": {"value": 0.005},
                "schedule": {"warmup": {"tokens": 256}},
                "precision": "fp32",
            },
            "fit": {"bootstrap": 100, "identifiability": "Warn", "laws": ["chinchilla"]},
        },
    }
