"""An exported model is anybody's: transformers alone loads it and finds the losses we recorded."""

import hashlib
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoModelForCausalLM, AutoTokenizer

from scalingsweep.errors import DataError
from scalingsweep.store import Store
from scalingsweep_trainer import export
from support import s3, token_shards, trials

SCRIPT = Path(__file__).parents[1] / "support" / "recompute.py"
TEXT = "the cat sat on the mat, the dog sat on the log; "


@pytest.fixture(autouse=True)
def keys(s3: s3.S3, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in s3.access.keys().items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("tied", [True, False])
def test_transformers_recomputes_every_loss(
    store: Store,
    tied: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = _tokenizer()
    data = words.to_str().encode()
    digest = hashlib.sha256(data).hexdigest()[:32]
    store.put(f"tokenizers/{digest}/tokenizer.json", data)
    ids = np.array(words.encode(TEXT * 200).ids)
    corpus = trials.Corpus(training="1" * 32, validation="2" * 32, entropy=0.0)
    token_shards.write(store, "corpora", corpus.training, ids, cuts=[999], tokenizer=digest)
    held_out = np.array(words.encode(TEXT[::-1] + TEXT * 10).ids)
    token_shards.write(
        store, "validation", corpus.validation, held_out, cuts=[100], tokenizer=digest
    )
    shape = trials.SHAPE.model_copy(
        update={"vocab_size": words.get_vocab_size(), "tied_embeddings": tied, "kv_heads": 1}
    )
    spec = trials.spec(corpus, (20, 40), shape=shape, tokenizer=digest)
    trials.train(store, spec, tmp_path)
    for D in spec.budgets:
        export.run(store, spec.id, D, tmp_path / f"model-{D}")
        split = _download(store, corpus.validation, tmp_path)
        found = _recompute(tmp_path / f"model-{D}", split, monkeypatch, capsys)
        assert found == pytest.approx(trials.result(store, spec, D)["loss"], abs=1e-4)
    folder = tmp_path / f"model-{spec.budgets[-1]}"
    tokens = AutoTokenizer.from_pretrained(folder)
    assert tokens(TEXT)["input_ids"] == words.encode(TEXT).ids
    assert tokens.eos_token == "<|endoftext|>"
    model = AutoModelForCausalLM.from_pretrained(folder)
    prompt = tokens("the cat", return_tensors="pt")
    made = model.generate(**prompt, max_new_tokens=4, do_sample=False)  # type: ignore[misc]
    assert isinstance(made, torch.Tensor)
    assert made.shape[1] > prompt["input_ids"].shape[1]
    with pytest.raises(DataError, match="no decayed checkpoint of 640 tokens"):
        export.run(store, spec.id, 640, tmp_path / "nothing")
    with pytest.raises(DataError, match="is not in"):
        export.run(store, "f" * 32, 640, tmp_path / "nothing")


def _tokenizer() -> Tokenizer:
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=280,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator([TEXT], trainer)
    return made


def _download(store: Store, validation: str, folder: Path) -> Path:
    for key in store.list(f"validation/{validation}/"):
        store.download_file(key, folder / "split" / key.rpartition("/")[2])
    return folder / "split"


def _recompute(
    model: Path, split: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> float:
    assert "scalingsweep" not in SCRIPT.read_text()
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), str(model), str(split)])
    capsys.readouterr()
    runpy.run_path(str(SCRIPT))
    return float(capsys.readouterr().out)
