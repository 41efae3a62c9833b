"""Text to token shards, on a real S3 server, read back with none of prepare's code."""

import gzip
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import tokenizers
from pyarrow import parquet
from tokenizers import models, pre_tokenizers

from scalingsweep.api.corpora import Corpus, Tokenizer
from scalingsweep.api.prepared import PreparedCorpus
from scalingsweep.store import Store
from scalingsweep_trainer.prepare import corpora, sources, staging, tokenizer, writing
from support import corpora as texts
from support import splits
from support.s3 import S3

TRAIN: dict[str, Any] = {"train": {"vocabSize": 400, "corpora": ["en"]}}


def corpus(name: str = "en", **fields: Any) -> Corpus:
    """A corpus of pages in the folder of its name."""
    defaults = {"uri": name, "format": "text", "validation": {"fraction": 0.2}}
    return Corpus.from_wire({"name": name, **defaults, **fields})


def prepare(
    store: Store, base: Path, *wanted: Corpus, wire: dict[str, Any] | None = None, context: int = 16
) -> corpora.PreparedData:
    return corpora.run(
        wanted,
        Tokenizer.from_wire(wire or TRAIN),
        store=store,
        base=base,
        context_length=context,
    )


def both(store: Store, made: PreparedCorpus) -> tuple[list[str], list[str]]:
    """The training and the held-out documents."""
    return (
        splits.documents(store, "corpora", made.digest),
        splits.documents(store, "validation", made.validation),
    )


def held_out(group: str, fraction: float) -> bool:
    """The documented rule, written a second time."""
    return int(hashlib.sha256(group.encode()).hexdigest()[:16], 16) < fraction * 2**64


def by_hash(documents: Sequence[str]) -> list[str]:
    return sorted(documents, key=lambda text: hashlib.sha256(text.encode()).digest())


def test_the_shards_hold_the_text_and_nothing_else(store: Store, tmp_path: Path) -> None:
    pages = {
        name: texts.write_pages(tmp_path / name, name, 40)
        for name in ("en", "fr", "ru", "zh", "ar")
    }
    made = prepare(store, tmp_path, *(corpus(name, groupBy="file") for name in pages))
    assert [one.name for one in made.corpora] == list(pages)
    out = {page for page in pages["en"] if held_out(page, 0.2)}
    assert 2 < len(out) < 20
    for one in made.corpora:
        training, validation = both(store, one)
        mine = pages[one.name]
        assert training == by_hash([mine[page] for page in mine if page not in out])
        assert validation == by_hash([mine[page] for page in out])
        assert one.bytes == sum(len(text.encode()) for text in training)
        assert one.validation_bytes == sum(len(text.encode()) for text in validation)
        assert (one.documents, one.duplicates) == (len(training), 0)
        index = splits.index(store, "validation", one.validation)
        assert (index["bytes"], index["documents"]) == (one.validation_bytes, len(validation))
        assert index["tokens"] == one.validation_tokens
        assert (index["tokenizer"], index["dtype"]) == (made.tokenizer, "uint16")
        tokens = splits.tokens(store, "corpora", one.digest)
        assert len(tokens) == one.tokens
        assert max(tokens) < made.vocab_size == 400


def test_held_out_text_reaches_no_training_shard_and_no_tokenizer(
    store: Store, tmp_path: Path
) -> None:
    """Markers in held-out pages, copied to other files and to another corpus."""
    marker = "QZXJKVW "
    names = [f"part{k % 3}/page{k:03}" for k in range(60)]
    out = [k for k, name in enumerate(names) if held_out(name, 0.2)]
    extra = {k: marker * 300 + f"marker-{k}-end" for k in out}
    pages = texts.write_pages(tmp_path / "en", "en", 60, extra=extra)
    texts.write_pages(tmp_path / "fr", "fr", 60, extra=extra)
    for k in out:  # the same text under names that are not held out, here and in the other corpus
        copy = next(n for n in (f"copy{k}-{i}" for i in range(99)) if not held_out(n, 0.2))
        for folder in ("en", "fr"):
            (tmp_path / folder / f"{copy}.txt").write_text(pages[names[k]], newline="")
    wire = {"train": {"vocabSize": 420, "corpora": ["en", "fr"]}}
    made = prepare(
        store, tmp_path, corpus("en", groupBy="file"), corpus("fr", groupBy="file"), wire=wire
    )
    for one in made.corpora:
        training, validation = both(store, one)
        assert not any("marker" in text or marker in text for text in training)
        for k in out:
            assert any(f"marker-{k}-end" in text for text in validation)
    english, french = made.corpora
    assert english.duplicates == len(out)
    assert french.duplicates == 0  # its copies of English pages were dropped, not deduplicated
    assert french.documents == 60 - len(out)
    words = splits.encoder(store, made.tokenizer).get_vocab()
    assert not any("ZXJ" in word for word in words)
    # the control: where the same words stand in training text, they do become tokens
    seen = {k: marker * 300 for k in range(60) if k not in out}
    texts.write_pages(tmp_path / "control" / "en", "en", 60, extra=seen)
    other = prepare(store, tmp_path / "control", corpus("en", groupBy="file"))
    assert any("ZXJ" in word for word in splits.encoder(store, other.tokenizer).get_vocab())


def test_a_later_corpus_gives_way_to_an_earlier_one(store: Store, tmp_path: Path) -> None:
    """Without groups: the very same text is on the same side everywhere, or in one corpus only."""
    pages = texts.write_pages(tmp_path / "en", "en", 50)
    texts.write_pages(tmp_path / "fr", "en", 50)  # the same text under another fraction
    (tmp_path / "fr" / "own.txt").write_text(texts.text("fr", 200, "own"))
    more = corpus("fr", validation={"fraction": 0.5})
    alone = prepare(store, tmp_path, corpus("en"))
    made = prepare(store, tmp_path, corpus("en"), more)
    assert made.corpora[0] == alone.corpora[0]
    (training, validation), (later_training, later_validation) = (
        both(store, one) for one in made.corpora
    )
    assert len(training) + len(validation) == len(pages)
    assert not set(later_training) & set(validation)
    assert not set(later_validation) & set(training)
    # those with hashes between the two fractions are in neither side of the later corpus
    assert len(later_training) + len(later_validation) < 51
    assert set(later_training) | set(later_validation) <= {
        *pages.values(), texts.text("fr", 200, "own"),
    }  # fmt: skip


def test_groups_stay_on_one_side_whatever_the_fractions(store: Store, tmp_path: Path) -> None:
    english = texts.write_pages(tmp_path / "en", "en", 60)
    french = texts.write_pages(tmp_path / "fr", "fr", 60)
    made = prepare(
        store,
        tmp_path,
        corpus("en", groupBy="file", validation={"fraction": 0.2}),
        corpus("fr", groupBy="file", validation={"fraction": 0.4}),
    )
    sides = [both(store, one) for one in made.corpora]
    for page, text in english.items():
        for here, there in ((0, 1), (1, 0)):
            assert not (text in sides[0][here] and french[page] in sides[1][there])


def test_the_same_documents_in_other_files_are_the_same_corpus(
    s3: S3, store: Store, tmp_path: Path
) -> None:
    pages = list(texts.write_pages(tmp_path / "en", "ru", 40).values())
    plain = prepare(store, tmp_path, corpus()).corpora
    rows = [{"body": text, "n": k} for k, text in enumerate(reversed(pages))]
    lines = "".join(json.dumps(row, ensure_ascii=bool(row["n"])) + "\n\n" for row in rows)
    for folder in ("lines", "packed", "table"):
        (tmp_path / folder).mkdir()
    (tmp_path / "lines" / "a.jsonl").write_text(lines[: lines.index("\n") + 1], newline="")
    (tmp_path / "lines" / "b.jsonl").write_text(lines[lines.index("\n") + 1 :], newline="")
    (tmp_path / "packed" / "a.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    table = pa.table({"n": list(range(41)), "body": [row["body"] for row in rows] + [None]})
    parquet.write_table(table, tmp_path / "table" / "t.parquet", row_group_size=7)
    for page in (tmp_path / "en").rglob("*.txt"):
        store.put(f"input/en/{page.name}", page.read_bytes())
    store.put("input/en-old/no.txt", b"another corpus, whose name begins alike")
    for same in (
        corpus(uri="lines", format="jsonl", field="body"),
        corpus(uri="lines/", format="jsonl", field="body"),
        corpus(uri="packed/a.jsonl.gz", format="jsonl", field="body"),
        corpus(uri="table", format="parquet", field="body"),
        corpus(uri=store.address("input/en")),
        corpus(uri=str(tmp_path / "en")),
    ):
        assert prepare(store, tmp_path, same).corpora == plain
    other = prepare(s3.store(), tmp_path, corpus())
    assert other.corpora == plain  # nor does it depend on where the shards go


def test_groups_can_be_a_field(store: Store, tmp_path: Path) -> None:
    (tmp_path / "en").mkdir()
    rows = [{"text": texts.text("en", 40, f"{k}"), "site": f"s{k % 20}"} for k in range(100)]
    lines = (tmp_path / "en" / "a.jsonl").open("w")
    with lines:
        lines.writelines(json.dumps(row) + "\n" for row in rows)
    made = prepare(store, tmp_path, corpus(format="jsonl", groupBy="site"))
    training, validation = both(store, made.corpora[0])
    assert set(validation) == {row["text"] for row in rows if held_out(row["site"], 0.2)}
    assert len(training) + len(validation) == 100


def test_a_second_run_writes_nothing(store: Store, tmp_path: Path) -> None:
    texts.write_pages(tmp_path / "en", "en", 30)

    def written() -> dict[str, Any]:
        where: dict[str, Any] = {"Bucket": store.location.bucket}
        return {
            key: store._client.head_object(**where, Key=f"{store.location.prefix}/{key}")["ETag"]
            for key in store.list()
        }

    first = prepare(store, tmp_path, corpus())
    shard = f"corpora/{first.corpora[0].digest}/shard-00000.bin"
    store.put(shard, b"a mark that a rewrite would remove")
    before = written()
    assert prepare(store, tmp_path, corpus()) == first
    assert written() == before


def test_neither_buckets_nor_shards_nor_batches_change_the_tokens(
    s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts.write_pages(tmp_path / "en", "zh", 40)
    texts.write_pages(tmp_path / "fr", "fr", 40)
    one, two = s3.store(), s3.store()
    whole = prepare(one, tmp_path, corpus("en"), corpus("fr"))
    monkeypatch.setattr(staging, "_BUCKET_BYTES", 512)
    monkeypatch.setattr(writing, "SHARD_BYTES", 1000)
    monkeypatch.setattr(writing, "_BATCH_BYTES", 300)
    monkeypatch.setattr(sources, "_GROUP_BYTES", 1000)
    parts = prepare(two, tmp_path, corpus("en"), corpus("fr"))
    assert parts == whole
    for made in whole.corpora:
        assert len(splits.index(one, "corpora", made.digest)["shards"]) == 1
        assert len(splits.index(two, "corpora", made.digest)["shards"]) > 2
        for split, digest in (("corpora", made.digest), ("validation", made.validation)):
            assert splits.tokens(one, split, digest) == splits.tokens(two, split, digest)


def test_hidden_files_and_links_that_leave_are_no_part(store: Store, tmp_path: Path) -> None:
    pages = texts.write_pages(tmp_path / "en", "en", 20)
    (tmp_path / "secret.txt").write_text("outside outside outside")
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "far.txt").write_text("far far far")
    (tmp_path / "en" / ".cache").mkdir()
    (tmp_path / "en" / ".cache" / "x.txt").write_text("hidden")
    (tmp_path / "en" / ".x.txt").write_text("hidden")
    (tmp_path / "en" / "notes.md").write_text("no .txt")
    (tmp_path / "en" / "blank.txt").write_text(" \n")
    (tmp_path / "en" / "out.txt").symlink_to(tmp_path / "secret.txt")
    (tmp_path / "en" / "more").symlink_to(tmp_path / "more")
    (tmp_path / "link").symlink_to(tmp_path / "en")
    training, validation = both(store, prepare(store, tmp_path, corpus(uri="link")).corpora[0])
    assert set(training) | set(validation) == set(pages.values())


def test_file_names_need_not_be_utf8(store: Store, tmp_path: Path) -> None:
    pages = texts.write_pages(tmp_path / "en", "en", 30)
    odd = os.fsdecode(os.fsencode(tmp_path / "en") + b"/caf\xe9.txt")
    Path(odd).write_text("odd name, good text")
    made = prepare(store, tmp_path, corpus(groupBy="file")).corpora[0]
    training, validation = both(store, made)
    assert set(training) | set(validation) == {*pages.values(), "odd name, good text"}


def test_at_most_max_tokens_are_evaluated(store: Store, tmp_path: Path) -> None:
    texts.write_pages(tmp_path / "en", "en", 60)
    all_ = prepare(store, tmp_path, corpus()).corpora[0]
    wanted = all_.validation_tokens // 2
    few = corpus(validation={"fraction": 0.2, "maxTokens": wanted})
    part = prepare(store, tmp_path, few).corpora[0]
    assert part.digest == all_.digest  # the rest stays held out
    assert 0 < part.validation_tokens <= wanted
    documents = splits.documents(store, "validation", part.validation)
    assert documents == splits.documents(store, "validation", all_.validation)[: len(documents)]
    assert part.validation_bytes == sum(len(text.encode()) for text in documents)


def test_the_tokenizer_sees_equal_bytes_of_each_corpus(tmp_path: Path) -> None:
    paths = []
    for name, language, words in (("a", "en", 3000), ("b", "ru", 400)):
        documents = [texts.text(language, 20, f"{k}").encode() for k in range(words // 20)]
        path = tmp_path / name
        path.write_bytes(b"".join(len(d).to_bytes(8, "little") + d for d in documents))
        size = sum(map(len, documents))
        paths.append(staging.Kept(paths=[path], documents=len(documents), text_bytes=size))
    share = min(kept.text_bytes for kept in paths) - 1  # in the midst of a two-byte letter
    for kept in paths:
        taken = "".join(tokenizer.sample(kept, share)).encode()
        assert share - 3 <= len(taken) <= share


def test_training_a_tokenizer_is_deterministic() -> None:
    """On one thread and on two, in fresh processes."""
    program = (
        "import sys; sys.path.insert(0, 'tests')\n"
        "from support import corpora\n"
        "from scalingsweep_trainer.prepare import tokenizer\n"
        "texts = (corpora.text(l, 50, str(k)) for k in range(60) for l in corpora.LETTERS)\n"
        "sys.stdout.buffer.write(tokenizer.train(500, texts))\n"
    )
    made = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "RAYON_NUM_THREADS": threads},
            cwd=Path(__file__).parents[2],
            check=True,
            stdout=subprocess.PIPE,
        ).stdout
        for threads in ("1", "2")
    }
    assert len(made) == 1
    ready = tokenizer.load(made.pop(), "t")
    assert (ready.vocab_size, ready.end_of_text) == (500, 0)


def test_text_that_spells_the_end_is_text(store: Store, tmp_path: Path) -> None:
    extra = dict.fromkeys(range(30), "before<|endoftext|>after")
    pages = texts.write_pages(tmp_path / "en", "en", 30, extra=extra)
    training, validation = both(store, prepare(store, tmp_path, corpus()).corpora[0])
    assert sorted(training + validation) == sorted(pages.values())


def _words(size: int, end: str) -> str:
    """A tokenizer of whole words w0 … and an end-of-text token, as JSON."""
    vocabulary = {end: 0, "[UNK]": 1, **{f"w{k}": k + 2 for k in range(size - 2)}}
    made = tokenizers.Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made.add_special_tokens([end])
    made.enable_truncation(3)  # a setting that must not cut documents
    return made.to_str()


@pytest.mark.parametrize(("size", "dtype"), [(65_536, "uint16"), (65_537, "uint32")])
def test_large_vocabularies_get_wide_shards(
    store: Store, tmp_path: Path, size: int, dtype: str
) -> None:
    (tmp_path / "words.json").write_text(_words(size, "</s>"))
    (tmp_path / "en").mkdir()
    last = size - 3
    for k in range(20):
        (tmp_path / "en" / f"{k}.txt").write_text(f"w{last} w{k} w7 w{last} " * 3)
    wire = {"uri": "words.json", "vocabSize": size}
    made = prepare(store, tmp_path, corpus(validation={"fraction": 0.3}), wire=wire)
    one = made.corpora[0]
    assert splits.index(store, "corpora", one.digest)["dtype"] == dtype
    found = splits.tokens(store, "corpora", one.digest)
    assert len(found) == one.documents * 13
    assert found[12::13] == [0] * one.documents
    assert {found[k] for k in range(0, len(found), 13)} == {size - 1}


def test_a_given_tokenizer_can_lie_in_s3(store: Store, tmp_path: Path) -> None:
    texts.write_pages(tmp_path / "en", "en", 30)
    trained = prepare(store, tmp_path, corpus())
    uri = store.address(f"tokenizers/{trained.tokenizer}/tokenizer.json")
    given = prepare(store, tmp_path, corpus(), wire={"uri": uri, "vocabSize": 400})
    assert given == trained
