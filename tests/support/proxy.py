"""A TCP proxy before the real S3 server that does to its clients what networks do.

`with Proxy(endpoint) as proxy: proxy.stop()`. It passes bytes on as they are, so that signatures
hold (clients sign the proxy's own address, which is what the server reads too), and looks at them
only to see where a request begins: there it decides, by a seeded draw, what becomes of it.
"""

import contextlib
import random
import socket
import threading
import time
from collections import Counter
from enum import StrEnum
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

_METHODS = (b"PUT ", b"GET ", b"HEAD ", b"POST ", b"DELETE ")
_CHUNK = 1 << 16
_BUSY = b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Fate(StrEnum):
    """What becomes of a request."""

    PASS = "pass"
    BUSY = "busy"
    """It is answered 503, and the server never hears of it."""
    CUT_REQUEST = "cut request"
    """Its connection is reset amid the request."""
    CUT_ANSWER = "cut answer"
    """The server does it, and the connection is reset amid the answer."""
    LOSE_ANSWER = "lose answer"
    """The server does it, and the connection is reset before the answer."""


class Proxy:
    """One listening address; its faults may be changed at any time, from any thread."""

    def __init__(self, endpoint: str, *, seed: int = 0) -> None:
        """Name the server; nothing listens yet.

        Args:
            endpoint: the server's `http://host:port`.
            seed: of the draws.
        """
        parts = urlsplit(endpoint)
        self._server = (parts.hostname or "", parts.port or 80)
        self._random = random.Random()
        self._draws = random.Random(seed)
        self._lock = threading.Lock()
        self._listener: socket.socket | None = None
        self._bound: socket.socket | None = None
        self._open: set[socket.socket] = set()
        self._port = 0
        self._shares: dict[Fate, float] = {}
        self._only = b""
        self.rate: float | None = None
        """Bytes a second in each direction of each connection; None: as fast as it goes."""
        self.hold = threading.Event()
        """While it is clear, bytes that came stay here: connections stand, nothing answers."""
        self.hold.set()
        self.met: Counter[Fate] = Counter()
        """How many requests had which fate."""

    @property
    def endpoint(self) -> str:
        """Where clients go."""
        return f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        if self._bound is not None:
            self._bound.close()

    def start(self) -> None:
        """Listen; again at the same port after a stop."""
        self._bound = self._bound or self._bind()
        self._bound.listen(64)
        self._listener, self._bound = self._bound, None
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _bind(self) -> socket.socket:
        """A socket at our port, which refuses all until it listens."""
        # below the ephemeral ports, of which somebody's outgoing connection may take ours meanwhile
        ports = [self._port] if self._port else self._random.sample(range(10_240, 32_000), 100)
        for port in ports:
            bound = socket.socket()
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                bound.bind(("127.0.0.1", port))
            except OSError:
                bound.close()
                continue
            self._port = port
            return bound
        raise AssertionError(f"no port of {ports} is free")

    def stop(self) -> None:
        """As if the server were gone: connections are reset, new ones refused."""
        listener, self._listener = self._listener, None
        if listener is not None:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # or accept() would hold the port
            listener.close()
            self._bound = self._bind()
        self.hold.set()
        with self._lock:
            for connection in list(self._open):
                _reset(connection)
            self._open.clear()

    def meddle(self, shares: dict[Fate, float] | None = None, *, only: bytes = b"") -> None:
        """From now on give these shares of requests that fate; nothing: leave all alone.

        Args:
            shares: fate → share of requests.
            only: words that the first line of a request must hold for it to have one.
        """
        with self._lock:
            self._shares, self._only = dict(shares or {}), only

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self._server)
            except OSError:
                _reset(client)
                continue
            with self._lock:
                self._open |= {client, server}
            pair = _Pair(self, client, server)
            for work in (pair.up, pair.down):
                threading.Thread(target=work, daemon=True).start()

    def forget(self, *connections: socket.socket) -> None:
        """They are closed."""
        with self._lock:
            self._open -= set(connections)

    def draw(self, line: bytes) -> Fate:
        """The fate of a request with this first line."""
        with self._lock:
            fate, at = Fate.PASS, self._draws.random()
            if self._only in line:
                for one, share in self._shares.items():
                    if 0 <= at < share:
                        fate = one
                    at -= share
            self.met[fate] += 1
            return fate


class _Pair:
    """A client's connection and ours to the server for it."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy, self._client, self._server = proxy, client, server
        self._fate = Fate.PASS

    def up(self) -> None:
        """From the client to the server."""
        with contextlib.suppress(OSError):
            while data := self._client.recv(_CHUNK):
                self._pace(data)
                if data.startswith(_METHODS):
                    self._fate = self._proxy.draw(data.partition(b"\r\n")[0])
                    if self._fate is Fate.BUSY:
                        self._client.sendall(_BUSY)
                        time.sleep(0.05)  # a reset would overtake the answer
                        break
                    if self._fate is Fate.CUT_REQUEST:
                        self._server.sendall(data[: len(data) // 2])
                        break
                self._server.sendall(data)
        self._end()

    def down(self) -> None:
        """From the server to the client."""
        with contextlib.suppress(OSError):
            while data := self._server.recv(_CHUNK):
                self._pace(data)
                if self._fate is Fate.LOSE_ANSWER and not data.startswith(b"HTTP/1.1 100"):
                    break
                if self._fate is Fate.CUT_ANSWER:
                    self._client.sendall(data[: len(data) // 2])
                    break
                self._client.sendall(data)
        self._end()

    def _pace(self, data: bytes) -> None:
        self._proxy.hold.wait()
        if self._proxy.rate:
            time.sleep(len(data) / self._proxy.rate)

    def _end(self) -> None:
        for one in (self._client, self._server):
            _reset(one)
        self._proxy.forget(self._client, self._server)


def _reset(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        # shut down first: it wakes the other thread, which a close would leave in recv
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
