"""Token shards of known content, in the format that ARCHITECTURE.md fixes."""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scalingsweep.store import Store


def write(
    store: Store,
    split: str,
    digest: str,
    ids: NDArray[Any],
    *,
    cuts: Sequence[int] = (),
    dtype: str = "uint16",
    tokenizer: str = "0" * 32,
) -> None:
    """Write one split whose shards end at `cuts`."""
    shards = []
    for k, part in enumerate(np.split(ids, cuts)):
        data = part.astype(np.dtype(dtype).newbyteorder("<")).tobytes()
        key = f"{split}/{digest}/shard-{k:05}.bin"
        store.put(key, data)
        sha256 = hashlib.sha256(data).hexdigest()
        shards.append({"key": key, "tokens": len(part), "sha256": sha256})
    index = {"version": 1, "tokenizer": tokenizer, "dtype": dtype, "shards": shards}
    rest = {"tokens": len(ids), "documents": 1, "bytes": len(ids)}
    store.put_json(f"{split}/{digest}/index.json", {**index, **rest})
