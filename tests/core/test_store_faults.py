"""The store behind a network that stops, stalls, throttles, cuts connections and loses answers."""

import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from scalingsweep.errors import SpecError, TransientError
from scalingsweep.store import Patience, Store
from support import resign
from support.proxy import Fate, Proxy
from support.s3 import S3

EVERY = {Fate.BUSY: 0.1, Fate.CUT_REQUEST: 0.1, Fate.CUT_ANSWER: 0.1, Fate.LOSE_ANSWER: 0.1}


@pytest.fixture
def proxy(s3: S3) -> Iterator[Proxy]:
    with Proxy(s3.access.endpoint) as proxy:
        yield proxy


def _through(proxy: Proxy, s3: S3, direct: Store, *, seconds: float = 60) -> Store:
    location = direct.location.model_copy(update={"endpoint": proxy.endpoint})
    return Store(location, keys=s3.access.keys(), patience=Patience(seconds=seconds))


def test_a_write_is_known_again_though_its_headers_are_cut_time_after_time(
    s3: S3, store: Store, proxy: Proxy
) -> None:
    through = _through(proxy, s3, store)
    proxy.meddle({Fate.LOSE_ANSWER: 0.3, Fate.CUT_ANSWER: 0.6})
    assert all(through.put_if_absent(f"again/{number}", b"ours") for number in range(30))


def test_through_every_fault_nothing_is_lost_or_doubled(s3: S3, store: Store, proxy: Proxy) -> None:
    through = _through(proxy, s3, store)
    proxy.meddle(EVERY)
    keys = [f"k/{number:03}" for number in range(60)]

    def write(key: str) -> tuple[bool, bytes]:
        body = key.encode() * 1000
        return through.put_if_absent(key, body), through.get(key)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(write, keys))
    assert answers == [(True, key.encode() * 1000) for key in keys]
    assert list(through.list("k/")) == keys
    assert not any(through.put_if_absent(key, b"other") for key in keys[:10])
    assert set(proxy.met) == set(Fate), "each fault must have been met"
    assert store.sizes("k/") == {key: 1000 * len(key) for key in keys}


def test_a_long_list_is_whole_though_its_pages_are_cut(s3: S3, store: Store, proxy: Proxy) -> None:
    keys = [f"n/{k:05}" for k in range(1100)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: store.put(key, b"."), keys))
    proxy.meddle({Fate.CUT_ANSWER: 0.6}, only=b"list-type=2")
    for _ in range(3):
        assert list(_through(proxy, s3, store).list("n/")) == keys
    assert proxy.met[Fate.CUT_ANSWER] > 0


@pytest.mark.parametrize("lost", [b"uploadId=", b"uploads"])
def test_a_large_file_arrives_though_an_answer_is_lost(
    s3: S3, store: Store, proxy: Proxy, tmp_path: Path, lost: bytes
) -> None:
    """Also the answer that completes it: asked again, the server knows of no such upload."""
    path, back = tmp_path / "large", tmp_path / "back"
    path.write_bytes(os.urandom(33 * 2**20))
    proxy.meddle({Fate.LOSE_ANSWER: 0.5}, only=b"POST" if lost == b"uploads" else lost)
    _through(proxy, s3, store).upload_file("large", path)
    assert proxy.met[Fate.LOSE_ANSWER] > 0
    proxy.meddle()
    proxy.meddle({Fate.CUT_ANSWER: 0.5}, only=b"GET")
    _through(proxy, s3, store).download_file("large", back)
    assert back.read_bytes() == path.read_bytes()


def test_a_stopped_server_is_waited_for(
    s3: S3, store: Store, proxy: Proxy, caplog: pytest.LogCaptureFixture
) -> None:
    store.put("k", b"1")
    through = _through(proxy, s3, store)
    proxy.stop()
    threading.Timer(5, proxy.start).start()
    began = time.monotonic()
    assert through.get("k") == b"1"
    assert 4 < time.monotonic() - began < 30
    assert [record.message for record in caplog.records if "waiting for it" in record.message]
    assert [record.message for record in caplog.records if "answers again" in record.message]


def test_patience_ends_and_says_where(s3: S3, store: Store, proxy: Proxy) -> None:
    through = _through(proxy, s3, store, seconds=2)
    proxy.stop()
    with pytest.raises(TransientError, match="does not answer"):
        through.put("k", b"1")
    left = Patience(hurried=lambda: True)
    hurried = Store(through.location, keys=s3.access.keys(), patience=left)
    began = time.monotonic()
    with pytest.raises(TransientError):
        hurried.put("k", b"1")
    assert time.monotonic() - began < 10


def test_who_is_told_to_leave_amid_a_long_pause_still_asks_for_a_while(
    s3: S3, store: Store, proxy: Proxy
) -> None:
    """A save on the way out meets a storage that hiccups: it is not lost at the first failure."""
    told = threading.Event()
    patience = Patience(hurried=told.is_set, hurried_seconds=20)
    through = Store(
        store.location.model_copy(update={"endpoint": proxy.endpoint}),
        keys=s3.access.keys(),
        patience=patience,
    )
    proxy.stop()
    threading.Timer(2, told.set).start()
    threading.Timer(6, proxy.start).start()
    through.put("k", b"1")
    assert told.is_set()
    assert store.get("k") == b"1"
    proxy.stop()
    began = time.monotonic()
    with pytest.raises(TransientError):
        through.put("k", b"2")
    assert 15 < time.monotonic() - began < 40


def test_a_name_that_was_right_is_waited_for(store: Store) -> None:
    location = store.location.model_copy(update={"endpoint": "http://nothing.invalid"})
    keys = {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s"}
    with pytest.raises(TransientError):
        Store(location, keys=keys, patience=Patience(seconds=0.1)).get("k")


@pytest.mark.parametrize("hours", [-2, 2])
def test_clocks_that_differ_are_to_be_set(s3: S3, store: Store, hours: float) -> None:
    """By who looks at a storage for the first time; amid a study it is waited for."""
    with resign.with_a_clock_that_is(s3, hours) as endpoint:
        location = store.location.model_copy(update={"endpoint": endpoint})
        with pytest.raises(SpecError, match="the clocks of this machine and of") as one:
            Store(location, keys=s3.access.keys(), attempts=1).check_writable()
        assert one.value.field == "spec.storage.s3.endpoint"
        with pytest.raises(TransientError, match="set them right"):
            Store(location, keys=s3.access.keys(), patience=Patience(seconds=0.1)).put("k", b"1")
