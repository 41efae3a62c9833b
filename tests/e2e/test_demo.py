"""The quickstart as a newcomer runs it, on the demo's real English and French: about 12 minutes."""

import html
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from scalingsweep import observations

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.e2e

Cell = tuple[str, int]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the finished study's results."""
    folder = tmp_path_factory.mktemp("demo")
    text = folder / "text"
    subprocess.run(
        [sys.executable, "-m", "hack.demo_text", text], cwd=ROOT, check=True, timeout=600
    )
    shutil.copy(ROOT / "examples/quickstart/sweep.yaml", folder)
    corpora = [f"--corpus={name}={text / name}" for name in ("en", "fr")]
    subprocess.run(
        [sys.executable, "-m", "scalingsweep_cli.main", "run", "sweep.yaml", *corpora],
        cwd=folder,
        check=True,
        timeout=3600,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    return folder / ".scalingsweep/sweeps/quickstart"


def losses(results: Path, arm: str, corpus: str) -> dict[Cell, float]:
    """(size, D) → the loss of an arm on a corpus."""
    text = (results / "observations.csv").read_text()
    rows, _ = observations.from_csv(text, "observations.csv")
    return {(row["size"], row["D"]): row[f"loss_{corpus}"] for row in rows if row["arm"] == arm}


def test_cpt_is_below_scratch_at_every_size_and_budget(results: Path) -> None:
    scratch, cpt = losses(results, "scratch", "fr"), losses(results, "cpt", "fr")
    assert len(scratch) == len(cpt) == 12
    assert [cell for cell in scratch if cpt[cell] >= scratch[cell]] == []


def test_replay_keeps_english_from_being_forgotten(results: Path) -> None:
    source = {size: loss for (size, _), loss in losses(results, "source", "en").items()}
    cpt, replay = losses(results, "cpt", "en"), losses(results, "cpt-replay", "en")
    for (size, D), loss in cpt.items():
        forgotten, kept = loss - source[size], replay[size, D] - source[size]
        assert kept < forgotten / 3


def test_the_extended_law_is_fitted_in_both_arms_with_intervals(results: Path) -> None:
    fits = json.loads((results / "fit.json").read_text())["fits"]
    extended = next(fit for fit in fits if fit["law"] == "extended")
    for arm in ("scratch", "cpt"):
        gamma = extended["parameters"][f"gamma[{arm}]"]
        assert gamma["low"] < gamma["value"] < gamma["high"]
    contrast = extended["contrasts"]["gamma[cpt]-gamma[scratch]"]
    assert contrast["low"] < contrast["high"]


def test_what_the_grid_leaves_loose_is_said_on_the_page(results: Path) -> None:
    fits = json.loads((results / "fit.json").read_text())["fits"]
    page = html.unescape((results / "report.html").read_text())
    assert "What is missing or not identified" in page
    assert any(not found["identified"] for fit in fits for found in _parameters(fit).values())
    for warning in (text for fit in fits for text in fit["warnings"]):
        assert warning in page


def _parameters(fit: Mapping[str, Any]) -> Mapping[str, Any]:
    parameters: Mapping[str, Any] = fit["parameters"]
    return parameters
