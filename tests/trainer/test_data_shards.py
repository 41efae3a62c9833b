"""Reading shards back: across their borders, through a shared cache, never damaged ones."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scalingsweep.errors import DataError
from scalingsweep.store import Store
from scalingsweep_trainer.data import windows
from scalingsweep_trainer.data.shards import Shards
from support import token_shards


@pytest.mark.parametrize("dtype", ["uint16", "uint32"])
def test_sequences_cross_shards(store: Store, tmp_path: Path, dtype: str) -> None:
    ids = np.arange(1000) * (60 if dtype == "uint16" else 100_000)
    token_shards.write(store, "corpora", "d", ids, cuts=[7, 300, 999], dtype=dtype)
    shards = Shards(store, "corpora", "d", tmp_path)
    assert shards.tokens == 1000
    assert shards.count(10) == 99  # ⌊999 / 10⌋
    assert shards.count(999) == 1
    assert shards.count(1000) == 0
    found = shards.sequences(np.array([98, 0, 29, 30]), 10)
    assert found.dtype == np.int64
    for row, k in zip(found, (98, 0, 29, 30), strict=True):
        assert row.tolist() == ids[k * 10 : k * 10 + 11].tolist()
    assert shards.read(0, 1000).tolist() == ids.tolist()
    assert shards.read(500, 500).size == 0


def test_only_what_is_read_is_fetched_and_once(store: Store, tmp_path: Path) -> None:
    token_shards.write(store, "corpora", "d", np.arange(400), cuts=[100, 200, 300])
    Shards(store, "corpora", "d", tmp_path).read(120, 130)
    assert [path.name for path in tmp_path.rglob("*.bin")] == ["00001.bin"]
    for key in list(store.list("corpora/d/shard")):
        store.delete(key)
    again = Shards(store, "corpora", "d", tmp_path)  # another process of the same machine
    assert again.read(150, 152).tolist() == [150, 151]
    with pytest.raises(DataError, match=r"shard-00002\.bin: is gone: run prepare again"):
        again.read(250, 251)


def test_many_readers_share_one_cache(store: Store, tmp_path: Path) -> None:
    token_shards.write(store, "corpora", "d", np.arange(60_000), cuts=[30_000])

    def read(_: int) -> Any:
        return Shards(store, "corpora", "d", tmp_path).read(29_990, 30_010).tolist()

    with ThreadPoolExecutor(8) as pool:
        assert all(found == list(range(29_990, 30_010)) for found in pool.map(read, range(8)))
    assert not list(tmp_path.rglob("*.part"))


def test_a_damaged_shard_is_refused(store: Store, tmp_path: Path) -> None:
    token_shards.write(store, "corpora", "d", np.arange(100))
    data = bytearray(store.get("corpora/d/shard-00000.bin"))
    data[50] ^= 1
    store.put("corpora/d/shard-00000.bin", bytes(data))
    with pytest.raises(DataError, match="does not match its index"):
        Shards(store, "corpora", "d", tmp_path).read(0, 1)
    assert not [path for path in tmp_path.rglob("*") if path.suffix in {".bin", ".part"}]


def test_a_truncated_shard_is_refused(store: Store, tmp_path: Path) -> None:
    """In S3; in the cache, where a machine that lost power left it, it is fetched anew."""
    token_shards.write(store, "corpora", "d", np.arange(100))
    assert Shards(store, "corpora", "d", tmp_path).read(98, 100).tolist() == [98, 99]
    (cached,) = tmp_path.rglob("*.bin")
    cached.write_bytes(cached.read_bytes()[:-2])
    assert Shards(store, "corpora", "d", tmp_path).read(98, 100).tolist() == [98, 99]
    store.put("corpora/d/shard-00000.bin", store.get("corpora/d/shard-00000.bin")[:-2])
    with pytest.raises(DataError, match="does not match its index"):
        Shards(store, "corpora", "d", tmp_path / "elsewhere").read(0, 1)


def test_an_index_whose_shards_do_not_add_up_is_refused(store: Store, tmp_path: Path) -> None:
    token_shards.write(store, "corpora", "d", np.arange(100), cuts=[50])
    index = store.get_json("corpora/d/index.json")
    store.put_json("corpora/d/index.json", {**index, "shards": index["shards"][:1]})
    with pytest.raises(DataError, match="is damaged; remove it"):
        Shards(store, "corpora", "d", tmp_path)


@pytest.mark.parametrize("index", [{}, [], {"tokens": 1}, {"dtype": "int8"}])
def test_a_damaged_index_is_refused(store: Store, tmp_path: Path, index: Any) -> None:
    store.put_json("corpora/d/index.json", index)
    with pytest.raises(DataError, match="is damaged; remove it"):
        Shards(store, "corpora", "d", tmp_path)


def test_a_split_that_is_not_there(store: Store, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="run prepare again"):
        Shards(store, "validation", hashlib.sha256().hexdigest()[:32], tmp_path)


@pytest.mark.parametrize(
    ("tokens", "context"), [(1, 8), (2, 8), (9, 8), (10, 8), (17, 8), (100, 7)]
)
def test_windows_predict_every_token_but_the_first_once(tokens: int, context: int) -> None:
    cuts = windows.windows(tokens, context)
    predicted = [k for start, stop in cuts.tolist() for k in range(start + 1, stop)]
    assert predicted == list(range(1, tokens))
    assert all(stop - start == context + 1 for start, stop in cuts[:-1].tolist())
