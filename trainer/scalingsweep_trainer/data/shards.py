"""The token shards of one split, fetched from S3 when they are first read.

Shards lie in a cache folder that all processes of a machine share, under their digest, so that the
trials of a study download a corpus once. A file there has been verified against the index before it
got its name. The stream and the evaluation read tokens through this, by position alone.
"""

import fcntl
import hashlib
import os
import threading
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from scalingsweep.errors import DataError, DiskFull, TransientError, is_full
from scalingsweep.store import Missing, Store

Split = Literal["corpora", "validation"]
Tokens = NDArray[np.int64]


class Shards:
    """One split of a corpus as a sequence of token ids. Safe to share between threads."""

    def __init__(
        self,
        store: Store,
        split: Split,
        digest: str,
        cache: Path,
        *,
        vocabulary: int | None = None,
    ) -> None:
        """Read the index.

        Args:
            store: where prepare wrote.
            split: training text (`corpora`) or what is held out (`validation`).
            digest: the split's digest.
            cache: folder for downloaded shards.
            vocabulary: ids that the model has; others are refused where they are read.

        Raises:
            DataError: prepare has not written this split, or its index is damaged.
        """
        key = f"{split}/{digest}/index.json"
        try:
            index = store.get_json(key)
        except Missing:
            raise DataError(store.address(key), "is not there: run prepare again") from None
        self.digest = digest
        self._split = split
        self._vocabulary = vocabulary
        self._store = store
        self._folder = cache / split / digest
        self._opening = threading.Lock()
        try:
            self.tokens = int(index["tokens"])
            self.documents = int(index["documents"])
            self.bytes = int(index["bytes"])
            self.tokenizer = str(index["tokenizer"])
            self._dtype = np.dtype({"uint16": "<u2", "uint32": "<u4"}[index["dtype"]])
            self._shards: list[dict[str, Any]] = list(index["shards"])
            sizes = [int(shard["tokens"]) for shard in self._shards]
            damaged = min(sizes, default=0) < 0 or sum(sizes) != self.tokens
        except (KeyError, TypeError, ValueError):
            damaged = True
        if damaged:
            raise DataError(
                store.address(key), "is damaged; remove it, and prepare writes it again"
            )
        self._starts = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
        self._maps: list[NDArray[Any] | None] = [None] * len(sizes)

    def read(self, start: int, stop: int) -> Tokens:
        """Tokens `start` … `stop − 1` as int64; 0 ≤ start ≤ stop ≤ tokens.

        Raises:
            DataError: an id is beyond the vocabulary, or a shard is damaged or gone.
        """
        assert 0 <= start <= stop <= self.tokens, (start, stop, self.tokens)
        found = np.empty(stop - start, dtype=np.int64)
        shard = int(np.searchsorted(self._starts, start, side="right")) - 1
        at = start
        while at < stop:
            first, end = int(self._starts[shard]), min(int(self._starts[shard + 1]), stop)
            found[at - start : end - start] = self._map(shard)[at - first : end - first]
            at, shard = end, shard + 1
        if self._vocabulary is not None and found.size and found.max() >= self._vocabulary:
            # a GPU would end in an assertion that names nothing
            raise DataError(
                self._store.address(f"{self._split}/{self.digest}/index.json"),
                f"holds token {found.max()}, but the model has {self._vocabulary}: it was made "
                "with another tokenizer; remove it, and prepare writes it again",
            )
        return found

    def count(self, context: int) -> int:
        """Number of whole training sequences: floor((T − 1) / c)."""
        return max(0, (self.tokens - 1) // context)

    def sequences(self, indices: NDArray[np.int64], context: int) -> Tokens:
        """Sequences by number.

        Args:
            indices: [n] sequence numbers in [0, count).
            context: tokens c of one sequence.

        Returns:
            [n, c + 1] token ids: the inputs are the first c, the labels the last c.
        """
        rows = np.empty((indices.size, context + 1), dtype=np.int64)
        for row, index in zip(rows, indices.tolist(), strict=True):
            row[:] = self.read(index * context, index * context + context + 1)
        return rows

    def _map(self, shard: int) -> NDArray[Any]:
        known = self._maps[shard]
        if known is not None:
            return known
        with self._opening:
            path = self._folder / f"{shard:05}.bin"
            size = int(self._shards[shard]["tokens"]) * self._dtype.itemsize
            if not (path.exists() and path.stat().st_size == size):
                self._fetch(shard, path)
            mapped: NDArray[Any] = np.memmap(path, dtype=self._dtype, mode="r")
            self._maps[shard] = mapped
            return mapped

    def _fetch(self, shard: int, path: Path) -> None:
        """Download one shard, unless another process does so at this moment."""
        key, wanted = str(self._shards[shard]["key"]), self._shards[shard]["sha256"]
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            size = int(self._shards[shard]["tokens"]) * self._dtype.itemsize
            if path.exists() and path.stat().st_size == size:
                return
            draft = path.with_suffix(f".{os.getpid()}.part")
            try:
                self._store.download_file(key, draft)
                with draft.open("rb") as file:
                    found = hashlib.file_digest(file, "sha256").hexdigest()
                if found != wanted:
                    raise DataError(
                        self._store.address(key),
                        "does not match its index; remove the index, and prepare writes both again",
                    )
                draft.replace(path)
            except Missing as error:
                raise DataError(error.address, "is gone: run prepare again") from None
            except OSError as error:
                if is_full(error):
                    raise DiskFull(path.parent) from None
                raise TransientError(f"{path.parent}: cannot keep a shard ({error})") from None
            finally:
                draft.unlink(missing_ok=True)
