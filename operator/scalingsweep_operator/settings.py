"""What the operator was told at its start: flags, or the environment. `main` reads them once.

Every field is a flag (`--worker-image`) and a variable (`SCALINGSWEEP_WORKER_IMAGE`); the flag
wins. A wrong one ends the process with one line and exit status 2.
"""

import argparse
import os
import secrets
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, Self

import pydantic
from pydantic import Field

PREFIX = "SCALINGSWEEP_"
_NAMESPACE = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"
_NAME = r"^[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?$"
_OTHER_NAMES = {"namespace": "POD_NAMESPACE", "identity": "POD_NAME"}
"""Variables that a Deployment usually sets by these names already."""


def _identity() -> str:
    """Of a process that has no pod's name: two on one machine must not take themselves for one."""
    return f"{socket.gethostname().lower()}-{secrets.token_hex(4)}"


class Settings(pydantic.BaseModel):
    """All of them."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    worker_image: str = Field(pattern=r"^\S+$", max_length=1024)
    """image that prepare, trials and fits run"""
    namespaces: tuple[Annotated[str, Field(pattern=_NAMESPACE)], ...] = ()
    """serve only these, separated by commas; none: the whole cluster"""
    namespace: str = Field(default="default", pattern=_NAMESPACE)
    """the operator's own, where its Lease lies"""
    identity: str = Field(default_factory=_identity, min_length=1, max_length=128)
    """who holds the Lease: the pod's name; by default the host's and a random number"""
    lease_name: str = Field(default="scalingsweep-operator", pattern=_NAME)
    """the Lease that lets one operator work at a time"""
    lease_seconds: float = Field(default=15, ge=1, le=3600)
    """how long the Lease is held after its last renewal"""
    renew_seconds: float = Field(default=5, gt=0)
    """how often it is renewed; at most a third of that"""
    http_host: str = "0.0.0.0"  # noqa: S104  a pod is reached from outside
    """where /metrics, /healthz and /readyz are served"""
    http_port: int = Field(default=8080, ge=0, le=65535)
    """and at which port; 0: any that is free"""
    creates_per_second: float = Field(default=10, gt=0)
    """objects made a second in the long run"""
    creates_burst: int = Field(default=20, ge=1)
    """objects made at once"""
    full_look_seconds: float = Field(default=60, gt=0)
    """how often every sweep is looked at, whatever was heard of it"""
    workers: int = Field(default=4, ge=1, le=64)
    """sweeps looked at at the same time"""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """least weight of what is logged"""
    log_format: Literal["plain", "json"] = "plain"
    """lines for people, or one JSON object a line"""
    kubeconfig: Path | None = None
    """a kubeconfig; none: the pod's service account, else KUBECONFIG or ~/.kube/config"""

    @pydantic.model_validator(mode="after")
    def _renewed_in_time(self) -> Self:
        if self.renew_seconds > self.lease_seconds / 3:
            raise ValueError("renew-seconds: make it at most a third of lease-seconds")
        return self


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One line; whoever wants the usage asks for it."""
        self.exit(2, f"{self.prog}: {message} (--help lists all settings)\n")


def read(arguments: Sequence[str], environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings.

    Raises:
        SystemExit: 2 with one line on stderr; 0 after --help.
    """
    parser = _parser()
    flags = {k: v for k, v in vars(parser.parse_args(arguments)).items() if v is not None}
    given = _from_environment(environment) | flags
    if "namespaces" in given:
        parts = given["namespaces"].split(",")
        given["namespaces"] = [part.strip() for part in parts if part.strip()]
    try:
        return Settings(**given)
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = _flag(str(first["loc"][0])) if first["loc"] else ""
        what = first["msg"].removeprefix("Value error, ")
        parser.error(f"{where}: {what}" if where else f"--{what}")


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    """An empty variable is one left out, as a chart writes it."""
    names = {
        field: (f"{PREFIX}{field.upper()}", _OTHER_NAMES.get(field, ""))
        for field in Settings.model_fields
    }
    found = {
        field: next((environment[name] for name in pair if environment.get(name)), None)
        for field, pair in names.items()
    }
    return {field: value for field, value in found.items() if value is not None}


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="scalingsweep-operator",
        description="Runs the ScalingSweeps of a Kubernetes cluster. Several may run at a time: "
        "one holds the Lease and works, the others stand by.",
        epilog="Every flag may be given as a variable instead: --worker-image as "
        "SCALINGSWEEP_WORKER_IMAGE. POD_NAMESPACE and POD_NAME stand for --namespace and "
        "--identity.",
        allow_abbrev=False,
    )
    for name, field in Settings.model_fields.items():
        default = (
            ""
            if field.default in (None, ()) or callable(field.default_factory)
            else (" (required)" if field.is_required() else f" ({field.default})")
        )
        parser.add_argument(_flag(name), metavar="VALUE", help=f"{field.description}{default}")
    return parser


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
