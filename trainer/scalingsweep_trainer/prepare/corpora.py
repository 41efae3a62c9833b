"""All corpora of a study, from text to token shards: the body of the worker's `prepare`.

Everything is named by content, so that a second run over the same text only reads it and finds the
rest done, and a corpus that is added later leaves the others as they are.
"""

import logging
import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scalingsweep.api.corpora import Corpus, Tokenizer
from scalingsweep.api.prepared import PreparedCorpus
from scalingsweep.errors import DataError
from scalingsweep.store import Store
from scalingsweep_trainer.prepare import documents, sources, staging, tokenizer, writing

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedData:
    """What lies in S3 now."""

    corpora: tuple[PreparedCorpus, ...]
    """In the manifest's order."""
    tokenizer: str
    """Digest of tokenizer.json."""
    vocab_size: int


def run(
    corpora: Sequence[Corpus],
    wanted: Tokenizer,
    *,
    store: Store,
    base: Path,
    context_length: int,
) -> PreparedData:
    """Read, split, tokenize and store every corpus.

    Args:
        corpora: `spec.corpora`.
        wanted: `spec.tokenizer`.
        store: where shards and tokenizer go.
        base: the manifest's folder, from which relative addresses start.
        context_length: tokens of one training sequence.

    Raises:
        DataError: a corpus or the tokenizer is not what it must be; its `field` names the file or
            `spec.corpora[i]`.
    """
    found = [
        sources.find(
            corpus.uri,
            documents.ENDINGS[corpus.format],
            store=store,
            base=base,
            field=f"spec.corpora[{k}].uri",
        )
        for k, corpus in enumerate(corpora)
    ]
    buckets = staging.bucket_count(max(source.bytes for source in found))
    with tempfile.TemporaryDirectory(prefix="scalingsweep-") as scratch:
        spilled = []
        for k, (corpus, source) in enumerate(zip(corpora, found, strict=True)):
            folder = Path(scratch) / str(k)
            read = documents.read(corpus, source)
            spilled.append(staging.spill(corpus, read, folder, buckets, corpora))
            log.info(
                "%s: %s documents, %.1f MB in %s files", corpus.name,
                f"{spilled[-1].documents:,}", spilled[-1].bytes / 1e6, f"{len(source.files):,}",
            )  # fmt: skip
        staged = staging.split(spilled, buckets)
        for k, (corpus, one) in enumerate(zip(corpora, staged, strict=True)):
            _check(f"spec.corpora[{k}]", corpus, one, spilled[k].documents)
        training = {c.name: one.training for c, one in zip(corpora, staged, strict=True)}
        ready = tokenizer.make(wanted, training, store=store, base=base)
        prepared = [
            _store(
                f"spec.corpora[{k}]",
                corpus,
                staged[k],
                ready=ready,
                store=store,
                context_length=context_length,
            )
            for k, corpus in enumerate(corpora)
        ]
    return PreparedData(
        corpora=tuple(prepared), tokenizer=ready.digest, vocab_size=ready.vocab_size
    )


def _check(field: str, corpus: Corpus, staged: staging.Staged, read: int) -> None:
    """Refuse a corpus that lacks a side of the split."""
    log.info(
        "%s: %s documents to train on, %s held out, %s duplicates, %s that another has",
        corpus.name, *(f"{n:,}" for n in (
            staged.training.documents, staged.validation.documents,
            staged.duplicates, staged.elsewhere,
        )),
    )  # fmt: skip
    if read == 0:
        raise DataError(f"{field}.uri", f"{corpus.uri} holds no text; give it documents")
    if staged.training.documents == 0:
        raise DataError(
            field,
            f"{corpus.name}: of {read:,} documents none is left to train on; give it more, "
            "or lower validation.fraction",
        )
    if staged.validation.documents == 0:
        wanted = math.ceil(staged.lowest * 1000) / 1000
        helps = corpus.validation.fraction < wanted <= 0.5  # the most that the manifest takes
        mend = f"set it to {wanted:.3f} or more, or " if helps else ""
        raise DataError(
            f"{field}.validation.fraction",
            f"{corpus.validation.fraction} of the {read:,} documents of {corpus.name} holds out "
            f"none; {mend}give the corpus more documents",
        )


def _store(
    field: str,
    corpus: Corpus,
    staged: staging.Staged,
    *,
    ready: tokenizer.Ready,
    store: Store,
    context_length: int,
) -> PreparedCorpus:
    name = corpus.name
    training = writing.write("corpora", staged.training, ready, store=store, name=name)
    if training.tokens <= context_length:
        raise DataError(
            field,
            f"{name} has {training.tokens:,} training tokens, less than one sequence of "
            f"contextLength {context_length:,} and its label; give it more text",
        )
    validation = writing.write(
        "validation",
        staged.validation,
        ready,
        store=store,
        name=name,
        most=corpus.validation.max_tokens,
    )
    return PreparedCorpus(
        name=name,
        digest=training.digest,
        validation=validation.digest,
        tokens=training.tokens,
        bytes=training.bytes,
        documents=training.documents,
        validation_tokens=validation.tokens,
        validation_bytes=validation.bytes,
        duplicates=staged.duplicates,
    )
