import json
from pathlib import Path

import pytest

from scalingsweep_cli import main
from support import command

DATA = Path(__file__).parents[1] / "data"


def test_a_published_table(capsys: pytest.CaptureFixture[str]) -> None:
    table = str(DATA / "kyotakano_chinchilla.csv")
    assert main.main(["fit", table, "--bootstrap", "400", "--json"]) == 0
    fit = json.loads(capsys.readouterr().out)
    assert fit["law"] == "chinchilla"
    assert fit["rows"] == 234
    assert fit["objective"]["value"] == pytest.approx(8.40e-4, rel=2e-3)
    values = {name: found["value"] for name, found in fit["parameters"].items()}
    assert values["alpha"] == pytest.approx(0.343, abs=1e-3)
    assert values["beta"] == pytest.approx(0.342, abs=1e-3)
    assert values["E"] == pytest.approx(1.784, abs=1e-3)
    alpha = fit["parameters"]["alpha"]
    assert alpha["low"] < alpha["value"] < alpha["high"]


def test_arms_are_fitted_apart_and_together(capsys: pytest.CaptureFixture[str]) -> None:
    table = [str(DATA / "gadre_104.csv"), "--by", "dataset", "--corpus", "c4_val"]
    chosen = [*table, "--arm", "rpj", "--arm", "c4_original", "--bootstrap", "0", "--json"]
    assert main.main(["fit", *chosen]) == 0
    apart = json.loads(capsys.readouterr().out)["fits"]
    assert [fit["arms"] for fit in apart] == [["c4_original"], ["rpj"]]
    assert {fit["corpus"] for fit in apart} == {"c4_val"}
    assert main.main(["fit", *chosen, "--joint"]) == 0
    together = json.loads(capsys.readouterr().out)
    assert together["arms"] == ["c4_original", "rpj"]
    assert {"alpha", "beta[rpj]"} <= together["parameters"].keys()


def test_what_a_person_reads_is_plain_and_fits_80_columns() -> None:
    table = str(DATA / "kyotakano_chinchilla.csv")
    options = ("--law", "extended", "--bootstrap", "100")
    done = command.run("fit", table, *options)
    assert done.returncode == 0
    assert "\x1b" not in done.stdout
    assert "extended: L = E + A/N^α + B/(D^β N^γ)" in done.stdout
    assert "N* = G (C/6)^a" in done.stdout
    assert "…" not in done.stdout
    wide = [line for line in done.stdout.splitlines() if len(line) > 80 and line[0] not in "!·"]
    assert not wide


def test_a_table_that_cannot_tell_is_warned_about(tmp_path: Path) -> None:
    header, *rows = (DATA / "gemstones_hot_100bplus_770.csv").read_text().splitlines()
    one_width = [row for row in rows if row.split(",")[3] == "512"]
    (tmp_path / "width512.csv").write_text("\n".join([header, *one_width]) + "\n")
    done = command.run("fit", "width512.csv", "--bootstrap", "100", cwd=tmp_path)
    assert done.returncode == 0
    assert "alpha" in done.stdout
    assert "NOT identified" in next(
        line for line in done.stdout.splitlines() if line.startswith("alpha")
    )
