"""The tokenizer of a study: trained on its own training documents, or given as a tokenizer.json.

Every document ends in the end-of-text token, so a tokenizer without one is refused. A text that
spells that token out is still text: it is encoded as its characters.
"""

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scalingsweep.api.corpora import Tokenizer as Wanted
from scalingsweep.api.corpora import TrainedTokenizer
from scalingsweep.errors import DataError
from scalingsweep.store import Missing, Store
from scalingsweep_trainer.prepare import sources
from scalingsweep_trainer.prepare.staging import Kept

if TYPE_CHECKING:
    import tokenizers

log = logging.getLogger(__name__)

END_OF_TEXT = "<|endoftext|>"
_ENDS = (END_OF_TEXT, "</s>", "<|end_of_text|>", "<eos>", "<|im_end|>", "<|eot_id|>", "[EOS]")
# Merges settle long before: a larger sample costs time and memory and moves no early merge.
_SAMPLE_BYTES = 256 * 2**20
_TRAINING_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """A tokenizer that lies in S3."""

    digest: str
    vocab_size: int
    end_of_text: int
    """Id of the token that ends every document."""
    encoder: "tokenizers.Tokenizer"

    def encode(self, texts: Sequence[bytes]) -> list[list[int]]:
        """Token ids of each text, on all cores, without special tokens."""
        batch = [text.decode() for text in texts]
        found = self.encoder.encode_batch_fast(batch, add_special_tokens=False)
        return [one.ids for one in found]


def key(digest: str) -> str:
    """Where a tokenizer lies."""
    return f"tokenizers/{digest}/tokenizer.json"


def make(wanted: Wanted, training: Mapping[str, Kept], *, store: Store, base: Path) -> Ready:
    """The tokenizer that the manifest asks for, in S3.

    Args:
        wanted: `train` or `uri`.
        training: the training documents of each corpus, by its name.
        store: where it is kept, under a key of its inputs, so that it is trained once.
        base: the manifest's folder.

    Raises:
        DataError: it cannot be had; the text names the mend.
    """
    if wanted.train is not None:
        field = "spec.tokenizer.train"
        data = _trained(wanted.train, training, store)
    else:
        field = "spec.tokenizer.uri"
        assert wanted.uri is not None
        data = sources.read_one(wanted.uri, store=store, base=base, field=field)
    ready = load(data, field)
    if ready.vocab_size != wanted.size:
        raise DataError(
            "spec.tokenizer.vocabSize",
            f"says {wanted.size:,}, but {wanted.uri} has {ready.vocab_size:,} tokens; "
            f"write {ready.vocab_size}",
        )
    store.put(key(ready.digest), data)
    return ready


def load(data: bytes, field: str) -> Ready:
    """A tokenizer from the bytes of its tokenizer.json.

    Raises:
        DataError: it is none, or has no end-of-text token.
    """
    import tokenizers

    try:
        encoder = tokenizers.Tokenizer.from_str(data.decode())
    except Exception as error:  # noqa: BLE001 - the library raises plain Exception
        words = " ".join(str(error).split())[:200]
        raise DataError(field, f"is no tokenizer.json ({words}); give another file") from None
    encoder.no_truncation()
    encoder.no_padding()
    encoder.encode_special_tokens = True
    vocabulary = encoder.get_vocab(with_added_tokens=True)
    end = next((vocabulary[name] for name in _ENDS if name in vocabulary), None)
    if end is None:
        raise DataError(
            field, f"has no end-of-text token: add one of {', '.join(_ENDS)} to its special tokens"
        )
    return Ready(
        digest=hashlib.sha256(data).hexdigest()[:32],
        vocab_size=max(vocabulary.values()) + 1,  # ids may leave gaps; the matrix has their rows
        end_of_text=end,
        encoder=encoder,
    )


def _trained(wanted: TrainedTokenizer, training: Mapping[str, Kept], store: Store) -> bytes:
    for k, name in enumerate(wanted.corpora):
        if name not in training:
            raise DataError(
                f"spec.tokenizer.train.corpora[{k}]",
                f"there is no corpus {name!r}; the corpora are {', '.join(training)}",
            )
    chosen = [training[name] for name in wanted.corpora]
    share = min(_SAMPLE_BYTES, *(kept.text_bytes for kept in chosen))
    inputs = [_TRAINING_VERSION, wanted.vocab_size, share, [kept.content for kept in chosen]]
    note = f"tokenizers/trained/{hashlib.sha256(json.dumps(inputs).encode()).hexdigest()[:32]}.json"
    try:
        return store.get(key(store.get_json(note)["tokenizer"]))
    except Missing:
        log.info(
            "tokenizer: training %d tokens on %.1f MB of each of %s",
            wanted.vocab_size, share / 1e6, ", ".join(wanted.corpora),
        )  # fmt: skip
    data = train(wanted.vocab_size, (text for kept in chosen for text in sample(kept, share)))
    digest = hashlib.sha256(data).hexdigest()[:32]
    store.put(key(digest), data)
    if store.put_json_if_absent(note, {"tokenizer": digest}):
        return data
    return store.get(key(store.get_json(note)["tokenizer"]))  # another prepare was first


def sample(kept: Kept, share: int) -> Iterator[str]:
    """The first `share` bytes of the documents, in order of their hash: a random sample.

    The last document is cut at a character, so up to three bytes may be missing.
    """
    left = share
    for text in kept.texts():
        if left <= 0:
            return
        yield text[:left].decode(errors="ignore")
        left -= len(text)


def train(vocab_size: int, texts: Iterator[str]) -> bytes:
    """A byte-level BPE of exactly `vocab_size` tokens, as the bytes of a tokenizer.json.

    Raises:
        DataError: the text does not hold enough repetition for so many tokens.
    """
    import tokenizers
    from tokenizers import decoders, models, pre_tokenizers, trainers

    encoder = tokenizers.Tokenizer(models.BPE())
    encoder.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    encoder.decoder = decoders.ByteLevel()
    encoder.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=vocab_size,
            special_tokens=[END_OF_TEXT],
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        ),
    )
    size = encoder.get_vocab_size(with_added_tokens=True)
    if size != vocab_size:
        raise DataError(
            "spec.tokenizer.train.vocabSize",
            f"the text allows only {size:,} tokens, not {vocab_size:,}; lower it or add text",
        )
    return encoder.to_str().encode()
