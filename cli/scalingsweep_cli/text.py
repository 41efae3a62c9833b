"""How much text lies ready for a study, as far as this machine can see without reading it.

`plan` compares it with what is needed. Tokens are counted by prepare; until then a folder's bytes
are an upper bound, for no token of a byte-level vocabulary is shorter than a byte.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from scalingsweep import quantity
from scalingsweep.api.corpora import Corpus
from scalingsweep.api.prepared import Prepared
from scalingsweep.preview import TextNeed

ENDINGS = {"text": (".txt",), "jsonl": (".jsonl", ".jsonl.gz"), "parquet": (".parquet",)}
"""What prepare reads of a folder, by the corpus's format."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Available:
    """The text of one corpus."""

    need: TextNeed
    files: int | None = None
    """None: nobody has looked (it lies in S3), or there is no such folder."""
    bytes: int | None = None
    most_tokens: int | None = None
    """No more tokens than this; None where that is not known."""
    tokens: int | None = None
    """Those for training, as prepare counted them; None before."""
    missing: str = ""
    """The folder that is not there."""

    @property
    def words(self) -> str:
        """What is there."""
        if self.missing:
            return f"no folder {self.missing}"
        if self.files is None:
            there = f"in {self.need.uri}: not looked at"
        else:
            there = f"{size(self.bytes or 0)} in {self.files:,} files"
        return there if self.tokens is None else f"{quantity.label(self.tokens)} tokens; {there}"

    @property
    def warning(self) -> str:
        """Why it cannot be enough, with the mends; empty where it is or may be."""
        need, name = self.need, self.need.corpus
        if self.missing:
            return f"{name}: there is no folder {self.missing}; correct uri, or give --corpus"
        if self.files == 0:
            return f"{name}: nothing in {need.uri} is read; check the folder and format"
        limit = self.tokens if self.tokens is not None else self.most_tokens
        if limit is None or need.tokens <= limit * need.max_epochs:
            return ""
        most = "" if self.tokens is not None else "at most "
        return (
            f"{name}: {quantity.label(need.tokens)} tokens are needed, and its text has {most}"
            f"{quantity.label(limit)} with {need.max_epochs:g} passes allowed: lower the budgets, "
            "bring more text, or raise maxEpochs"
        )


def look(need: TextNeed, corpus: Corpus, base: Path, prepared: Prepared | None) -> Available:
    """Look at the folder of a corpus.

    Args:
        need: what the study takes of it.
        corpus: the manifest's.
        base: what relative folders start from.
        prepared: what prepare found the last time, if it has run here.
    """
    counted = [c.tokens for c in prepared.corpora if c.name == corpus.name] if prepared else []
    tokens = counted[0] if counted else None
    if corpus.uri.startswith("s3://"):
        return Available(need=need, tokens=tokens)
    root = base / corpus.uri
    if not root.exists():
        return Available(need=need, tokens=tokens, missing=corpus.uri)
    sizes = _sizes(root, ENDINGS[corpus.format])
    total = sum(sizes)
    packed = corpus.format == "parquet" or any(root.rglob("*.gz"))
    return Available(
        need=need,
        files=len(sizes),
        bytes=total,
        # every document ends in a token of its own; in JSON lines its quotes are longer than that
        most_tokens=None if packed else total + len(sizes),
        tokens=tokens,
    )


def size(count: int) -> str:
    """Bytes for reading, in decimal units."""
    value, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB", "PB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:.3g} {unit}"


def _sizes(root: Path, endings: tuple[str, ...]) -> list[int]:
    if root.is_file():
        return [root.stat().st_size]
    found = []
    for folder, inner, names in os.walk(root):
        inner[:] = [name for name in inner if not name.startswith(".")]
        found += [
            Path(folder, name).stat().st_size
            for name in names
            if name.endswith(endings) and not name.startswith(".")
        ]
    return found
