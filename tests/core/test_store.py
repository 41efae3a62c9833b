"""The store, against a real S3 server."""

import http.server
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import pytest

from scalingsweep import store as stores
from scalingsweep.api.storage import S3Location
from scalingsweep.errors import DataError, SpecError, TransientError
from scalingsweep.store import Store
from support.s3 import S3


def test_objects_are_kept_under_the_prefix(s3: S3) -> None:
    store = s3.store("studies/one")
    store.put("a/b.txt", b"text")
    store.put("a/é ?#.txt", b"")
    assert store.get("a/b.txt") == b"text"
    assert store.get("a/é ?#.txt") == b""
    assert store.get_range("a/b.txt", 1, 2) == b"ex"
    assert store.get_range("a/b.txt", 2, 99) == b"xt"
    assert list(store.list("a/")) == ["a/b.txt", "a/é ?#.txt"]
    assert store.sizes() == {"a/b.txt": 4, "a/é ?#.txt": 0}
    assert list(store.folders("")) == ["a"]
    assert s3.store("studies").get("one/a/b.txt") == b"text"
    assert store.beside(s3.access.bucket, "studies", field="x").exists("one/a/b.txt")
    assert list(s3.store("studies/on").list()) == []


def test_what_is_not_there(store: Store) -> None:
    store.put("k", b"1")
    store.delete("k")
    store.delete("k")
    assert not store.exists("k")
    with pytest.raises(stores.Missing, match=store.address("k")):
        store.get("k")
    with pytest.raises(stores.Missing, match=store.address("k")):
        store.get_range("k", 0, 1)
    with pytest.raises(stores.Missing):
        store.download_file("k", Path("never-made"))


def test_long_lists_come_whole_and_sorted(store: Store) -> None:
    keys = [f"n/{k:05}" for k in range(1100)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: store.put(key, b"."), keys))
    assert list(store.list("n/")) == keys


def test_json_is_canonical(store: Store) -> None:
    store.put_json("v", {"b": 0.1, "a": "é"})
    assert store.get("v") == '{"a": "é", "b": 0.1}'.encode()
    assert store.get_json("v") == {"a": "é", "b": 0.1}
    store.put("v", b"{")
    with pytest.raises(DataError, match="is not JSON"):
        store.get_json("v")


@pytest.mark.parametrize("round_", range(5))
def test_of_racing_writers_exactly_one_wins(store: Store, round_: int) -> None:
    """Even where they write the same bytes."""
    gate = threading.Barrier(8)

    def write(_: int) -> bool:
        gate.wait()
        return store.put_if_absent("claims/0001", b"same")

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(write, range(8))) == 1
    assert not store.put_json_if_absent("claims/0001", {})
    assert store.get("claims/0001") == b"same"


class _LosesAnswers(http.server.BaseHTTPRequestHandler):
    """A proxy before the real server, which passes on a write and loses the answer to the first."""

    upstream: ClassVar[str]
    lost: ClassVar[int]

    def _forward(self) -> None:
        import http.client

        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        onward = http.client.HTTPConnection(type(self).upstream)
        onward.request(self.command, self.path, body, dict(self.headers))
        answer = onward.getresponse()
        content = answer.read()
        onward.close()
        if self.command == "PUT" and type(self).lost:
            type(self).lost -= 1
            self.close_connection = True
            return
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    do_PUT = do_HEAD = do_GET = _forward

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def test_a_lost_answer_does_not_lose_the_claim(s3: S3) -> None:
    """The retry meets the object that the first try wrote, and must know it for its own."""
    _LosesAnswers.upstream = s3.access.endpoint.removeprefix("http://")
    _LosesAnswers.lost = 1
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _LosesAnswers) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        # the signature covers the Host header, so the proxy must be reached under the real name
        direct = s3.store("lossy")
        location = direct.location.model_copy(
            update={"endpoint": f"http://127.0.0.1:{proxy.server_port}"}
        )
        lossy = Store(location, keys=s3.access.keys())
        assert lossy.put_if_absent("claim", b"mine")
        assert _LosesAnswers.lost == 0
        assert direct.get("claim") == b"mine"
        assert not lossy.put_if_absent("claim", b"mine")
        proxy.shutdown()


def test_large_files_travel_in_parts(store: Store, tmp_path: Path) -> None:
    source, back = tmp_path / "source", tmp_path / "deep" / "back"
    block = bytes(range(256)) * 4096
    source.write_bytes(b"".join(bytes([k]) + block for k in range(40)))  # more than one part
    store.upload_file("big", source)
    store.download_file("big", back)
    assert back.read_bytes() == source.read_bytes()


def test_open_uploads_are_aborted(store: Store) -> None:
    where: dict[str, Any] = {"Bucket": store.location.bucket}
    store._client.create_multipart_upload(**where, Key=f"{store.location.prefix}/x/1")
    store._client.create_multipart_upload(**where, Key=f"{store.location.prefix}/y/1")
    assert store.abort_multipart("x/") == 1
    assert store.abort_multipart("x/") == 0
    assert store.abort_multipart("") == 1


def _wrong(s3: S3, **changes: Any) -> Store:
    location = s3.access.location("wrong").model_copy(update=changes)
    return Store(location, keys=s3.access.keys(), attempts=1)


WRONG: dict[str, tuple[Callable[[S3], Store], str]] = {
    "bucket": (
        lambda s3: _wrong(s3, bucket="nobody-made-it"),
        r"spec\.storage\.s3\.bucket: .*create",
    ),
    "bucket name": (lambda s3: _wrong(s3, bucket="a b"), r"spec\.storage\.s3\.bucket: .*correct"),
    "key": (
        lambda s3: Store(
            s3.access.location("x"),
            keys={"AWS_ACCESS_KEY_ID": s3.access.access_key, "AWS_SECRET_ACCESS_KEY": "wrong"},
        ),
        r"spec\.storage\.s3\.credentialsSecret: .*SignatureDoesNotMatch.*AWS_",
    ),
    "endpoint name": (
        lambda s3: _wrong(s3, endpoint="http://nothing.invalid"),
        r"spec\.storage\.s3\.endpoint: .*nothing\.invalid",
    ),
    "endpoint": (
        lambda s3: _wrong(s3, endpoint="nothing"),
        r"spec\.storage\.s3\.endpoint: .*https://",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_manifest_is_named(s3: S3, case: str) -> None:
    make, text = WRONG[case]
    with pytest.raises(SpecError, match=text) as caught:
        make(s3).check_writable()
    assert "\n" not in str(caught.value)


def test_an_endpoint_that_is_no_s3_is_named(s3: S3) -> None:
    server = http.server.HTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
    with server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        other = _wrong(s3, endpoint=f"http://127.0.0.1:{server.server_port}")
        with pytest.raises(SpecError, match=r"spec\.storage\.s3"):
            list(other.list())
        server.shutdown()


def test_no_credentials(s3: S3, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Not even those of somebody's home folder."""
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "credentials").write_text(
        "[default]\naws_access_key_id = a\naws_secret_access_key = b\n"
    )
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_PROFILE", "default")
    keys = s3.access.keys()
    for name in keys:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SpecError, match="no credentials"):
        Store(s3.access.location("x")).check_writable()
    for name, value in keys.items():
        monkeypatch.setenv(name, value)
    Store(s3.access.location("x")).check_writable()


def test_a_proxy_is_not_asked_for_this_machine(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    s3.store().check_writable()


def test_a_server_that_does_not_answer_may_answer_later(s3: S3) -> None:
    with pytest.raises(TransientError, match="try again"):
        _wrong(s3, endpoint="http://127.0.0.1:9").get("k")


def test_opening_a_store_sends_nothing() -> None:
    location = S3Location(bucket="abc", endpoint="http://127.0.0.1:9")
    assert json.loads(json.dumps(Store(location).address("k"))) == "s3://abc/k"
