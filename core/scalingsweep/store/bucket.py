"""`Store`: the objects of one study, as a few verbs that say exactly what they promise."""

import contextlib
import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from scalingsweep.api.storage import S3Location
from scalingsweep.errors import DataError, DiskFull, SpecError, TransientError, is_full
from scalingsweep.store import connection, faults
from scalingsweep.store.patience import Patience

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client

T = TypeVar("T")

# A shard is about 64 MB: two parts each way, and small enough to hold several in memory.
_PART_BYTES = 32 * 2**20
# 409 means that another conditional write of the same key was in flight: S3 asks us to try again.
_CONFLICT_TRIES = 5
# Pieces of a body that was cut short, and whole uploads whose last answer was lost: tried again
# at once, this often, also by a store without patience.
_AT_ONCE = 3


class Store:
    """Objects under one prefix of one bucket. Safe to share between threads; not across a fork."""

    def __init__(
        self,
        location: S3Location,
        *,
        field: str = "spec.storage.s3",
        keys: Mapping[str, str] | None = None,
        attempts: int | None = None,
        patience: Patience | None = None,
        client: "S3Client | None" = None,
    ) -> None:
        """Open a location; nothing is sent yet.

        Args:
            location: where.
            field: where the manifest gives the location, for errors.
            keys: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; left out, the environment's.
            attempts: tries of each request before it counts as failed; 5, or 2 with patience,
                which begins after them.
            patience: of those who know that the location is right, and would rather wait for the
                server than fail; none when left out.
            client: an open client to share (see `beside`).
        """
        prefix = location.prefix.strip("/")
        self.location = location
        self.field = field
        self._root = f"{prefix}/" if prefix else ""
        self._patience = patience
        self._client = client or connection.client(
            location, field, keys=keys or {}, attempts=attempts or (2 if patience else 5)
        )

    def beside(self, bucket: str, prefix: str, *, field: str) -> "Store":
        """Another bucket or prefix of the same server: where a corpus or a checkpoint lies."""
        location = self.location.model_copy(update={"bucket": bucket, "prefix": prefix})
        return Store(location, field=field, patience=self._patience, client=self._client)

    def address(self, key: str) -> str:
        """The whole `s3://` address of a key, for messages."""
        return f"s3://{self.location.bucket}/{self._root}{key}"

    def get(self, key: str) -> bytes:
        """The object's bytes.

        Raises:
            Missing: there is no such object (so do all methods that read one).
            SpecError: the manifest's storage is wrong (so do all methods).
            TransientError: the server does not answer, however patiently asked (so do all methods).
        """
        return self._read(key, {})

    def get_range(self, key: str, start: int, length: int) -> bytes:
        """`length` ≥ 1 bytes from `start`; fewer where the object ends before."""
        assert start >= 0, start
        assert length >= 1, length
        return self._read(key, {"Range": f"bytes={start}-{start + length - 1}"})

    def put(self, key: str, data: bytes) -> None:
        """Write an object, over what was there."""
        self._call(key, lambda: self._client.put_object(**self._at(key), Body=data))

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Write an object unless there is one (If-None-Match: *).

        Of any number of writers that race exactly one gets True. A request whose first try reached
        the server and whose answer was lost is refused when it is repeated, by the object it wrote
        itself; each write therefore carries a word of its own, which is read back.
        """
        writer = uuid.uuid4().hex
        for attempt in range(_CONFLICT_TRIES):
            code = self._call(key, lambda: self._put_new(key, data, writer))
            if code == "":
                return True
            if code in {"PreconditionFailed", "412"}:
                return self._writer(key) == writer
            time.sleep(0.1 * 2**attempt)
        raise TransientError(f"{self.address(key)}: other writers keep it busy; try again later")

    def get_json(self, key: str) -> Any:
        """The object as JSON.

        Raises:
            DataError: it is not JSON.
        """
        data = self.get(key)
        try:
            return json.loads(data)
        except ValueError as error:
            raise DataError(self.address(key), f"is not JSON ({error}); remove it") from None

    def put_json(self, key: str, value: Any) -> None:
        """Write a value as JSON; equal values give equal bytes."""
        self.put(key, _json(value))

    def put_json_if_absent(self, key: str, value: Any) -> bool:
        """`put_if_absent` of a value as JSON."""
        return self.put_if_absent(key, _json(value))

    def exists(self, key: str) -> bool:
        """Whether there is such an object."""
        try:
            self._call(key, lambda: self._client.head_object(**self._at(key)))
        except faults.Missing:
            return False
        return True

    def list(self, prefix: str = "") -> Iterator[str]:
        """The keys that begin with `prefix`, in the order of their UTF-8 bytes."""
        for page in self._pages(prefix, {}):
            for found in page.get("Contents", ()):
                yield found["Key"].removeprefix(self._root)

    def sizes(self, prefix: str = "") -> dict[str, int]:
        """Bytes of each object whose key begins with `prefix`."""
        return {
            found["Key"].removeprefix(self._root): found["Size"]
            for page in self._pages(prefix, {})
            for found in page.get("Contents", ())
        }

    def folders(self, prefix: str) -> Iterator[str]:
        """The names one level below `prefix` (which ends in `/` or is empty) that hold objects."""
        for page in self._pages(prefix, {"Delimiter": "/"}):
            for found in page.get("CommonPrefixes", ()):
                yield found["Prefix"].removeprefix(self._root + prefix).rstrip("/")

    def delete(self, key: str) -> None:
        """Remove an object; none there is as good."""
        self._call(key, lambda: self._client.delete_object(**self._at(key)))

    def upload_file(self, key: str, path: Path) -> None:
        """Write a file's content, in parts and several at a time where it is large."""
        at = self._at(key)
        for left in reversed(range(_AT_ONCE)):
            try:
                self._call(
                    key,
                    lambda: self._client.upload_file(
                        str(path), at["Bucket"], at["Key"], Config=_transfer()
                    ),
                )
            except faults.Missing:
                # The upload in parts is gone: it was aborted from outside, or completed by a
                # request whose answer was lost. To write the same once more is right in both cases.
                if left:
                    continue
                raise
            return

    def download_file(self, key: str, path: Path) -> None:
        """Read an object into a file, which appears whole or not at all.

        Raises:
            DiskFull: it has no room where the file is to be.
        """
        at = self._at(key)

        def download() -> None:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                self._client.download_file(at["Bucket"], at["Key"], str(path), Config=_transfer())
            except OSError as error:
                raise DiskFull(path.parent) if is_full(error) else error from None

        self._call(key, download)

    def abort_multipart(
        self, prefix: str, wanted: Callable[[str], bool] = lambda _key: True
    ) -> int:
        """Abort the uploads that a killed process left open.

        Args:
            prefix: under which they are looked for.
            wanted: whether the upload of a key is to be aborted.

        Returns:
            How many there were.
        """
        where: dict[str, Any] = {"Bucket": self.location.bucket, "Prefix": self._root + prefix}
        pages = self._client.get_paginator("list_multipart_uploads").paginate(**where)
        found = self._call(
            prefix, lambda: [upload for page in pages for upload in page.get("Uploads", ())]
        )
        found = [upload for upload in found if wanted(upload["Key"].removeprefix(self._root))]
        for upload in found:
            self._abort(upload["Key"], upload["UploadId"])
        return len(found)

    def check_writable(self) -> None:
        """Write, read back and remove a small object: the preflight of everything that follows.

        Raises:
            SpecError: the bucket, the endpoint or the credentials are wrong.
        """
        key = f"preflight-{uuid.uuid4().hex}"
        self.put(key, b"may I write?")
        self.get(key)
        self.delete(key)

    def check_conditional(self) -> None:
        """See that of two conditional writes (If-None-Match) the second is refused.

        Claims and results stand on nothing else, and a server that ignores the header looks like
        one that honours it until two attempts have mixed their numbers.

        Raises:
            SpecError: it is not.
        """
        key = f"preflight-{uuid.uuid4().hex}"
        try:
            if self.put_if_absent(key, b"first") and self.put_if_absent(key, b"second"):
                raise SpecError(
                    f"{self.field}.endpoint",
                    f"{self.location.endpoint or 'AWS'} lets a second conditional write through "
                    "(it ignores If-None-Match), so two attempts could mix their results: "
                    "use an S3 server that honours it",
                )
        finally:
            self.delete(key)

    def _abort(self, whole_key: str, upload: str) -> None:
        at: dict[str, Any] = {"Bucket": self.location.bucket, "Key": whole_key, "UploadId": upload}
        with contextlib.suppress(faults.Missing):  # it was completed or aborted meanwhile
            self._call(whole_key, lambda: self._client.abort_multipart_upload(**at))

    def _at(self, key: str) -> dict[str, Any]:
        return {"Bucket": self.location.bucket, "Key": self._root + key}

    def _read(self, key: str, extra: dict[str, Any]) -> bytes:
        body, _ = self._call(key, lambda: self._whole(key, extra), at_once=_AT_ONCE)
        return body

    def _whole(self, key: str, extra: dict[str, Any]) -> tuple[bytes, Mapping[str, str]]:
        """An object's body, which comes after all headers, and its metadata.

        Headers that were cut short look whole, and what follows them is empty.
        """
        answer = self._client.get_object(**self._at(key), **extra)
        body = answer["Body"].read()
        headers = answer["ResponseMetadata"]["HTTPHeaders"]
        told = headers.get("content-length") == "0" or "transfer-encoding" in headers
        if not body and not told:
            raise TransientError(f"{self.address(key)}: an answer was cut short; try again")
        return body, answer["Metadata"]

    def _pages(self, prefix: str, extra: dict[str, Any]) -> Iterator[Any]:
        # Not by boto3's paginator: one that has raised is exhausted, and asked again it would end
        # the list in the middle.
        where: dict[str, Any] = {"Bucket": self.location.bucket, "Prefix": self._root + prefix}
        where |= extra
        while True:
            page: Any = self._call(prefix, lambda: self._client.list_objects_v2(**where))
            yield page
            if not page.get("IsTruncated"):
                return
            where["ContinuationToken"] = page["NextContinuationToken"]

    def _put_new(self, key: str, data: bytes, writer: str) -> str:
        """The code with which a conditional write was refused, or an empty string."""
        from botocore.exceptions import ClientError

        try:
            self._client.put_object(
                **self._at(key), Body=data, IfNoneMatch="*", Metadata={"writer": writer}
            )
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            # the bare numbers are answers whose body was cut
            if code in {"PreconditionFailed", "ConditionalRequestConflict", "412", "409"}:
                return code
            raise
        return ""

    def _writer(self, key: str) -> str | None:
        """Whose word an object carries; that of an empty one may be lost with the last headers."""
        try:
            _, metadata = self._call(key, lambda: self._whole(key, {}), at_once=_AT_ONCE)
        except faults.Missing:
            return None  # it was deleted since; somebody else's all the same
        return metadata.get("writer")

    def _call(self, key: str, request: Callable[[], T], *, at_once: int = 1) -> T:
        """The request's answer, or our error.

        Args:
            key: what it is about.
            request: asks; it may be called again.
            at_once: calls before patience begins: botocore never repeats a body cut short.
        """
        for _ in range(at_once - 1):
            with contextlib.suppress(TransientError):
                return self._ask(key, request)
        if self._patience is None:
            return self._ask(key, request)
        return self._patience.ask(lambda: self._ask(key, request))

    def _ask(self, key: str, request: Callable[[], T]) -> T:
        try:
            return request()
        except Exception as error:
            known = faults.translate(
                error,
                address=self.address(key),
                endpoint=self.location.endpoint,
                field=self.field,
                trusted=self._patience is not None and self._patience.trusted,
            )
            if known is error:
                raise
            raise known from error


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, allow_nan=False).encode()


def _transfer() -> Any:
    from boto3.s3.transfer import TransferConfig

    return TransferConfig(
        multipart_threshold=_PART_BYTES, multipart_chunksize=_PART_BYTES, max_concurrency=4
    )
