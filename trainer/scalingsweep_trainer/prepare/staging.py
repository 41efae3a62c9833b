"""Documents on their way: duplicates removed, validation held out, sorted by content hash.

Text is spread over bucket files by the first bits of its hash, so that one bucket of one corpus is
all that is ever in memory, however large the corpora are. Buckets are then looked at one after
another, all corpora side by side:

- of documents with the same text in a corpus one stays, the one that is held out if any is;
- a document is held out when the hash of its group (or of its text, without groupBy) lies in the
  lowest `fraction` of all hashes: the same whatever the seed, the other documents and the files;
- a document is dropped where an earlier corpus of the manifest holds its text, or its group, on the
  other side of the split.
"""

import contextlib
import hashlib
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from scalingsweep.api.corpora import Corpus
from scalingsweep_trainer.prepare.documents import Document

Side = Literal["training", "validation"]
_SIDES: tuple[Side, Side] = ("training", "validation")

_BUCKET_BYTES = 64 * 2**20
_MOST_BUCKETS = 256  # open files
_HASH_SPACE = 2**64
_STAGED = struct.Struct("<32sQQ")  # content hash, selection hash, bytes of text
_KEPT = struct.Struct("<Q")  # bytes of text


@dataclass(slots=True, kw_only=True)
class Kept:
    """One side of one corpus: its documents in order of their content hash."""

    paths: list[Path] = field(default_factory=list)
    documents: int = 0
    text_bytes: int = 0
    content: str = ""
    """sha256 over the content hashes of the documents, in order."""

    def texts(self) -> Iterator[bytes]:
        """The documents' text."""
        for path in self.paths:
            with path.open("rb") as file:
                while head := file.read(_KEPT.size):
                    yield file.read(*_KEPT.unpack(head))


@dataclass(slots=True, kw_only=True)
class Staged:
    """One corpus after staging."""

    training: Kept = field(default_factory=Kept)
    validation: Kept = field(default_factory=Kept)
    duplicates: int = 0
    """Documents left out because the corpus holds their text already."""
    elsewhere: int = 0
    """Documents left out because an earlier corpus holds them on the other side of the split."""
    lowest: float = 1.0
    """The smallest share of all hashes that would hold out a document."""

    def __getitem__(self, side: Side) -> Kept:
        return self.training if side == "training" else self.validation


@dataclass(frozen=True, slots=True, kw_only=True)
class Spilled:
    """One corpus in bucket files."""

    corpus: Corpus
    folder: Path
    documents: int
    bytes: int
    groups: frozenset[int]
    """Its groups, by selection hash, that some corpora hold out and others do not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    content: bytes
    selection: int
    text: bytes


def bucket_count(size: int) -> int:
    """Buckets for `size` bytes of text: a power of two."""
    wanted = -(-size // _BUCKET_BYTES)
    return min(_MOST_BUCKETS, 1 << max(0, wanted - 1).bit_length())


def spill(
    corpus: Corpus,
    documents: Iterable[Document],
    folder: Path,
    buckets: int,
    corpora: Sequence[Corpus],
) -> Spilled:
    """Spread a corpus's documents over bucket files in `folder`.

    Args:
        corpus: whose they are.
        documents: all of them.
        folder: is made.
        buckets: how many files; the same for all corpora.
        corpora: all corpora that will be split together.
    """
    folder.mkdir(parents=True)
    unsure = _unsure(corpora)
    groups = set()
    count = size = 0
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context((folder / f"{k}").open("wb")) for k in range(buckets)]
        for document in documents:
            content = hashlib.sha256(document.text).digest()
            selection = _leading(content)
            if document.group is not None:
                # a file's name need not be UTF-8
                name = document.group.encode(errors="surrogatepass")
                selection = _leading(hashlib.sha256(name).digest())
                if selection in unsure:
                    groups.add(selection)
            file = files[_leading(content) * buckets // _HASH_SPACE]
            file.write(_STAGED.pack(content, selection, len(document.text)))
            file.write(document.text)
            count += 1
            size += len(document.text)
    return Spilled(
        corpus=corpus, folder=folder, documents=count, bytes=size, groups=frozenset(groups)
    )


def split(spilled: Sequence[Spilled], buckets: int) -> list[Staged]:
    """Remove duplicates and hold out validation documents, over all corpora at once.

    Args:
        spilled: what `spill` wrote of each corpus, in the manifest's order; it is used up, and
            sorted files are written beside it.
        buckets: as `spill` was told.
    """
    desks = [_Desk(one, spilled[:k]) for k, one in enumerate(spilled)]
    for bucket in range(buckets):
        earlier: dict[bytes, Side] = {}
        for desk in desks:
            for content, side in desk.take(bucket, earlier).items():
                earlier.setdefault(content, side)
    return [desk.close() for desk in desks]


class _Desk:
    """Where one corpus is split, bucket by bucket."""

    def __init__(self, spilled: Spilled, before: Sequence[Spilled]) -> None:
        self._spilled = spilled
        self._before = [other for other in before if other.corpus.group_by is not None]
        self._hashes = {side: hashlib.sha256() for side in _SIDES}
        self._staged = Staged()

    def take(self, bucket: int, earlier: Mapping[bytes, Side]) -> dict[bytes, Side]:
        """Split one bucket; which texts this corpus holds, and on which side."""
        path = self._spilled.folder / f"{bucket}"
        held: dict[bytes, Side] = {}
        with contextlib.ExitStack() as stack:
            files = {}
            for side in _SIDES:
                kept = path.with_suffix(f".{side}")
                files[side] = stack.enter_context(kept.open("wb"))
                self._staged[side].paths.append(kept)
            for row in self._unique(path):
                side = _side(self._spilled.corpus, row.selection)
                if earlier.get(row.content, side) != side or self._group_is_elsewhere(row, side):
                    self._staged.elsewhere += 1
                    continue
                held[row.content] = side
                self._hashes[side].update(row.content)
                self._staged[side].documents += 1
                self._staged[side].text_bytes += len(row.text)
                files[side].write(_KEPT.pack(len(row.text)))
                files[side].write(row.text)
        path.unlink()
        return held

    def close(self) -> Staged:
        """What became of the corpus."""
        for side in _SIDES:
            self._staged[side].content = self._hashes[side].hexdigest()
        return self._staged

    def _unique(self, path: Path) -> Iterator[_Row]:
        """The bucket's documents in order of their hash, one of each text: the held-out one."""
        rows = sorted(_rows(path), key=lambda row: (row.content, row.selection))
        last = b""
        for row in rows:
            share = (row.selection + 1) / _HASH_SPACE
            self._staged.lowest = min(self._staged.lowest, share)
            if row.content == last:
                self._staged.duplicates += 1
            else:
                yield row
            last = row.content

    def _group_is_elsewhere(self, row: _Row, side: Side) -> bool:
        if self._spilled.corpus.group_by is None:
            return False
        return any(
            row.selection in other.groups and _side(other.corpus, row.selection) != side
            for other in self._before
        )


def _rows(path: Path) -> Iterator[_Row]:
    with path.open("rb") as file:
        while head := file.read(_STAGED.size):
            content, selection, size = _STAGED.unpack(head)
            yield _Row(content=content, selection=selection, text=file.read(size))


def _side(corpus: Corpus, selection: int) -> Side:
    return "validation" if selection < _threshold(corpus) else "training"


def _threshold(corpus: Corpus) -> int:
    return int(corpus.validation.fraction * _HASH_SPACE)


def _unsure(corpora: Sequence[Corpus]) -> range:
    """Selection hashes whose groups two corpora with groupBy put on different sides."""
    thresholds = [_threshold(corpus) for corpus in corpora if corpus.group_by is not None]
    return range(min(thresholds, default=0), max(thresholds, default=0))


def _leading(digest: bytes) -> int:
    return int.from_bytes(digest[:8], "big")
