"""Where a study keeps its data: one prefix of one S3 bucket."""

from typing import ClassVar, Literal

from pydantic import Field

from scalingsweep.api import cluster
from scalingsweep.api.wire import Wire


class S3Location(Wire):
    """A prefix of a bucket, and how to reach it. Credentials are never part of it."""

    guards: ClassVar = cluster.fixed("bucket", "prefix")

    bucket: str = Field(min_length=3, max_length=63, pattern=r"^[a-z0-9][a-z0-9.-]*[a-z0-9]$")
    """The bucket; it must exist."""
    prefix: str = Field(default="", max_length=512, pattern=r"^([^/\s][^\s]*[^/\s]|[^/\s])?$")
    """All keys of the study begin with it; no slash at either end. Studies that share a prefix
    share their trials."""
    endpoint: str | None = Field(default=None, max_length=512, pattern=r"^https?://[^\s@]+$")
    """Address of the S3 server; left out for AWS."""
    region: str | None = Field(default=None, max_length=64)
    """Region of the bucket."""
    addressing_style: Literal["auto", "path", "virtual"] = "auto"
    """How the bucket is put into the address; servers other than AWS mostly want `path`."""
    credentials_secret: str | None = Field(default=None, max_length=253)
    """On the cluster: the Secret, in the sweep's namespace, with AWS_ACCESS_KEY_ID and
    AWS_SECRET_ACCESS_KEY. Left out: the pods' service account, or the environment."""


class Storage(Wire):
    """The storage of a sweep."""

    s3: S3Location
    """The S3 bucket that holds corpora, trials and results."""
