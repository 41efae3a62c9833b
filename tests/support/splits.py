"""Reads back what prepare wrote, with nothing of prepare's own code."""

import hashlib
import json
from typing import Any

import numpy as np
import tokenizers

from scalingsweep.store import Store


def encoder(store: Store, digest: str) -> tokenizers.Tokenizer:
    """The tokenizer of S3."""
    data = store.get(f"tokenizers/{digest}/tokenizer.json")
    assert hashlib.sha256(data).hexdigest()[:32] == digest
    return tokenizers.Tokenizer.from_str(data.decode())


def index(store: Store, split: str, digest: str) -> dict[str, Any]:
    """The index of a split."""
    found = json.loads(store.get(f"{split}/{digest}/index.json"))
    assert isinstance(found, dict)
    return found


def tokens(store: Store, split: str, digest: str) -> list[int]:
    """All token ids of a split."""
    found = index(store, split, digest)
    ids: list[int] = []
    for shard in found["shards"]:
        data = store.get(shard["key"])
        assert hashlib.sha256(data).hexdigest() == shard["sha256"]
        part = np.frombuffer(data, dtype=f"<u{2 if found['dtype'] == 'uint16' else 4}")
        assert part.size == shard["tokens"]
        ids += part.tolist()
    assert len(ids) == found["tokens"]
    return ids


def documents(store: Store, split: str, digest: str) -> list[str]:
    """The documents of a split, decoded."""
    known = encoder(store, index(store, split, digest)["tokenizer"])
    end = known.token_to_id("<|endoftext|>")
    texts: list[str] = []
    current: list[int] = []
    for token in tokens(store, split, digest):
        if token == end:
            texts.append(known.decode(current, skip_special_tokens=False))
            current = []
        else:
            current.append(token)
    assert current == [], "the last document is ended too"
    return texts
