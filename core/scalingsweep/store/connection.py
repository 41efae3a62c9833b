"""Opens the boto3 client. The manifest and the AWS_* environment alone decide where it goes.

A profile or a key in somebody's home folder must not change where a study's results land, and the
metadata service of a cloud machine must not be asked on a laptop that has no answer for it.
"""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from scalingsweep.api.storage import S3Location
from scalingsweep.errors import SpecError

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client

# keys in the environment; a Kubernetes service account (IRSA); an EKS pod identity or ECS task
_PROVIDERS = {"env", "assume-role-with-web-identity", "container-role"}


def client(
    location: S3Location, field: str, *, keys: Mapping[str, str], attempts: int
) -> "S3Client":
    """A client for the location's endpoint; opens no connection yet.

    Args:
        location: bucket, endpoint, region and addressing.
        field: where the manifest gives the location, for errors.
        keys: AWS_ACCESS_KEY_ID and its companions; empty takes those of the environment.
        attempts: tries of each request.

    Raises:
        SpecError: the endpoint is no URL.
    """
    import boto3
    import botocore.session
    from botocore import handlers
    from botocore.config import Config

    session = botocore.session.Session(
        session_vars={
            "profile": (None, None, None, None),
            "config_file": (None, None, os.devnull, None),
            "credentials_file": (None, None, os.devnull, None),
        }
    )
    resolver = session.get_component("credential_provider")
    for provider in list(resolver.providers):
        if provider.METHOD not in _PROVIDERS:
            resolver.remove(provider.METHOD)
    region = location.region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    config = Config(
        connect_timeout=5,
        read_timeout=60,
        retries={"mode": "standard", "total_max_attempts": attempts},
        max_pool_connections=32,
        # a proxy of the environment has no way to a server on this machine
        proxies={} if _is_loopback(location.endpoint) else None,
        tcp_keepalive=True,
        s3={"addressing_style": location.addressing_style},
        # trailing checksums, boto3's default since 1.36, are refused by older S3-compatible servers
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    try:
        made = boto3.Session(botocore_session=session).client(
            "s3",
            endpoint_url=location.endpoint,
            region_name=region or "us-east-1",
            config=config,
            aws_access_key_id=keys.get("AWS_ACCESS_KEY_ID"),
            aws_secret_access_key=keys.get("AWS_SECRET_ACCESS_KEY"),
            aws_session_token=keys.get("AWS_SESSION_TOKEN"),
        )
    except ValueError as error:
        raise SpecError(
            f"{field}.endpoint", f"{error}; write it as https://host:port, or leave it out for AWS"
        ) from None
    # With "Expect: 100-continue" a connection that is cut amid the interim answer lets botocore
    # spin for ever (awsrequest.AWSConnection._consume_headers reads on at the end of the stream);
    # without it a write also saves a round trip.
    made.meta.events.unregister("before-call.s3", handlers.add_expect_header)
    made.meta.events.register("before-parse.s3", _whole)
    return made


def _whole(response_dict: Mapping[str, Any], operation_model: Any, **_: object) -> None:
    """Refuse a good answer whose headers were cut: Python's HTTP client takes them for whole.

    Its body then has no length, so that it reads as empty: a list of nothing, a file of no bytes.
    """
    from botocore.exceptions import ConnectionClosedError

    headers = {name.lower() for name, value in response_dict["headers"].items() if value.strip()}
    framed = {"content-length", "transfer-encoding"} & headers
    if operation_model.name == "UploadPart":
        framed &= headers if "etag" in headers else set()
    if response_dict["status_code"] in {200, 206} and not framed:
        raise ConnectionClosedError(endpoint_url=operation_model.name)


def _is_loopback(endpoint: str | None) -> bool:
    host = urlsplit(endpoint or "").hostname or ""
    return host in {"localhost", "::1"} or host.startswith("127.")
