"""The real S3 server behind a proxy that signs requests anew, and so may change what is signed.

It makes a server that does not know If-None-Match, and a client whose clock is wrong.
"""

import datetime as dt
import http.client
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from botocore.auth import SIGV4_TIMESTAMP, S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from support.s3 import S3

_SIGNED = {"authorization", "x-amz-date", "x-amz-content-sha256", "host", "connection"}


@contextmanager
def without_conditions(s3: S3) -> Iterator[str]:
    """The endpoint of a server that does not know If-None-Match, for as long as the block."""

    class Handler(_Handler):
        server_of_all = s3
        taken = frozenset({"if-none-match"})

    with _serve(Handler) as endpoint:
        yield endpoint


@contextmanager
def with_a_clock_that_is(s3: S3, hours: float) -> Iterator[str]:
    """The endpoint of a server for which the client's clock is ahead by so much."""

    class Handler(_Handler):
        server_of_all = s3
        ahead = dt.timedelta(hours=hours)

    with _serve(Handler) as endpoint:
        yield endpoint


@contextmanager
def _serve(handler: "type[_Handler]") -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{proxy.server_port}"
        finally:
            proxy.shutdown()


class _Signer(S3SigV4Auth):
    """Signs as a client whose clock is ahead."""

    ahead = dt.timedelta()

    def _modify_request_before_signing(self, request: AWSRequest) -> None:
        now = dt.datetime.now(dt.UTC) + self.ahead
        request.context["timestamp"] = now.strftime(SIGV4_TIMESTAMP)
        super()._modify_request_before_signing(request)  # type: ignore[misc]  # absent from its stubs


class _Handler(http.server.BaseHTTPRequestHandler):
    server_of_all: S3
    taken: frozenset[str] = frozenset()
    ahead = dt.timedelta()

    def _forward(self) -> None:
        access = self.server_of_all.access
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        kept = {
            name: value
            for name, value in self.headers.items()
            if name.lower() not in _SIGNED | self.taken
        }
        request = AWSRequest(self.command, access.endpoint + self.path, kept, body)
        keys = Credentials(access.access_key, access.secret_key)
        signer = _Signer(keys, "s3", "us-east-1")
        signer.ahead = self.ahead
        signer.add_auth(request)
        onward = http.client.HTTPConnection(access.endpoint.removeprefix("http://"))
        onward.request(self.command, self.path, body, dict(request.headers.items()))
        answer = onward.getresponse()
        content = answer.read()
        onward.close()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    do_PUT = do_HEAD = do_GET = do_DELETE = _forward

    def log_message(self, *_: Any) -> None:
        """Say nothing."""
