"""What running trials say of themselves: `/progress`, asked on loopback from a thread of its own.

It is for the display alone; nothing is decided by it. An answer is bounded in size and time, no
redirect is followed, no proxy asked, and what is not a number is left out.
"""

import contextlib
import http.client
import json
import math
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from scalingsweep.world import Work

MAX_BYTES = 16_384
_TIMEOUT_SECONDS = 1.0
_EVERY_SECONDS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """One answer."""

    phase: str = ""
    """`starting`, `training`, `evaluating`, `done`."""
    branch: str = ""
    """`trunk`, or the budget D that the current decay goes to."""
    step: int | None = None
    """Updates behind the current weights."""
    steps: int | None = None
    """The step that the trunk or branch goes to."""
    tokens: int | None = None
    """Tokens of the trial's work done, trunk and all decays, whoever did it."""
    tokens_total: int | None = None
    """Tokens of all of it."""
    loss: float | None = None
    """Nats per token of the last step."""
    tokens_per_second: float | None = None
    eta: float | None = None
    """Seconds to the end of all branches at the present pace."""
    at: float = 0.0
    """When it was asked, on the monotonic clock."""

    @property
    def share(self) -> float:
        """How much of the trial is done, from 0 to 1."""
        if not self.tokens or not self.tokens_total:
            return 0.0
        return min(1.0, self.tokens / self.tokens_total)


def parse(data: bytes, at: float) -> Progress | None:
    """An answer from its JSON; None where it is none."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    return Progress(
        phase=_word(value.get("phase")),
        branch=_word(value.get("branch")),
        step=_count(value.get("step")),
        steps=_count(value.get("steps")),
        tokens=_count(value.get("tokens")),
        tokens_total=_count(value.get("tokensTotal")),
        loss=_number(value.get("loss")),
        tokens_per_second=_number(value.get("tokensPerSecond")),
        eta=_number(value.get("eta")),
        at=at,
    )


def ask(port: int) -> bytes:
    """The body of one answer, at most `MAX_BYTES` of it.

    Raises:
        OSError: nobody answers there.
        http.client.HTTPException: what answers is no HTTP server.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/progress")
        response = connection.getresponse()
        return response.read(MAX_BYTES) if response.status == http.HTTPStatus.OK else b""
    finally:
        connection.close()


class Poller:
    """Asks all running trials again and again; `with Poller() as poller: … poller.latest()`."""

    def __init__(self) -> None:
        self._ports: dict[Work, int] = {}
        self._latest: dict[Work, Progress] = {}
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="progress", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(2 * _TIMEOUT_SECONDS)

    def watch(self, ports: Mapping[Work, int]) -> None:
        """Which trials run, and where each answers; what is no longer there is forgotten."""
        with self._lock:
            moved = {work for work in self._latest if ports.get(work) != self._ports.get(work)}
            for work in moved:
                del self._latest[work]
            self._ports = dict(ports)

    def latest(self) -> dict[Work, Progress]:
        """The newest answer of each watched trial that has given one."""
        with self._lock:
            return dict(self._latest)

    def _loop(self) -> None:
        while not self._ended.wait(_EVERY_SECONDS):
            with self._lock:
                ports = dict(self._ports)
            for work, port in ports.items():
                with contextlib.suppress(OSError, http.client.HTTPException):
                    answer = parse(ask(port), time.monotonic())
                    with self._lock:
                        if answer is not None and self._ports.get(work) == port:
                            self._latest[work] = answer


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    with contextlib.suppress(OverflowError):
        return float(value) if math.isfinite(value) else None
    return None


def _count(value: Any) -> int | None:
    number = _number(value)
    return int(number) if number is not None and 0 <= number < 1e18 else None


def _word(text: Any) -> str:
    return "".join(c for c in text[:24] if c.isalnum()) if isinstance(text, str) else ""
