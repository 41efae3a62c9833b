"""What a trial is doing now, over HTTP: /progress for the live table, /metrics for Prometheus.

Rank 0 serves both on one port. Nothing depends on it: a port that is taken is only said.
"""

import json
import logging
import socket
import socketserver
import threading
from dataclasses import asdict, dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

log = logging.getLogger("scalingsweep_trainer")


@dataclass(slots=True, kw_only=True)
class Progress:
    """One consistent enough view; written by the training thread, read by the server's."""

    arm: str
    size: str
    seed: int
    phase: str = "starting"
    """starting, training, evaluating, done."""
    branch: str = ""
    """`trunk` or the budget that the current decay goes to."""
    step: int = 0
    """Updates behind the current weights."""
    steps: int = 0
    """The step that the trunk or branch goes to."""
    tokens: int = 0
    """Tokens of this trial's work done, trunk and all decays, whoever did it."""
    tokensTotal: int = 0
    """Tokens of all of it."""
    loss: float | None = None
    tokensPerSecond: float | None = None
    mfu: float | None = None
    eta: float | None = None
    """Seconds to the end of all branches at the present pace."""

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    def to_prometheus(self) -> str:
        """The numbers as text exposition format 0.0.4."""
        names = json.dumps(self.arm), json.dumps(self.size), self.seed
        labels = '{{arm={},size={},seed="{}"}}'.format(*names)
        lines: list[str] = []
        for name, help_text, value in (
            ("step", "Updates behind the current weights.", self.step),
            ("tokens", "Tokens of work done.", self.tokens),
            ("tokens_planned", "Tokens of all work.", self.tokensTotal),
            ("loss", "Nats per token of the last step.", self.loss),
            ("tokens_per_second", "Training speed.", self.tokensPerSecond),
            ("mfu", "Model FLOPs utilisation.", self.mfu),
            ("eta_seconds", "Time left at the present pace.", self.eta),
        ):
            if value is not None:
                full = f"scalingsweep_trial_{name}"
                lines += [f"# HELP {full} {help_text}", f"# TYPE {full} gauge"]
                lines += [f"{full}{labels} {float(value)!r}"]
        return "\n".join(lines) + "\n"


class Server:
    """Serves one Progress until closed."""

    def __init__(self, progress: Progress, host: str, port: int) -> None:
        """Bind and serve in a thread; port 0 serves nowhere."""
        self._server: _Listener | None = None
        if port == 0:
            return
        try:
            self._server = _Listener(host, port, _handler(progress))
        except OSError as error:
            log.warning("no /progress on %s:%d: %s", host, port, error)
            return
        threading.Thread(target=self._server.serve_forever, name="progress", daemon=True).start()

    def close(self) -> None:
        """Free the port."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()


class _Listener(ThreadingHTTPServer):
    def __init__(self, host: str, port: int, handler: type[BaseHTTPRequestHandler]) -> None:
        # a cluster's pods may have IPv6 addresses alone
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), handler)

    def server_bind(self) -> None:
        # HTTPServer's own asks DNS for our name first, which nobody reads and which may take long
        socketserver.TCPServer.server_bind(self)


def _handler(progress: Progress) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 10  # seconds for a whole request: a silent client holds a thread no longer

        def do_GET(self) -> None:
            if self.path == "/progress":
                self._answer("application/json", progress.to_json())
            elif self.path == "/metrics":
                self._answer("text/plain; version=0.0.4", progress.to_prometheus())
            else:
                self.send_error(404)

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - its name
            pass  # a line for every look at the table says nothing

        def _answer(self, kind: str, text: str) -> None:
            data = text.encode()
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    return Handler
