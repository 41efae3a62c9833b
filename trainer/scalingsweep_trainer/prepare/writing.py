"""Token shards in S3, with one index per split that is written last: it says that all is there.

A split is named by a digest of what determines its tokens, so it is written once, by whoever comes
first; two that write at the same time write the same bytes.
"""

import hashlib
import json
import logging
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np

from scalingsweep.errors import DataError
from scalingsweep.store import Missing, Store
from scalingsweep_trainer.data.shards import Split
from scalingsweep_trainer.prepare.staging import Kept
from scalingsweep_trainer.prepare.tokenizer import Ready

log = logging.getLogger(__name__)

INDEX_VERSION = 1
SHARD_BYTES = 64 * 2**20
_BATCH_BYTES = 4 * 2**20  # of text given to the tokenizer at a time


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """One split in S3."""

    digest: str
    tokens: int
    documents: int
    bytes: int


def write(
    split: Split, kept: Kept, tokenizer: Ready, *, store: Store, name: str, most: int | None = None
) -> Written:
    """Tokenize one side of a corpus into shards, unless they are there.

    Args:
        split: which side.
        kept: its documents.
        tokenizer: the study's.
        store: where to.
        name: the corpus's name, for the log.
        most: tokens after which no further document is taken; the first one always is.
    """
    inputs = [INDEX_VERSION, tokenizer.digest, kept.content, most]
    digest = hashlib.sha256(json.dumps(inputs).encode()).hexdigest()[:32]
    key = f"{split}/{digest}/index.json"
    try:
        index = store.get_json(key)
        log.info("%s: %s is there: %s tokens", name, split, f"{index['tokens']:,}")
    except Missing:
        index = _write(f"{split}/{digest}", kept, tokenizer, store, most)
        store.put_json(key, index)
        log.info(
            "%s: %s has %s tokens of %s documents",
            name, split, f"{index['tokens']:,}", f"{index['documents']:,}",
        )  # fmt: skip
    try:
        return Written(
            digest=digest,
            tokens=int(index["tokens"]),
            documents=int(index["documents"]),
            bytes=int(index["bytes"]),
        )
    except (KeyError, TypeError, ValueError):
        raise DataError(
            store.address(key), "is damaged; remove it, and prepare writes it again"
        ) from None


def _write(
    folder: str, kept: Kept, tokenizer: Ready, store: Store, most: int | None
) -> dict[str, Any]:
    dtype = "uint16" if tokenizer.vocab_size <= 2**16 else "uint32"
    documents = size = 0
    with tempfile.TemporaryDirectory(prefix="scalingsweep-") as scratch:
        shards = _Shards(folder, np.dtype(dtype).newbyteorder("<"), store, Path(scratch))
        for text, ids in _encoded(kept, tokenizer):
            if most is not None and documents and shards.tokens + len(ids) + 1 > most:
                break
            shards.add([*ids, tokenizer.end_of_text])
            documents += 1
            size += len(text)
        shards.flush()
    return {
        "version": INDEX_VERSION,
        "tokenizer": tokenizer.digest,
        "dtype": dtype,
        "shards": shards.entries,
        "tokens": shards.tokens,
        "documents": documents,
        "bytes": size,
    }


def _encoded(kept: Kept, tokenizer: Ready) -> Iterator[tuple[bytes, list[int]]]:
    """Each document with its token ids."""
    for batch in _batches(kept.texts()):
        yield from zip(batch, tokenizer.encode(batch), strict=True)


def _batches(texts: Iterator[bytes]) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    size = 0
    for text in texts:
        batch.append(text)
        size += len(text)
        if size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


@dataclass(slots=True)
class _Shards:
    """Cuts a run of tokens into objects of SHARD_BYTES; documents may cross the cuts."""

    folder: str
    dtype: np.dtype[Any]
    store: Store
    scratch: Path
    entries: list[dict[str, Any]] = field(default_factory=list)
    tokens: int = 0
    _open: IO[bytes] | None = None
    _left: int = 0

    def add(self, ids: list[int]) -> None:
        """Append tokens."""
        data = np.asarray(ids, dtype=self.dtype)
        self.tokens += data.size
        while data.size:
            if self._open is None:
                self._open = (self.scratch / "shard").open("wb")
                self._left = SHARD_BYTES // self.dtype.itemsize
            part = data[: self._left]
            self._open.write(part.tobytes())
            self._left -= part.size
            data = data[part.size :]
            if self._left == 0:
                self.flush()

    def flush(self) -> None:
        """Upload what is open."""
        if self._open is None:
            return
        self._open.close()
        self._open = None
        path = self.scratch / "shard"
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        key = f"{self.folder}/shard-{len(self.entries):05}.bin"
        self.store.upload_file(key, path)
        tokens = path.stat().st_size // self.dtype.itemsize
        self.entries.append({"key": key, "tokens": tokens, "sha256": sha256})
