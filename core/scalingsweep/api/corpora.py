"""Text: the corpora of a study and its tokenizer."""

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from scalingsweep.api import cluster
from scalingsweep.api.names import Name, Uri
from scalingsweep.api.wire import Wire


class Validation(Wire):
    """What is held out of a corpus."""

    fraction: float = Field(default=0.01, gt=0, le=0.5)
    """Share of the documents (or groups) that is held out: those whose hash lies in the lowest part
    of all hashes, the same part in every corpus."""
    max_tokens: int = Field(default=1_000_000, ge=1)
    """At most this many held-out tokens are evaluated; the rest stays held out, unused."""


class Corpus(Wire):
    """One body of text."""

    guards: ClassVar = (
        cluster.Rule(
            cel="self.format != 'text' || !has(self.groupBy) || self.groupBy == 'file'",
            message="groupBy of a text corpus is `file`; other formats can name a field",
            at=".groupBy",
        ),
        cluster.S3_URI,
        *cluster.fixed("format", "field", "groupBy", "validation"),
    )

    name: Name
    """What arms call it; it becomes part of column names."""
    uri: Uri
    """A folder: `s3://bucket/prefix/`, or relative to the manifest on one machine."""
    format: Literal["text", "jsonl", "parquet"]
    """`text`: every .txt file is a document. `jsonl`: every line. `parquet`: every row."""
    field: str = Field(default="text", min_length=1, max_length=64)
    """The field of a line or row that holds the text (jsonl and parquet)."""
    group_by: str | None = Field(default=None, min_length=1, max_length=64)
    """Documents of one group fall on the same side of the validation split, in every corpus:
    `file` takes the path without its ending, so that a page and its translation stay together;
    any other word names a field of jsonl and parquet."""
    validation: Validation = Validation()
    """What is held out."""
    max_epochs: float = Field(default=1, ge=1, le=1000)
    """How often a run may pass over the corpus; more than once reshuffles and is recorded."""

    @model_validator(mode="after")
    def _text_has_no_fields(self) -> Self:
        if self.format == "text" and self.group_by not in {None, "file"}:
            raise ValueError("groupBy of a text corpus is `file`; other formats can name a field")
        return self


class TrainedTokenizer(Wire):
    """A byte-level BPE made from the training documents."""

    vocab_size: int = Field(ge=260, le=1_000_000)
    """Number of tokens, the end-of-text token and the 256 bytes included."""
    corpora: tuple[Name, ...] = Field(min_length=1, max_length=16)
    """Which corpora it is made from, with equal bytes of each."""


class Tokenizer(Wire):
    """Where the tokenizer comes from: `train` or `uri`."""

    one_of: ClassVar = ("train", "uri")
    guards: ClassVar = (
        cluster.Rule(
            cel="!has(self.uri) || has(self.vocabSize)",
            message="vocabSize is required with uri: the tokenizer's number of tokens",
            at=".vocabSize",
        ),
        cluster.Rule(
            cel="!has(self.train) || !has(self.vocabSize)",
            message="vocabSize belongs inside train",
            at=".vocabSize",
        ),
        cluster.S3_URI,
    )

    train: TrainedTokenizer | None = None
    """Make one from the corpora."""
    uri: Uri | None = None
    """Take this tokenizer.json."""
    vocab_size: int | None = Field(default=None, ge=2, le=1_000_000)
    """With `uri`: its number of tokens, so that a plan needs no look at it; checked by prepare."""

    @model_validator(mode="after")
    def _size_is_known(self) -> Self:
        if self.uri is not None and self.vocab_size is None:
            raise ValueError("vocabSize is required with uri: the tokenizer's number of tokens")
        if self.train is not None and self.vocab_size is not None:
            raise ValueError("vocabSize belongs inside train")
        return self

    @property
    def size(self) -> int:
        """Its number of tokens."""
        size = self.train.vocab_size if self.train else self.vocab_size
        assert size is not None
        return size
