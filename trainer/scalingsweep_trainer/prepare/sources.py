"""The files of a corpus, in a folder or under an S3 prefix, in one order on every machine.

Hidden files are left out, and so are links that lead out of the folder: a corpus is what lies in
its folder.
"""

import logging
import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from scalingsweep.errors import DataError, SpecError
from scalingsweep.store import Missing, Store

log = logging.getLogger(__name__)

# Many small objects are bound by latency: fetch this many side by side, and no more than this much.
_PARALLEL = 16
_GROUP_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One file of a corpus."""

    name: str
    """Its path inside the corpus, with slashes."""
    address: str
    """What a person calls it, for messages."""
    size: int
    """Bytes."""
    key: str = ""
    """Its key, where it is an object in S3."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a corpus lies: a folder, or an S3 prefix when `store` is given."""

    files: tuple[File, ...]
    store: Store | None = None

    @property
    def bytes(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    def local(self) -> Iterator[tuple[File, Path]]:
        """Each file in order, with a path where it can be read until the next one is asked for."""
        if self.store is None:
            for file in self.files:
                yield file, Path(file.address)
            return
        for group in _groups(self.files):
            with tempfile.TemporaryDirectory(prefix="scalingsweep-") as folder:
                paths = [Path(folder) / str(k) for k in range(len(group))]
                with ThreadPoolExecutor(_PARALLEL) as pool:
                    list(pool.map(self._fetch, group, paths))
                yield from zip(group, paths, strict=True)

    def _fetch(self, file: File, path: Path) -> None:
        assert self.store is not None
        if file.size < _GROUP_BYTES:
            path.write_bytes(self.store.get(file.key))
        else:
            self.store.download_file(file.key, path)


def find(uri: str, endings: tuple[str, ...], *, store: Store, base: Path, field: str) -> Source:
    """The files of a corpus whose names end in one of `endings`.

    Args:
        uri: `s3://bucket/prefix/`, or a folder (or one file) relative to `base`.
        endings: `.txt`, …
        store: of the study; other buckets of the same server are reached through it.
        base: the manifest's folder.
        field: `spec.corpora[i].uri`, for errors.

    Raises:
        DataError: nothing is there, or nothing that ends so.
    """
    if uri.startswith("s3://"):
        bucket, _, prefix = uri.removeprefix("s3://").partition("/")
        there = store.beside(bucket, "", field=field)
        try:
            return _checked(_objects(there, prefix, endings), uri, endings, field, there)
        except DataError:
            raise
        except SpecError as error:
            raise DataError(field, f"{uri}: {error.problem}") from None
    root = (base / uri).resolve()
    if not root.exists():
        raise DataError(field, f"there is no folder {uri} (looked at {root}); correct the address")
    try:
        return _checked(_in_folder(root, endings), uri, endings, field, None)
    except OSError as error:
        raise DataError(field, f"{error.filename}: {error.strerror}; make it readable") from None


def _checked(
    files: list[File], uri: str, endings: tuple[str, ...], field: str, store: Store | None
) -> Source:
    if not files:
        raise DataError(
            field, f"{uri} is empty: no file in it ends in {' or '.join(endings)}; check `format`"
        )
    return Source(files=tuple(files), store=store)


def _objects(store: Store, prefix: str, endings: tuple[str, ...]) -> list[File]:
    folder = prefix if prefix.endswith(("/", *endings)) or not prefix else f"{prefix}/"
    root = folder if folder.endswith("/") else folder.rpartition("/")[0]
    return [
        File(name=name, address=store.address(key), size=size, key=key)
        for key, size in sorted(store.sizes(folder).items())
        if _wanted(name := key.removeprefix(root).lstrip("/"), endings)
    ]


def _in_folder(root: Path, endings: tuple[str, ...]) -> list[File]:
    if root.is_file():
        return [File(name=root.name, address=str(root), size=root.stat().st_size)]
    found = []
    for folder, _, names in os.walk(root, onerror=_raise):
        for plain in names:
            path = Path(folder, plain)
            name = path.relative_to(root).as_posix()
            if not _wanted(name, endings):
                continue
            if not path.resolve().is_relative_to(root):
                log.warning("%s is a link that leaves the corpus; it is not followed", path)
                continue
            found.append(File(name=name, address=str(path), size=path.stat().st_size))
    return sorted(found, key=lambda file: os.fsencode(file.name))


def _raise(error: OSError) -> None:
    raise error


def _wanted(name: str, endings: tuple[str, ...]) -> bool:
    parts = PurePosixPath(name).parts
    return name.endswith(endings) and not any(part.startswith(".") for part in parts)


def _groups(files: tuple[File, ...]) -> Iterator[list[File]]:
    """Files in runs of bounded number and size; a large one stands alone."""
    group: list[File] = []
    size = 0
    for file in files:
        if group and (size + file.size > _GROUP_BYTES or len(group) == 4 * _PARALLEL):
            yield group
            group, size = [], 0
        group.append(file)
        size += file.size
    if group:
        yield group


def read_one(uri: str, *, store: Store, base: Path, field: str) -> bytes:
    """One file by its address: a given tokenizer.json.

    Raises:
        DataError: it is not there.
    """
    try:
        if not uri.startswith("s3://"):
            return (base / uri).read_bytes()
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        return store.beside(bucket, "", field=field).get(key)
    except Missing:
        raise DataError(field, f"there is no object {uri}; correct the address") from None
    except SpecError as error:
        raise DataError(field, f"{uri}: {error.problem}") from None
    except OSError as error:
        raise DataError(field, f"cannot read {uri} ({error.strerror}); correct it") from None
