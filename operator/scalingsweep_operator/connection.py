"""One request to the API server, and its answer. `api` gives requests their meaning.

Credentials are loaded as kubectl and pods do. A service account's token is read anew each minute
by kubernetes.aio; after a 401 all credentials are loaded anew, for those of a kubeconfig's plugin.
"""

import asyncio
import contextlib
import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.config.config_exception import ConfigException

from scalingsweep.errors import TransientError
from scalingsweep_operator.metrics import Metrics

REQUEST_SECONDS = 30.0
TRIES = 4
"""How often a request is sent that is answered 429, or 503 with Retry-After."""
MOST_WAIT_SECONDS = 10.0
"""No Retry-After is honoured for longer within one request: `look` comes back anyway."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked."""

    verb: str
    """For the metrics: `get`, `list`, `create`, `update`, `patch` or `delete`."""
    method: str
    path: str
    query: Mapping[str, str] = dataclasses.field(default_factory=dict)
    body: Any = None
    content: str = "application/json"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back."""

    code: int
    body: Any
    """JSON; a text where it was none."""
    retry_after: float | None = None

    @property
    def status(self) -> dict[str, Any]:
        """The API server's own words of a failure; empty where another spoke."""
        told = isinstance(self.body, dict) and self.body.get("kind") == "Status"
        return self.body if told else {}

    @property
    def reason(self) -> str:
        """As `NotFound`."""
        return str(self.status.get("reason", ""))

    @property
    def message(self) -> str:
        """In words."""
        return str(self.status.get("message") or self.body)[:2048]

    @property
    def busy(self) -> bool:
        """Whether it was not even looked at, so that it may be sent again."""
        return self.code == 429 or (self.code == 503 and self.retry_after is not None)


async def load(kubeconfig: Path | None) -> Configuration:
    """Where the API server is, and who we are.

    Raises:
        TransientError: there are no credentials, or they cannot be read now.
    """
    configuration = Configuration()
    try:
        if kubeconfig is None:
            with contextlib.suppress(ConfigException):
                config.load_incluster_config(client_configuration=configuration)
                return configuration
        path = None if kubeconfig is None else str(kubeconfig)
        await config.load_kube_config(
            config_file=path, client_configuration=configuration, persist_config=False
        )
    except (ConfigException, OSError) as error:
        raise TransientError(f"no credentials for the API server: {error}") from error
    return configuration


class Connection:
    """`async with Connection(...) as connection: await connection.ask(...)`."""

    def __init__(
        self,
        kubeconfig: Path | None,
        metrics: Metrics,
        *,
        seconds: float = REQUEST_SECONDS,
        tries: int = TRIES,
    ) -> None:
        """Name the server; nothing is loaded before the first request.

        Args:
            kubeconfig: as `load` takes it.
            metrics: where answers are counted.
            seconds: that one try may take.
            tries: how often a request is sent that a busy server turns away.
        """
        self._kubeconfig = kubeconfig
        self._metrics = metrics
        self._seconds = seconds
        self.tries = tries
        self._client: ApiClient | None = None
        self._loading = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._forget(self._client)

    async def ask(self, request: Request) -> Answer:
        """Send it once.

        Raises:
            TransientError: no answer came, or none that was whole, or our credentials are refused.
        """
        client = await self._loaded()
        try:
            answer = await self._send(client, request)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            self._metrics.api_call(request.verb, "error")
            words = f"{request.verb} {request.path}: {type(error).__name__} {error}".rstrip()
            raise TransientError(words) from error
        self._metrics.api_call(request.verb, str(answer.code))
        if answer.code == 401:
            await self._forget(client)
            raise TransientError("the API server does not know our credentials: read them anew")
        return answer

    async def _send(self, client: ApiClient, request: Request) -> Answer:
        response = await client.call_api(
            request.path,
            request.method,
            query_params=list(request.query.items()),
            header_params={"Accept": "application/json", "Content-Type": request.content},
            body=request.body,
            auth_settings=["BearerToken"],
            _preload_content=False,
            _request_timeout=self._seconds,
        )
        try:
            data = await response.read()
        finally:
            response.release()
        text = data.decode(errors="replace")
        is_json = "json" in response.headers.get("Content-Type", "")
        return Answer(
            code=response.status,
            body=json.loads(text) if is_json else text,
            retry_after=_seconds(response.headers.get("Retry-After")),
        )

    async def _loaded(self) -> ApiClient:
        async with self._loading:
            if self._client is None:
                self._client = ApiClient(await load(self._kubeconfig))
                self._client.user_agent = "scalingsweep-operator"
            return self._client

    async def _forget(self, client: ApiClient | None) -> None:
        if client is not None:
            self._client = None if self._client is client else self._client
            await client.close()


def _seconds(header: str | None) -> float | None:
    """A number of seconds: the API server writes no dates there."""
    try:
        return None if header is None else min(max(float(header), 0.0), MOST_WAIT_SECONDS)
    except ValueError:
        return None
