import os
import signal
import subprocess
import sys
import time
import types
from pathlib import Path

import click
import pytest

from scalingsweep import errors
from scalingsweep.fit import Objective
from scalingsweep_cli import main
from scalingsweep_cli.commands import fit as fit_command
from support import command


def test_help_is_there_before_numpy_is() -> None:
    loads = "import sys; from scalingsweep_cli.main import main; main(['--help']); "
    loads += "print(sorted({'numpy', 'pydantic', 'rich'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", loads], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("[]\n")
    assert all(f"  {name} " in done.stdout for name in main.COMMANDS)


@pytest.mark.parametrize("name", sorted(set(main.COMMANDS)))
def test_every_command_teaches(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main([name, "--help"]) == 0
    said = capsys.readouterr().out
    assert f"scalingsweep {name} " in said.partition("Options:")[0].partition("\n")[2]  # an example
    words = " ".join(said.split())
    assert "Writes" in words or "written" in words or "kept in" in words


def test_no_arguments_show_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main([]) == 0
    assert capsys.readouterr().out.startswith("Usage: scalingsweep ")


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (errors.SpecError("spec.arms", "is empty"), 2, "error: spec.arms: is empty"),
        (errors.DataError("a.csv", "has\ntwo lines"), 2, "error: a.csv: has two lines"),
        (errors.FitError("no rows"), 3, "error: no rows"),
        (errors.TransientError("S3 is silent"), 1, "error: S3 is silent; try again"),
        (KeyboardInterrupt(), 130, "error: interrupted"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_errors_have_an_exit_status_and_one_line(
    error: BaseException,
    status: int,
    line: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _command_that_raises(error, monkeypatch)
    assert main.main(["plan"]) == status
    assert capsys.readouterr().err.strip() == line


def test_a_bug_shows_its_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _command_that_raises(ZeroDivisionError("ours"), monkeypatch)
    assert main.main(["plan"]) == 70
    assert "Traceback" in (said := capsys.readouterr().err)
    assert said.splitlines()[-1].startswith("error: a bug of scalingsweep")


def _command_that_raises(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise error

    made = types.SimpleNamespace(command=click.Command("plan", callback=fail))
    monkeypatch.setitem(sys.modules, "scalingsweep_cli.commands.plan", made)


def test_ctrl_c_is_no_bug(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "runs.csv")  # nobody writes: the command waits for it
    program = [str(Path(sys.executable).parent / "scalingsweep"), "fit", "runs.csv"]
    with subprocess.Popen(program, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        writer = os.open(tmp_path / "runs.csv", os.O_WRONLY)  # returns when the command reads
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        try:
            _, said = process.communicate(timeout=60)
        finally:
            os.close(writer)
            process.kill()
    assert process.returncode == 130
    assert said.strip() == "error: interrupted"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["completion", shell]) == 0
    assert f"_SCALINGSWEEP_COMPLETE={shell}_complete" in capsys.readouterr().out


def test_bash_completes_commands_and_choices() -> None:
    def complete(*words: str) -> list[str]:
        asked = {
            "_SCALINGSWEEP_COMPLETE": "bash_complete",
            "COMP_WORDS": " ".join(words),
            "COMP_CWORD": str(len(words) - 1),
        }
        lines = command.run(environment=asked).stdout.splitlines()
        return [line.partition(",")[2] for line in lines]

    assert complete("scalingsweep", "re") == ["results", "report"]
    assert complete("scalingsweep", "fit", "--law", "ext") == ["extended"]


def test_objectives_are_those_of_the_fit() -> None:
    assert set(fit_command.OBJECTIVES) == {objective.value for objective in Objective}
