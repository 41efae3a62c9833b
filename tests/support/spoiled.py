"""An operator's Api with something wrong: its process dies, or the cluster lacks a kind."""

from typing import Any

from scalingsweep_operator import faults, resources
from scalingsweep_operator.api import Api
from scalingsweep_operator.resources import Resource


class Died(Exception):  # noqa: N818 - a process, not a fault
    """The operator's process is gone."""


class Mortal:
    """An Api whose process dies when its first write is through."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._api, name)
        if name not in {"create", "replace_status", "patch", "delete"}:
            return call

        async def write_and_die(*arguments: Any, **named: Any) -> Any:
            found = await call(*arguments, **named)
            if named.get("dry_run"):
                return found
            raise Died

        return write_and_die


class Bare:
    """An Api of a cluster that has no PyTorchJob."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._api, name)

        async def asked(resource: Resource, *arguments: Any, **named: Any) -> Any:
            if resource == resources.PYTORCH_JOBS:
                raise faults.Unknown("the server could not find the requested resource")
            return await call(resource, *arguments, **named)

        return asked
