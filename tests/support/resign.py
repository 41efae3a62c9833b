"""An S3 server that does not know If-None-Match: the real one, behind a proxy that takes it away.

The header is part of what a client signs, so the proxy signs what is left anew.
"""

import http.client
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from support.s3 import S3

_SIGNED = {"authorization", "x-amz-date", "x-amz-content-sha256", "host", "connection"}


@contextmanager
def without_conditions(s3: S3) -> Iterator[str]:
    """The endpoint of such a server, for as long as the block."""

    class Handler(_Handler):
        server_of_all = s3

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{proxy.server_port}"
        finally:
            proxy.shutdown()


class _Handler(http.server.BaseHTTPRequestHandler):
    server_of_all: S3

    def _forward(self) -> None:
        access = self.server_of_all.access
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        kept = {
            name: value
            for name, value in self.headers.items()
            if name.lower() not in _SIGNED | {"if-none-match"}
        }
        request = AWSRequest(self.command, access.endpoint + self.path, kept, body)
        keys = Credentials(access.access_key, access.secret_key)
        S3SigV4Auth(keys, "s3", "us-east-1").add_auth(request)
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
