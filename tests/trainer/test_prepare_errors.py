"""Bad corpora and tokenizers: one clear line each that names the field or file and the mend."""

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from scalingsweep.api.corpora import Corpus, Tokenizer
from scalingsweep.errors import DataError
from scalingsweep.store import Store
from scalingsweep_trainer.prepare import corpora
from support import corpora as texts

GOOD = {"text": "a good line of text"}


def _good_folder(folder: Path) -> None:
    texts.write_pages(folder, "en", 30)


def _file(name: str, content: bytes) -> Any:
    def make(folder: Path) -> None:
        _good_folder(folder)
        (folder / name).write_bytes(content)

    return make


def _lines(*values: Any) -> Any:
    return _file("a.jsonl", "".join(json.dumps(value) + "\n" for value in values).encode())


def _table(**columns: Any) -> Any:
    def make(folder: Path) -> None:
        folder.mkdir()
        parquet.write_table(pa.table(columns), folder / "t.parquet")

    return make


def _unreadable_rows(folder: Path) -> None:
    folder.mkdir()
    data = pa.array([b"good", b"\xff\xfe"], pa.binary())
    offsets, values = data.buffers()[1:]
    column = pa.StringArray.from_buffers(2, offsets, values)
    parquet.write_table(pa.table({"text": column}), folder / "t.parquet")


JSONL = {"format": "jsonl"}
PARQUET = {"format": "parquet"}
CASES: dict[str, tuple[Any, dict[str, Any], str]] = {
    "missing folder": (lambda _: None, {}, r"^spec\.corpora\[0\]\.uri: there is no folder en .*"),
    "missing bucket": (
        lambda _: None,
        {"uri": "s3://nobody-made-it/en/"},
        r"^spec\.corpora\[0\]\.uri: s3://nobody-made-it/en/: .* has no bucket",
    ),
    "empty prefix": (
        lambda _: None,
        {"uri": "s3://sweeps/nothing-here/"},
        r"^spec\.corpora\[0\]\.uri: s3://sweeps/nothing-here/ is empty: .*format",
    ),
    "empty folder": (lambda f: f.mkdir(), {}, r"^spec\.corpora\[0\]\.uri: en is empty: .*\.txt"),
    "wrong format": (_good_folder, JSONL, r"is empty: no file in it ends in \.jsonl.*`format`"),
    "blank": (
        lambda f: (f.mkdir(), (f / "a.txt").write_text(" \n")),
        {},
        r"^spec\.corpora\[0\]\.uri: en holds no text",
    ),
    "not UTF-8": (_file("z.txt", b"one\ntwo \xe9\n"), {}, r"/z\.txt: line 2, byte 8: .*iconv"),
    "no validation": (
        lambda f: texts.write_pages(f, "en", 3),
        {"validation": {"fraction": 0.0001}},
        r"^spec\.corpora\[0\]\.validation\.fraction: .*holds out none; set it to 0\.\d+ or more",
    ),
    "too small": (
        lambda f: texts.write_pages(f, "en", 30),
        {"context": 100_000},
        r"^spec\.corpora\[0\]: en has [\d,]+ training tokens, less than one sequence .*more text",
    ),
    "not JSON": (_file("a.jsonl", b'{"text": "x"}\n{"text"\n'), JSONL,
        r"/a\.jsonl:2: is not JSON"),
    "no object": (_lines(GOOD, ["x"]), JSONL, r"/a\.jsonl:2: is not a JSON object"),
    "no field": (_lines(GOOD, {"body": "x"}), JSONL, r"/a\.jsonl:2: has no field 'text'; .*body"),
    "field no text": (_lines({"text": 7}), JSONL, r"/a\.jsonl:1: field 'text' holds int"),
    "half surrogate": (_file("a.jsonl", b'{"text": "\\ud800"}\n'), JSONL, r":1: .*surrogate"),
    "line not UTF-8": (_file("a.jsonl", b'{"text": "\xe9"}\n'), JSONL, r":1: byte 10 .*not UTF-8"),
    "no group": (_lines(GOOD), {**JSONL, "groupBy": "url"}, r":1: has no field 'url', which"),
    "broken gzip": (
        _file("a.jsonl.gz", gzip.compress(b'{"text": "x"}\n')[:-6]), JSONL,
        r"/a\.jsonl\.gz: cannot be read .*mend",
    ),
    "no gzip": (_file("a.jsonl.gz", b"plain"), JSONL, r"/a\.jsonl\.gz: cannot be read .*mend"),
    "no Parquet": (_file("t.parquet", b"plain text"), PARQUET, r"/t\.parquet: .* as Parquet"),
    "no column": (_table(body=["x"]), PARQUET, r"/t\.parquet: has no column 'text'; .*body"),
    "no group column": (_table(text=["x"]), {**PARQUET, "groupBy": "url"}, r"no column 'url'"),
    "column no text": (_table(text=[1, 2]), PARQUET, r"/t\.parquet: row 1: field 'text' holds int"),
    "rows not UTF-8": (_unreadable_rows, PARQUET, r"/t\.parquet: .*not UTF-8"),
}  # fmt: skip

TOKENIZERS: dict[str, tuple[dict[str, Any], str]] = {
    "too many tokens": (
        {"train": {"vocabSize": 50_000, "corpora": ["en"]}},
        r"^spec\.tokenizer\.train\.vocabSize: the text allows only \d+ tokens.*lower it",
    ),
    "unknown corpus": (
        {"train": {"vocabSize": 300, "corpora": ["en", "fr"]}},
        r"^spec\.tokenizer\.train\.corpora\[1\]: there is no corpus 'fr'; the corpora are en",
    ),
    "not there": ({"uri": "t.json", "vocabSize": 9}, r"^spec\.tokenizer\.uri: cannot read t\.json"),
    "not in S3": (
        {"uri": "s3://sweeps/t.json", "vocabSize": 9},
        r"there is no object s3://sweeps/t",
    ),
    "no tokenizer": (
        {"uri": "bad.json", "vocabSize": 9},
        r"^spec\.tokenizer\.uri: is no tokenizer",
    ),
    "no end": (
        {"uri": "endless.json", "vocabSize": 2},
        r"has no end-of-text token: add one of <\|e",
    ),
    "wrong size": (
        {"uri": "small.json", "vocabSize": 9},
        r"^spec\.tokenizer\.vocabSize: says 9, but small\.json has 3 tokens; write 3",
    ),
}


def _run(store: Store, base: Path, fields: dict[str, Any], tokenizer: dict[str, Any]) -> DataError:
    fields = dict(fields)
    context = fields.pop("context", 16)
    corpus = {"name": "en", "uri": "en", "format": "text", "validation": {"fraction": 0.2}}
    with pytest.raises(DataError) as caught:
        corpora.run(
            [Corpus.from_wire({**corpus, **fields})],
            Tokenizer.from_wire(tokenizer),
            store=store,
            base=base,
            context_length=context,
        )
    assert "\n" not in str(caught.value)
    assert not list(store.list("corpora/")) or context > 16
    return caught.value


@pytest.mark.parametrize("case", CASES)
def test_a_bad_corpus_is_named(store: Store, tmp_path: Path, case: str) -> None:
    make, fields, text = CASES[case]
    make(tmp_path / "en")
    error = _run(store, tmp_path, fields, {"train": {"vocabSize": 300, "corpora": ["en"]}})
    with pytest.raises(DataError, match=text):
        raise error


@pytest.mark.parametrize("case", TOKENIZERS)
def test_a_bad_tokenizer_is_named(store: Store, tmp_path: Path, case: str) -> None:
    wire, text = TOKENIZERS[case]
    _good_folder(tmp_path / "en")
    (tmp_path / "bad.json").write_text("{")
    for name, words in (("endless", ["a", "b"]), ("small", ["a", "b", "</s>"])):
        model = {
            "type": "WordLevel",
            "vocab": {w: k for k, w in enumerate(words)},
            "unk_token": "a",
        }
        (tmp_path / f"{name}.json").write_text(json.dumps({"version": "1.0", "model": model}))
    error = _run(store, tmp_path, {}, wire)
    with pytest.raises(DataError, match=text):
        raise error
