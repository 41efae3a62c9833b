"""Requests to an API server, as many clients make them: JSON over TLS, one connection.

kubectl takes a tenth of a second to start; a test of hundreds of manifests cannot wait for it.
"""

import base64
import dataclasses
import http.client
import json
import ssl
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import yaml

RESOURCE = "/apis/scalingsweep.dev/v1alpha1/namespaces/default"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back."""

    status: int
    body: Any

    @property
    def message(self) -> str:
        """Why it was refused."""
        return str(self.body["message"])


class Client:
    """An API server, asked as the user of a kubeconfig."""

    def __init__(self, kubeconfig: Path) -> None:
        config = yaml.safe_load(kubeconfig.read_text("utf-8"))
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        context = ssl.create_default_context(cadata=authority)
        with tempfile.NamedTemporaryFile() as pair:  # the only way in that ssl has
            for part in ("client-certificate-data", "client-key-data"):
                pair.write(base64.b64decode(user[part]) + b"\n")
            pair.flush()
            context.load_cert_chain(pair.name)
        self.address = str(cluster["server"])
        address = urlsplit(self.address)
        self._connection = http.client.HTTPSConnection(
            address.hostname or "", address.port, context=context, timeout=30
        )

    def ask(self, method: str, path: str, body: Any = None, **query: str) -> Answer:
        """One request; unknown fields are refused, as kubectl asks it to."""
        given = {"fieldValidation": "Strict", **query} if method != "GET" else query
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        self._connection.request(
            method,
            f"{path}?{urlencode(given)}",
            None if body is None else json.dumps(body),
            {"Content-Type": kind},
        )
        response = self._connection.getresponse()
        return Answer(status=response.status, body=json.loads(response.read()))

    def close(self) -> None:
        """Hang up."""
        self._connection.close()
