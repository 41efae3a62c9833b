"""The documents in a corpus's files: a text file, a JSON line or a Parquet row is one document.

Text is taken as it is, byte for byte: nothing is normalised, and nothing that is not UTF-8 is let
in or mended silently, because bits per byte count these very bytes.
"""

import gzip
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from scalingsweep.api.corpora import Corpus
from scalingsweep.errors import DataError
from scalingsweep_trainer.prepare.sources import File, Source

ENDINGS = {"text": (".txt",), "jsonl": (".jsonl", ".jsonl.gz"), "parquet": (".parquet",)}
"""Which files of a folder are read, by format."""

_ROWS = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One document."""

    text: bytes
    """UTF-8; never empty."""
    group: str | None
    """What keeps it together with others, where the corpus has groupBy."""


def read(corpus: Corpus, source: Source) -> Iterator[Document]:
    """All documents that are not blank, in the order of the files.

    Raises:
        DataError: a file is not what it must be; it names the file and the line or byte.
    """
    readers = {"text": _text, "jsonl": _lines, "parquet": _rows}
    for file, path in source.local():
        by_file = (
            file.name.removesuffix(_ending(corpus, file)) if corpus.group_by == "file" else None
        )
        try:
            for text, group in readers[corpus.format](corpus, file, path):
                if text.strip():
                    yield Document(text=text, group=by_file if by_file is not None else group)
        except (OSError, EOFError, zlib.error) as error:  # a gzip cut short is no OSError
            raise DataError(file.address, f"cannot be read ({error}); mend or remove it") from None


def _ending(corpus: Corpus, file: File) -> str:
    fitting = [ending for ending in ENDINGS[corpus.format] if file.name.endswith(ending)]
    return max(fitting, key=len, default=Path(file.name).suffix)


def _text(_corpus: Corpus, file: File, path: Path) -> Iterator[tuple[bytes, str | None]]:
    text = path.read_bytes()
    try:
        text.decode()
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        raise DataError(file.address, f"line {line}, byte {error.start}: {_NOT_UTF8}") from None
    yield text, None


_NOT_UTF8 = "is not UTF-8; convert the file (iconv -t UTF-8) or remove it"


def _lines(corpus: Corpus, file: File, path: Path) -> Iterator[tuple[bytes, str | None]]:
    with _open(path, file) as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                at = f"{file.address}:{number}"
                value = _value(line, at)
                yield _text_of(corpus, value, at), _group_of(corpus, value, at)


def _value(line: bytes, at: str) -> dict[str, Any]:
    try:
        value = json.loads(line.decode())
    except UnicodeDecodeError as error:
        raise DataError(at, f"byte {error.start} of the line: {_NOT_UTF8}") from None
    except ValueError as error:
        raise DataError(at, f"is not JSON ({error}); mend or remove the line") from None
    if not isinstance(value, dict):
        raise DataError(at, "is not a JSON object; every line must be one")
    return value


def _open(path: Path, file: File) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(path)) if file.name.endswith(".gz") else path.open("rb")


def _rows(corpus: Corpus, file: File, path: Path) -> Iterator[tuple[bytes, str | None]]:
    import pyarrow as pa
    from pyarrow import parquet

    by_field = corpus.group_by not in {None, "file"}
    columns = [corpus.field, *([str(corpus.group_by)] if by_field else [])]
    number = 0
    try:
        with parquet.ParquetFile(path) as table:
            known = table.schema_arrow.names
            for column in columns:
                if column not in known:
                    raise DataError(
                        file.address, f"has no column {column!r}; its columns are {_few(known)}"
                    )
            for rows in table.iter_batches(_ROWS, columns=columns):
                for value in rows.to_pylist():
                    number += 1
                    at = f"{file.address}: row {number}"
                    yield _text_of(corpus, value, at), _group_of(corpus, value, at)
    except UnicodeDecodeError:
        raise DataError(file.address, f"after row {number}: {_NOT_UTF8}") from None
    except pa.ArrowException as error:
        words = str(error).splitlines()[0]
        raise DataError(file.address, f"is not readable as Parquet ({words}); mend it") from None


def _text_of(corpus: Corpus, value: dict[str, Any], at: str) -> bytes:
    if corpus.field not in value:
        raise DataError(
            at, f"has no field {corpus.field!r}; set the corpus's `field` to one of {_few(value)}"
        )
    text = value[corpus.field]
    if text is None:
        return b""
    if not isinstance(text, str):
        raise DataError(at, f"field {corpus.field!r} holds {type(text).__name__}, not text")
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise DataError(at, "has half a surrogate pair (\\ud800 …), which is no text") from None


def _group_of(corpus: Corpus, value: dict[str, Any], at: str) -> str | None:
    if corpus.group_by in {None, "file"}:
        return None
    group = value.get(str(corpus.group_by))
    if group is None:
        raise DataError(at, f"has no field {corpus.group_by!r}, which groupBy names")
    return group if isinstance(group, str) else json.dumps(group, sort_keys=True, default=str)


def _few(names: Any) -> str:
    listed = [str(name) for name in names]
    return ", ".join(listed[:8]) + (", …" if len(listed) > 8 else "")
