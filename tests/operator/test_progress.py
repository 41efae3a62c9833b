"""/progress of a trainer, and of servers that are none."""

import asyncio
import contextlib
import gzip
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalingsweep.api.scalingtrial import TrialProgress
from scalingsweep_operator import progress
from scalingsweep_trainer.trial.progress import Progress, Server

GOOD: dict[str, Any] = {
    "step": 40,
    "steps": 100,
    "tokens": 1_300_000_000,
    "tokensTotal": 2_000_000_000,
    "loss": 3.25,
    "tokensPerSecond": 51_000.5,
    "mfu": 0.41,
    "eta": 11_520.0,
}


def read(port: int, ip: str = "127.0.0.1") -> TrialProgress | None:
    return asyncio.run(progress.read(ip, port))


def _free(host: str) -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def _answers(say: Callable[[socket.socket], None]) -> Iterator[tuple[int, list[bytes]]]:
    """A server on loopback that does `say` with each connection, once it has been asked."""
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection, contextlib.suppress(OSError):
                    asked.append(connection.recv(4096))
                    say(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1], asked
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def _with(body: bytes, head: str = "", status: str = "200 OK") -> Callable[[socket.socket], None]:
    text = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{head}\r\n"
    return lambda connection: connection.sendall(text.encode() + body)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_trainer_is_read(host: str) -> None:
    port = _free(host)
    told = Progress(arm="cpt", size="1M", seed=0, phase="training", step=40, steps=100)
    told.tokens, told.tokensTotal, told.loss = 1_300_000_000, 2_000_000_000, 3.250_04
    told.tokensPerSecond, told.eta = 51_000.4, 11_520.0
    server = Server(told, host, port)
    try:
        found = read(port, host)
    finally:
        server.close()
    assert found == TrialProgress(
        step=40,
        steps=100,
        tokens="1.3B/2B",
        loss=3.25,
        tokens_per_second=51_000.0,
        eta="3h12m",
    )
    assert read(port, host) is None


def test_a_trainer_that_has_not_begun_has_no_progress() -> None:
    port = _free("127.0.0.1")
    server = Server(Progress(arm="cpt", size="1M", seed=0), "127.0.0.1", port)
    try:
        assert read(port) is None
    finally:
        server.close()


def test_the_same_answer_by_hand_is_read() -> None:
    with _answers(_with(json.dumps(GOOD).encode())) as (port, asked):
        found = read(port)
    assert found is not None
    assert found.mfu == 0.41
    assert asked[0].startswith(b"GET /progress HTTP/1.1\r\n")


@pytest.mark.parametrize(
    "say",
    [
        _with(b" " * progress.MAX_BYTES + json.dumps(GOOD).encode()),
        _with(json.dumps(GOOD).encode(), status="500 Oops"),
        _with(json.dumps(GOOD).encode(), status="206 Partial Content"),
        _with(b"not json"),
        _with(b"\xff\xfe"),
        _with(b"[" * 16_000),
        _with(json.dumps([GOOD]).encode()),
        _with(gzip.compress(json.dumps(GOOD).encode()), head="Content-Encoding: gzip\r\n"),
        lambda connection: connection.sendall(b"SSH-2.0-OpenSSH\r\n"),
        lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}"),
        lambda connection: connection.close(),
    ],
)
def test_what_is_no_answer_is_none(say: Callable[[socket.socket], None]) -> None:
    with _answers(say) as (port, _):
        assert read(port) is None


def test_a_redirect_is_not_followed() -> None:
    with _answers(_with(json.dumps(GOOD).encode())) as (there, asked):
        head = f"Location: http://127.0.0.1:{there}/progress\r\n"
        with _answers(_with(b"", head, "302 Found")) as (port, _):
            assert read(port) is None
        assert asked == []


def test_no_proxy_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with _answers(_with(json.dumps(GOOD).encode())) as (proxy, asked):
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy}")
        assert read(_free("127.0.0.1")) is None
        assert asked == []


def _drip(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
    for _ in range(40):
        connection.sendall(b" ")
        time.sleep(0.1)


def _pour(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    for _ in range(10_000):
        connection.sendall(b" " * 65_536)


def _headers(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    for number in range(1_000_000):
        connection.sendall(f"X-{number}: {'y' * 1000}\r\n".encode())


@pytest.mark.parametrize("say", [_drip, _pour, _headers, lambda _: time.sleep(3)])
def test_slow_and_endless_answers_end_in_time(say: Callable[[socket.socket], None]) -> None:
    with _answers(say) as (port, _):
        began = time.monotonic()
        assert read(port) is None
        assert time.monotonic() - began < progress.TIMEOUT_SECONDS + 1


@pytest.mark.parametrize(
    "ip", ["", "example.com", "169.254.169.254", "0.0.0.0", "fe80::1%eth0", "::", "1.2.3.4/x", "1"]
)
def test_only_addresses_of_pods_are_asked(ip: str) -> None:
    began = time.monotonic()
    assert read(80, ip) is None
    assert time.monotonic() - began < 0.5


@pytest.mark.parametrize("field", ["step", "steps", "tokens", "tokensTotal"])
@pytest.mark.parametrize("value", [None, "1", True, -1, 1.5, [], 10**30, float("nan")])
def test_a_count_that_is_none_makes_no_progress(field: str, value: Any) -> None:
    assert progress.parse(json.dumps(GOOD | {field: value}).encode()) is None


@pytest.mark.parametrize("value", [None, "1", True, {}, float("nan"), float("inf"), 10**400])
def test_a_number_that_is_none_is_left_out(value: Any) -> None:
    names = ("loss", "tokensPerSecond", "mfu", "eta")
    found = progress.parse(json.dumps(GOOD | dict.fromkeys(names, value)).encode())
    assert found is not None
    assert (found.loss, found.tokens_per_second, found.mfu, found.eta) == (None, None, None, None)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (59.9, "59s"), (60, "1m"), (3599, "59m"), (11_520, "3h12m"), (183_600, "2d3h")],
)
def test_time_left_is_short(seconds: float, text: str) -> None:
    found = progress.parse(json.dumps(GOOD | {"eta": seconds}).encode())
    assert found is not None
    assert found.eta == text


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)


@given(changes=st.dictionaries(st.sampled_from(sorted(GOOD)), ANYTHING), raw=st.binary())
def test_whatever_is_said_is_progress_or_none(changes: dict[str, Any], raw: bytes) -> None:
    progress.parse(raw)
    found = progress.parse(json.dumps(GOOD | changes).encode())
    assert found is None or TrialProgress.from_wire(found.to_wire()) == found
