"""The one way to the API server: JSON in, JSON out, and every refusal as one of our faults.

It stands on the HTTP layer of the kubernetes package (credentials, TLS, tokens that are renewed)
and leaves its generated models alone. Every call has a time limit; every write asks first whether
this process may still write, and creates wait for a token, since kopf's clients have no limit.
"""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
from kubernetes.aio import client, config

from scalingsweep.errors import ScalingSweepError, TransientError
from scalingsweep_operator import faults
from scalingsweep_operator.bucket import Bucket
from scalingsweep_operator.metrics import Metrics
from scalingsweep_operator.resources import Object, Resource

_PAGE = 500
_TRIES = 4
"""How often one call is made while the server says 429, or 503 and when to come back."""
_LONGEST_WAIT = 30.0
_STRICT = {"fieldValidation": "Strict"}
_LONGEST = 512

Objects = list[Object]
"""Named here: inside Api, `list` is a verb."""


async def connect(kubeconfig: Path | None = None) -> client.ApiClient:
    """A client with the credentials of the pod, or of a kubeconfig.

    Args:
        kubeconfig: the file; None: the service account, or the usual rules outside a cluster.

    Raises:
        ScalingSweepError: there are no credentials.
    """
    settings = client.Configuration()
    try:
        if kubeconfig is None:
            try:
                config.load_incluster_config(client_configuration=settings)
            except config.ConfigException:
                await config.load_kube_config(client_configuration=settings, persist_config=False)
        else:
            await config.load_kube_config(
                config_file=str(kubeconfig), client_configuration=settings, persist_config=False
            )
    except (config.ConfigException, OSError) as error:
        raise ScalingSweepError(
            f"no way to an API server: {error}; run in a pod, or set KUBECONFIG"
        ) from None
    return client.ApiClient(settings)


class Api:
    """One API server, for the whole process."""

    def __init__(
        self,
        http: client.ApiClient,
        *,
        metrics: Metrics,
        creates: Bucket | None = None,
        allowed: Callable[[], bool] = lambda: True,
        timeout: float = 30.0,
    ) -> None:
        """Take a connection.

        Args:
            http: see `connect`; closed with this.
            metrics: where calls are counted.
            creates: what creates wait for.
            allowed: whether this process may write now (`lease`).
            timeout: seconds that one request may take.
        """
        self._http = http
        self._metrics = metrics
        self._creates = creates or Bucket(rate=1000, burst=1000)
        self._allowed = allowed
        self._timeout = timeout

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._http.close()

    async def get(self, resource: Resource, namespace: str, name: str) -> Object | None:
        """One object; None where there is none."""
        try:
            return await self._ask("GET", resource.path(namespace, name))
        except faults.Missing:
            return None

    async def list(self, resource: Resource, namespace: str | None, *, labels: str = "") -> Objects:
        """All objects with these labels.

        Raises:
            Unknown: the cluster has no such kind.
        """
        for _ in range(_TRIES):
            try:
                return await self._pages(resource, namespace, labels)
            except faults.Expired:
                continue  # it took too long between two pages: from the start
        raise TransientError(f"{resource.plural}: the list changes faster than it can be read")

    async def create(
        self, resource: Resource, namespace: str, body: Object, *, dry_run: bool = False
    ) -> Object:
        """Make an object; unknown fields are refused.

        Raises:
            Exists: there is one of that name.
            Refused: it is wrong, or a policy or quota is against it.
            Unadmitted: a webhook that must judge it does not answer.
            Terminating: its namespace goes away.
        """
        query = _STRICT | ({"dryRun": "All"} if dry_run else {})
        if not dry_run:
            await self._creates.take()
        try:
            return await self._ask("POST", resource.path(namespace), body, query)
        except faults.Missing as error:  # of its namespace, which is gone
            raise faults.Terminating(str(error)) from None

    async def replace(self, resource: Resource, item: Object) -> Object:
        """Write a whole object, as it was read but for what was changed in it.

        Raises:
            Conflict: the object has changed since, or is gone.
        """
        return await self._put(resource, item, "")

    async def replace_status(
        self, resource: Resource, item: Object, status: dict[str, Any]
    ) -> Object:
        """Write an object's status, as it was read.

        Raises:
            Conflict: the object has changed since, or is gone.
        """
        return await self._put(resource, {**item, "status": status}, "status")

    async def patch(
        self, resource: Resource, namespace: str, name: str, body: Object, *, version: str
    ) -> Object:
        """Merge fields into an object.

        Args:
            resource: its kind.
            namespace: where it is.
            name: which.
            body: the fields.
            version: the resourceVersion that it must still have.

        Raises:
            Conflict: the object has changed since, or is gone.
        """
        given = {**body, "metadata": {**body.get("metadata", {}), "resourceVersion": version}}
        path = resource.path(namespace, name)
        try:
            return await self._ask("PATCH", path, given, _STRICT)
        except faults.Missing as error:
            raise faults.Conflict(str(error)) from None

    async def delete(self, resource: Resource, namespace: str, name: str, *, uid: str) -> bool:
        """Delete this very object; False where it is gone, or another has its name."""
        options = {"propagationPolicy": "Background", "preconditions": {"uid": uid}}
        try:
            await self._ask("DELETE", resource.path(namespace, name), options)
        except (faults.Missing, faults.Conflict):
            return False
        return True

    async def _put(self, resource: Resource, item: Object, subresource: str) -> Object:
        metadata = item["metadata"]
        path = resource.path(metadata["namespace"], metadata["name"], subresource)
        try:
            return await self._ask("PUT", path, item, _STRICT)
        except faults.Missing as error:
            raise faults.Conflict(str(error)) from None

    async def _pages(self, resource: Resource, namespace: str | None, labels: str) -> Objects:
        found: list[Object] = []
        following = ""
        while True:
            query = {"limit": str(_PAGE), "labelSelector": labels, "continue": following}
            given = {name: value for name, value in query.items() if value}
            page = await self._ask("GET", resource.path(namespace), query=given)
            kind = {"apiVersion": resource.api_version, "kind": resource.kind}
            found += [{**kind, **item} for item in page.get("items") or []]
            following = page["metadata"].get("continue", "")
            if not following:
                return found

    async def _ask(
        self, verb: str, path: str, body: Any = None, query: dict[str, str] | None = None
    ) -> Object:
        for left in reversed(range(_TRIES)):
            if verb != "GET" and not self._allowed():
                raise faults.Lost("another process leads: nothing more is written by this one")
            status, headers, data = await self._once(verb, path, body, query or {})
            self._metrics.api_call(verb, str(status))
            busy = status == 429 or (status == 503 and "Retry-After" in headers)
            if not busy or not left:
                return _answer(status, data, f"{verb} {path}")
            await asyncio.sleep(_wait(headers.get("Retry-After", "1")))
        raise AssertionError("the last try returns or raises")

    async def _once(
        self, verb: str, path: str, body: Any, query: dict[str, str]
    ) -> tuple[int, dict[str, str], bytes]:
        kind = "application/merge-patch+json" if verb == "PATCH" else "application/json"
        try:
            async with asyncio.timeout(self._timeout):
                response = await self._http.call_api(
                    path,
                    verb,
                    query_params=list(query.items()),
                    header_params={"Accept": "application/json", "Content-Type": kind},
                    body=body,
                    auth_settings=["BearerToken"],
                    _preload_content=False,
                )
                async with response:
                    return response.status, dict(response.headers), await response.read()
        except (aiohttp.ClientError, OSError) as error:
            self._metrics.api_call(verb, "error")
            said = str(error) or type(error).__name__
            raise TransientError(
                f"{verb} {path}: the API server does not answer ({said})"
            ) from None


def _wait(said: str) -> float:
    return min(float(said), _LONGEST_WAIT) if said.isdigit() else 1.0


def _answer(status: int, data: bytes, what: str) -> Object:
    """The object, or the fault that the answer is."""
    try:
        value = json.loads(data)
    except ValueError:
        value = None
    if 200 <= status < 300 and isinstance(value, dict):
        return value
    said = value if isinstance(value, dict) else {}
    message = f"{what}: {said.get('message') or f'answered with {status}'}"[:_LONGEST]
    reason = str(said.get("reason", ""))
    details = said.get("details") or {}
    if status == 404 and not details.get("name"):  # no object is named where the kind is not known
        raise faults.Unknown(message)
    causes = [cause.get("reason") for cause in details.get("causes") or []]
    raise _fault(status, reason, causes, message)


def _fault(status: int, reason: str, causes: list[Any], message: str) -> ScalingSweepError:
    match status:
        case 404:
            return faults.Missing(message)
        case 409 if reason == "AlreadyExists":
            return faults.Exists(message)
        case 409:
            return faults.Conflict(message)
        case 410:
            return faults.Expired(message)
        case 403 if "NamespaceTerminating" in causes:
            return faults.Terminating(message)
        case 400 | 403 | 413 | 422:
            return faults.Refused(message, code=status, reason=reason)
        case 500 if "failed calling webhook" in message:
            return faults.Unadmitted(message)
        case _:
            return TransientError(message)
