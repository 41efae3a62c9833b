import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from scalingsweep_cli import main
from support import command, manifests


def write(folder: Path, **changes: Any) -> str:
    """A manifest of the small study; its path."""
    path = folder / "sweep.yaml"
    path.write_text(yaml.safe_dump(manifests.whole(manifests.small() | changes)))
    return str(path)


def text(folder: Path, name: str, size: int) -> None:
    (folder / "text" / name).mkdir(parents=True)
    (folder / "text" / name / "a.txt").write_text("x" * size)


def test_what_a_person_reads_is_plain_and_fits_80_columns(tmp_path: Path) -> None:
    text(tmp_path, "en", 5_000_000)
    done = command.run("plan", write(tmp_path))
    assert done.returncode == 0, done.stderr
    said = done.stdout
    assert "\x1b" not in said
    assert "small: 8 trials, 20 observations" in said
    assert "H100, assumed (none is named); 40% MFU, assumed" in said
    assert "5 MB in 1 files" in said
    assert "! fr: there is no folder text/fr" in said
    wide = [line for line in said.splitlines() if len(line) > 80 and line[0] not in "!·✓ "]
    assert not wide
    assert "…" not in said.replace(" … ", "")


def test_one_object(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text(tmp_path, "en", 1_000_000)
    text(tmp_path, "fr", 5_000_000)
    assert main.main(["plan", write(tmp_path), "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert (value["trials"], value["observations"]) == (8, 20)
    assert value["flops"] > value["flopsTrained"] > 0
    assert value["gpuHours"] > 0
    assert value["identifiability"]
    english, french = value["corpora"]
    assert english["available"] == {
        "files": 1,
        "bytes": 1_000_000,
        "mostTokens": 1_000_001,
        "tokens": None,
    }
    (short,) = [words for words in value["warnings"] if words.startswith("en: ")]
    assert "has at most 1M with 1 passes allowed" in short
    assert "raise maxEpochs" in short
    assert french["available"]["bytes"] == 5_000_000


def test_text_of_another_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corpora = [
        {"name": name, "uri": f"s3://corpora/{name}/", "format": "text"} for name in ("en", "fr")
    ]
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "b.txt").write_text("y" * 7000)
    path = write(tmp_path, corpora=corpora)
    assert main.main(["plan", path, "--json", "--corpus", f"en={tmp_path / 'here'}"]) == 0
    english, french = json.loads(capsys.readouterr().out)["corpora"]
    assert english["available"]["bytes"] == 7000
    assert french["available"]["bytes"] is None


def test_a_grid_that_cannot_tell_is_answered_and_said_to_be_refused(tmp_path: Path) -> None:
    collinear = {
        "budgets": {"tokensPerParameter": [20]},
        "arms": [{"name": "scratch", "corpus": "fr"}],
        "training": manifests.small()["training"] | {"schedule": {"warmup": {"tokens": 5120}}},
    }
    done = command.run("plan", write(tmp_path, **collinear))
    assert done.returncode == 0
    assert "`scalingsweep run` refuses this grid" in done.stdout
    assert "spec.fit.identifiability: Warn" in done.stdout
