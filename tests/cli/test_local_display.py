"""The live display and the plain lines, of a real run's views, at the widths that people have."""

import io
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from rich.console import Console

from scalingsweep.api.outcome import Class, Outcome
from scalingsweep.api.storage import S3Location
from scalingsweep.plan import Key
from scalingsweep.world import Attempt, Decision, Job, Phase, TrialPhase
from scalingsweep_cli import files
from scalingsweep_cli.local import estimate, journal, machine, orders, processes, progress, words
from scalingsweep_cli.local import study as studies
from scalingsweep_cli.local.crew import Ended, Running
from scalingsweep_cli.local.lines import Lines
from scalingsweep_cli.local.live import Live
from scalingsweep_cli.local.runner import View
from scalingsweep_cli.local.watch import Watch
from support import local_run

KEY = Key(arm="source", size="27k", seed=0)
ANSWER = (
    b'{"arm": "source", "phase": "training", "branch": "249856", "step": 12345, "steps": 20000,'
    b' "tokens": 500000, "tokensTotal": 1000000, "loss": 3.51239, "tokensPerSecond": 12345.6,'
    b' "eta": 4321.0, "mfu": null}'
)


@contextmanager
def _answering(body: bytes, status: int = 200, location: str = "") -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            if location:
                self.send_header("Location", location)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _study(tmp_path: Path) -> studies.Study:
    made = local_run.study(tmp_path)
    manifest = made.folder / "sweep.yaml"
    study = studies.make(files.sweep(manifest), manifest, embedded=False)
    study.folder.make()
    return study


def _running(tmp_path: Path, work: Key | Job, port: int) -> Running:
    launched = processes.launch(
        ["true"], environment={}, log=tmp_path / "log", mark=tmp_path / "outcome"
    )
    launched.kill()
    launched.process.wait()
    entry = journal.Entry(
        run=1,
        work=journal.name(work),
        number=1,
        pid=1,
        born=1.0,
        gpus=0,
        attempt=Attempt(started=0),
    )
    order = orders.Order(work=work, command="trial", variables={})
    return Running(
        order=order,
        entry=entry,
        launched=launched,
        gpus=(),
        port=port,
        memory_kills=0,
        location=S3Location(bucket="sweeps"),
    )


def _view(running: Running) -> View:
    phases = {KEY: TrialPhase.RUNNING}
    decision = Decision(phase=Phase.RUNNING, reason="", trials=phases)
    return View(decision=decision, running={running.work: running}, specs={}, stopping=False)


def _ended(klass: Class, message: str) -> Ended:
    order = orders.Order(work=KEY, command="trial", variables={})
    return Ended(order=order, number=2, outcome=Outcome(klass=klass, message=message), seconds=61.0)


def _no_store() -> object:
    raise AssertionError("nothing is looked up")


@pytest.mark.parametrize("width", [80, 160])
def test_the_live_display_fits_and_gives_the_terminal_back(width: int, tmp_path: Path) -> None:
    study = _study(tmp_path)
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=width, height=30, color_system=None)
    with (
        _answering(ANSWER) as port,
        Watch(study, _no_store) as watch,  # type: ignore[arg-type]
        Live(study, watch, console) as live,
    ):
        view = _view(_running(tmp_path, KEY, port))
        live.show(view)
        _wait_for(watch._poller.latest)
        live.ended(_ended(Class.OUT_OF_MEMORY, "the device's memory is too small " * 8))
        live.note("a note")
        live.show(view)
    text = out.getvalue()
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text).replace("\r", "\n")
    assert max(len(line) for line in plain.split("\n")) <= width
    (row,) = {line.strip() for line in plain.split("\n") if "12345/20000" in line}
    for cell in ("source", "27k", "decay to 249.9k", "3.512", "12.3k", "1:12:01"):
        assert cell in row
    assert ("━" in row) == (width > 100)
    assert "small  Running  0/1 trials" in plain
    assert "✗ source/27k/0 (attempt 2): OutOfMemory: the device's memory" in plain
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")  # the cursor is back


def test_plain_lines_say_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = _study(tmp_path)
    with _answering(ANSWER) as port, Watch(study, _no_store) as watch:  # type: ignore[arg-type]
        lines = Lines(watch, every=0)
        view = _view(_running(tmp_path, KEY, port))
        lines.show(view)
        _wait_for(watch._poller.latest)
        lines.show(view)
        lines.ended(_ended(Class.DIVERGED, "the loss is no number at step 7"))
    said = capsys.readouterr().out
    step = "source/27k/0, decay to 249.9k, 12345/20000, loss 3.512, 12.3k tokens/s, 1:12:01 left"
    assert f"       {step}" in said.splitlines()
    assert "FAILED source/27k/0 (attempt 2): Diverged: the loss is no number at step 7" in said
    assert "\x1b" not in said


def test_the_log_of_prepare_is_shown_by_its_last_line(tmp_path: Path) -> None:
    study = _study(tmp_path)
    log = study.folder.log("prepare", 1)
    log.write_bytes(b"one\n" + b"x" * 1000 + b"\n\x1b[2Jtwo \xff\n\n")
    with Watch(study, _no_store) as watch:  # type: ignore[arg-type]
        (row,) = watch.board(_view(_running(tmp_path, Job.PREPARE, 1))).rows
    assert row.said == "[2Jtwo \N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{", b"null", b"[" * 5000, b'{"step": "7", "loss": NaN, "tokens": true}'],
)
def test_an_answer_that_is_none_shows_nothing(body: bytes) -> None:
    answer = progress.parse(body, 0)
    assert answer is None or answer == progress.Progress(at=0)


def test_answers_are_bounded_and_redirects_are_not_followed() -> None:
    with _answering(b"x" * 1_000_000) as port:
        assert len(progress.ask(port)) == progress.MAX_BYTES
    with (
        _answering(ANSWER) as there,
        _answering(b"", 302, f"http://127.0.0.1:{there}/progress") as port,
    ):
        assert progress.ask(port) == b""
    with pytest.raises(OSError, match="refused"):
        progress.ask(there)


def test_a_phase_cannot_move_the_cursor() -> None:
    answer = progress.parse(b'{"phase": "a\\u001b[2Jb\\n", "branch": 7}', 0)
    assert answer is not None
    assert answer.phase == "a2Jb"
    assert words.phase(answer, KEY) == "a2Jb"


def test_time_left_is_what_the_pace_says(tmp_path: Path) -> None:
    trials = {trial.key: trial for trial in _study(tmp_path).plan.trials}
    weights = {key.arm: estimate.weight(trial) for key, trial in trials.items()}
    assert estimate.seconds_left(trials, {}, parallel=2) is None
    half = estimate.Seen(done=0.5, trained=0.25, seconds=10.0)
    pace = 10.0 / (0.25 * weights["source"])
    left = pace * (0.5 * weights["source"] + weights["scratch"] + weights["cpt"])
    assert estimate.seconds_left(trials, {KEY: half}, parallel=1) == pytest.approx(left)
    # however many run at a time, the longest takes its time
    longest = pace * max(weights["scratch"], weights["cpt"])
    assert estimate.seconds_left(trials, {KEY: half}, parallel=100) == pytest.approx(longest)


@pytest.mark.parametrize(
    ("seconds", "clock", "roughly"),
    [
        (7.4, "0:07", "under a minute"),
        (751, "12:31", "about 13 min"),
        (11_109, "3:05:09", "about 3.1 h"),
        (370_000, "4d 06h", "about 4.3 days"),
    ],
)
def test_times_are_said_shortly(seconds: float, clock: str, roughly: str) -> None:
    assert (words.clock(seconds), words.roughly(seconds)) == (clock, roughly)


def test_rates_have_three_digits() -> None:
    assert [words.rate(x) for x in (None, 7.0, 999.6, 12_345.0, 2.5e6)] == [
        "", "7", "1k", "12.3k", "2.5M"
    ]  # fmt: skip


def test_a_machine_without_gpus_has_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine.gpus() == ()


def _wait_for(found: object) -> None:
    import time

    deadline = time.monotonic() + 20
    while not found():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.02)
