"""Which sequence of which corpus stands at each global sample index of a trial.

A stream joins a trial's own corpus and, for continual pre-training with replay, the source's. It
knows nothing of steps, ranks and batches, which is why none of them can change what is read.
"""

import hashlib
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scalingsweep import order
from scalingsweep.api import trial
from scalingsweep.errors import DataError
from scalingsweep.store import Store
from scalingsweep_trainer.data.shards import Shards, Tokens

Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """What stands at some global indices: [n] whether replayed, [n] sequence numbers."""

    replayed: NDArray[np.bool_]
    sequences: Indices

    def at(self, places: Indices) -> "Samples":
        """The samples at these places of this selection."""
        return Samples(replayed=self.replayed[places], sequences=self.sequences[places])

    def content(self, target: str, source: str) -> bytes:
        """The samples as bytes for a ledger: equal bytes mean equal sequences, in order."""
        words = (source if r else target for r in self.replayed.tolist())
        pairs = zip(words, self.sequences.tolist(), strict=True)
        return "".join(f"{word} {sequence}\n" for word, sequence in pairs).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """The samples of one trial. `source` is the replayed corpus where `replay` is given."""

    seed: int
    context: int
    target: Shards
    replay: trial.Replay | None = None
    source: Shards | None = None

    def __post_init__(self) -> None:
        assert (self.replay is None) == (self.source is None), "replay and its corpus go together"

    def samples(self, indices: Indices) -> Samples:
        """What stands at [n] global sample indices; reads no tokens."""
        ratio = (
            Fraction(self.replay.numerator, self.replay.denominator) if self.replay else Fraction(0)
        )
        replayed, own = order.split(indices, ratio, self.seed)
        sequences = np.empty(indices.size, dtype=np.int64)
        sequences[~replayed] = order.order(
            self.seed, self.target.digest, own[~replayed], self.target.count(self.context)
        )
        if self.replay and self.source:
            sequences[replayed] = order.replay(
                own[replayed],
                seed=self.seed,
                digest=self.source.digest,
                count=self.source.count(self.context),
                source_seed=self.replay.source_seed or 0,
                taken=self.replay.source_sequences or 0,
            )
        return Samples(replayed=replayed, sequences=sequences)

    def tokens(self, samples: Samples) -> Tokens:
        """[n, c + 1] token ids of the samples."""
        rows = np.empty((samples.sequences.size, self.context + 1), dtype=np.int64)
        own = ~samples.replayed
        rows[own] = self.target.sequences(samples.sequences[own], self.context)
        if self.source:
            rows[samples.replayed] = self.source.sequences(
                samples.sequences[samples.replayed], self.context
            )
        return rows

    def ledger(self, before: str, samples: Samples) -> str:
        """The digest of everything consumed so far: a chain, so that it goes on after a resume.

        Args:
            before: the ledger before these samples; empty at the start.
            samples: what was consumed, in the order of global indices.
        """
        names = self.target.digest, self.source.digest if self.source else ""
        return hashlib.sha256(before.encode() + b"\n" + samples.content(*names)).hexdigest()


def of(spec: trial.TrialSpec, store: Store, cache: Path) -> Stream:
    """The stream of a trial.

    Args:
        spec: the trial.
        store: where prepare wrote the shards.
        cache: folder for downloaded shards.

    Raises:
        DataError: a corpus is missing, was made with another tokenizer, or is too small.
    """
    target = _open(spec, spec.corpus, store, cache)
    source = _open(spec, spec.replay.corpus, store, cache) if spec.replay else None
    return Stream(
        seed=spec.seed,
        context=spec.shape.context_length,
        target=target,
        replay=spec.replay,
        source=source,
    )


def _open(spec: trial.TrialSpec, digest: str, store: Store, cache: Path) -> Shards:
    shards = Shards(store, "corpora", digest, cache, vocabulary=spec.shape.vocab_size)
    where = store.address(f"corpora/{digest}/index.json")
    if shards.tokenizer != spec.tokenizer:
        raise DataError(where, f"was made with tokenizer {shards.tokenizer}; run prepare again")
    if shards.count(spec.shape.context_length) == 0:
        raise DataError(where, "holds less than one sequence; give the corpus more text")
    return shards
