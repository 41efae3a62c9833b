"""The storage of a study on one machine: the embedded server, or the manifest's own bucket.

`run` opens it for its workers; the commands that only read a study open it too.
"""

import os
import shutil
from pathlib import Path
from typing import Protocol, Self

from scalingsweep.api.storage import S3Location
from scalingsweep.api.sweep import SweepSpec
from scalingsweep.errors import SpecError, TransientError
from scalingsweep_cli.local import s3server
from scalingsweep_cli.local.folder import Folder

PREFIX = "local"

LEAST_FREE_BYTES = 512 * 2**20
"""What the embedded server's disk must have left. The server makes volumes of 128 MB ahead and
answers "internal error" long before the last byte; above this, all that runs can still save."""
LEAST_BESIDE_BYTES = 64 * 2**20
"""What the study's disk must have left where its storage is elsewhere: for the journal, outcomes,
logs, and shards and checkpoints on their way."""


class Opened(Protocol):
    """A storage in use; a context manager."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    @property
    def location(self) -> S3Location:
        """Where; it may change when a dead server comes back."""
        ...

    @property
    def keys(self) -> dict[str, str]:
        """Credentials for a worker's environment."""
        ...

    def mend(self) -> bool:
        """Bring it back if it has died; True when that was so.

        Raises:
            TransientError: it cannot go on: it does not start, or its disk is full.
        """
        ...


def of(spec: SweepSpec, folder: Folder, *, embedded: bool) -> Opened:
    """The storage that a spec asks for, not yet opened.

    Raises:
        SpecError: data of a manifest lie in a bucket that the embedded server has not.
    """
    if spec.storage is not None and not embedded:
        return _Given(spec.storage.s3, folder)
    _no_buckets(spec)
    return _Embedded(folder)


def _no_buckets(spec: SweepSpec) -> None:
    for index, corpus in enumerate(spec.corpora):
        if corpus.uri.startswith("s3://"):
            raise SpecError(
                f"spec.corpora[{index}].uri",
                f"{corpus.uri} is not in the embedded storage: "
                f"bring a folder with --corpus {corpus.name}=FOLDER",
            )
    given = [("spec.tokenizer.uri", spec.tokenizer.uri)]
    given += [(f"spec.arms[{i}].init.uri", a.init.uri) for i, a in enumerate(spec.arms) if a.init]
    for field, uri in given:
        if uri is not None and uri.startswith("s3://"):
            raise SpecError(
                field, f"{uri} is not in the embedded storage: name a folder of this machine"
            )


class _Given:
    def __init__(self, location: S3Location, folder: Folder) -> None:
        self.location = location
        self._root = folder.root

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    @property
    def keys(self) -> dict[str, str]:
        return {name: text for name, text in os.environ.items() if name.startswith("AWS_")}

    def mend(self) -> bool:
        _check_disk(self._root, "this study", LEAST_BESIDE_BYTES)
        return False


class _Embedded:
    def __init__(self, folder: Folder) -> None:
        self._root = folder.root
        self._server = s3server.S3Server(folder.s3)

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()

    @property
    def location(self) -> S3Location:
        return self._server.access.location(PREFIX)

    @property
    def keys(self) -> dict[str, str]:
        return self._server.access.keys()

    def mend(self) -> bool:
        _check_disk(self._root, "the S3 server", LEAST_FREE_BYTES)
        if self._server.alive():
            return False
        self._server.restart()
        return True


def _check_disk(root: Path, who: str, least: int) -> None:
    free = shutil.disk_usage(root).free
    if free < least:
        raise TransientError(
            f"{root}: its disk has {free / 1e6:.0f} MB left, and {who} needs {least / 1e6:.0f}: "
            "free some and run the same again; everything so far is kept"
        )
