"""`scalingsweep results` as a process: one study, several, laws; in every format."""

import csv
import io
import json
from pathlib import Path

import pytest
from pyarrow import parquet

from scalingsweep_cli.tables import writing
from support import command, past, study
from support.s3 import S3

HEADER = "arm,size,seed,N,N_total,N_nonembedding,D,D_target,D_replayed,D_source,epochs,C,C_source,"
HEADER += "flops,trial,loss_fr,bpb_fr\n"


def table(folder: Path, name: str, cells: dict[tuple[str, int, int, int], float]) -> str:
    """An observations.csv of (arm, N, D, seed) → loss."""
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    rows = [
        f"{arm},s,{seed},{N},{N},{N},{D},{D},0,,0.5,1.0,,1.0,x,{loss},{loss / 2}\n"
        for (arm, N, D, seed), loss in cells.items()
    ]
    path.write_text(HEADER + "".join(rows))
    return name


def two(folder: Path) -> tuple[str, str]:
    base = {("a", 100, 1000, 0): 3.0, ("a", 100, 2000, 0): 2.5, ("b", 100, 1000, 0): 4.0}
    other = {("a", 100, 1005, 0): 2.9, ("a", 100, 2100, 0): 2.0, ("b", 100, 1000, 1): 1.0}
    return table(folder, "base/observations.csv", base), table(folder, "other.csv", other)


def test_cells_meet_within_one_per_cent_and_nowhere_else(tmp_path: Path) -> None:
    done = command.run("results", *two(tmp_path), "--format", "csv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (row,) = csv.DictReader(io.StringIO(done.stdout))
    assert (row["arm"], row["D"], row["seed"], row["corpus"]) == ("a", "1000", "0", "fr")
    assert (row["loss_base"], row["loss_other"]) == ("3.0", "2.9")
    assert float(row["difference_other"]) == pytest.approx(-0.1)


def test_every_format_says_the_same(tmp_path: Path) -> None:
    names = two(tmp_path)
    for ending in ("csv", "json", "parquet", "tex"):
        done = command.run("results", *names, "--out", f"out.{ending}", cwd=tmp_path)
        assert (done.returncode, done.stdout) == (0, ""), done.stderr
    read = parquet.read_table(tmp_path / "out.parquet").to_pylist()
    value = json.loads((tmp_path / "out.json").read_text())
    assert read == value["cells"]
    rows = list(csv.DictReader(io.StringIO((tmp_path / "out.csv").read_text())))
    assert [float(row["difference_other"]) for row in rows] == [read[0]["difference_other"]]
    assert "$-0.1000$" in (tmp_path / "out.tex").read_text()
    shown = command.run("results", *names, cwd=tmp_path).stdout
    assert "-0.1000" in shown
    assert "1 cells are in all studies; observations: 3 of base, 3 of other" in shown
    assert "a table does not say on which held-out text" in shown


def test_one_study_in_parquet_is_its_csv(tmp_path: Path, s3: S3) -> None:
    past.make(tmp_path, s3, skip=3)
    keys = s3.access.keys()
    for ending in ("csv", "parquet"):
        words = ("results", "sweep.yaml", "--out", f"out.{ending}")
        assert command.run(*words, cwd=tmp_path, environment=keys).returncode == 0
    rows = list(csv.DictReader(io.StringIO((tmp_path / "out.csv").read_text())))
    read = parquet.read_table(tmp_path / "out.parquet").to_pylist()
    assert [{k: "" if v is None else str(v) for k, v in row.items()} for row in read] == rows


def test_laws_side_by_side(tmp_path: Path) -> None:
    names = two(tmp_path)
    (tmp_path / "other").mkdir()
    moved = "other/observations.csv"
    (tmp_path / "other.csv").rename(tmp_path / moved)
    for folder, loose in (("base", ["gamma"]), ("other", [])):
        fits = {"fits": [study.fit(["scratch", "cpt"], loose=loose)], "missing": []}
        (tmp_path / folder / "fit.json").write_text(json.dumps(fits))
    done = command.run("results", names[0], moved, "--parameters", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (gamma,) = [line for line in done.stdout.splitlines() if line.startswith("γ[cpt]")]
    words = " ".join(gamma.split())
    assert words == "γ[cpt] -0.005000 [-0.006960, ?] * -0.005000 [-0.006960, -0.003040]"
    again = ("results", names[0], moved, "--parameters", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(command.run(*again, cwd=tmp_path).stdout)))
    assert {row["study"] for row in rows} == {"base", "other"}
    found = study.fit(["scratch", "cpt"])["parameters"]["alpha"]
    alpha = next(row for row in rows if row["parameter"] == "alpha")
    assert (float(alpha["value"]), float(alpha["low"])) == (found["value"], found["low"])


def test_nothing_in_a_name_is_a_command_of_latex() -> None:
    told = writing.escaped("\\input{x}&%$#_^~ α\n\x1b")
    assert told == (
        r"\textbackslash{}input\{x\}\&\%\$\#\_\textasciicircum{}\textasciitilde{} $\alpha$  "
    )


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--format", "parquet"), "--format parquet: is no text: name a file with --out"),
        (("--out", "x.foo"), "--out: x.foo: give --format, or an ending of .csv, .json, .parquet"),
        (("--out", "other.csv"), "--out: other.csv is what is read: name another file"),
        (("--out", "no/where.csv"), "--out: no/where.csv: cannot be written (No such file"),
        (("other.csv",), "is given twice: name each study once"),
        (("far.csv",), "have no cell in common: arm and seed equal, N and D within 1 %"),
        (("english.csv",), "have no corpus in common"),
        (("runs.csv",), "runs.csv: is no observations.csv: it has no column"),
        (("broken/observations.csv", "--parameters"), "fit.json: is no fit.json of ours"),
    ],
)
def test_one_clear_line(options: tuple[str, ...], says: str, tmp_path: Path) -> None:
    two(tmp_path)
    table(tmp_path, "far.csv", {("a", 999, 1000, 0): 1.0})
    (tmp_path / "english.csv").write_text(HEADER.replace("_fr", "_en"))
    (tmp_path / "runs.csv").write_text("N,D,loss\n1,2,3\n")
    table(tmp_path, "broken/observations.csv", {})
    (tmp_path / "broken" / "fit.json").write_text('{"fits": [3]}')
    done = command.run("results", "other.csv", *options, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
    assert (tmp_path / "other.csv").read_text().startswith(HEADER)


def test_a_table_without_a_fit_has_no_parameters(tmp_path: Path) -> None:
    done = command.run("results", two(tmp_path)[1], "--parameters", cwd=tmp_path)
    assert done.returncode == 3
    assert "there is no fit.json beside other.csv" in done.stderr
