"""Given checkpoints that do not fit are refused by prepare, which holds no GPU."""

from pathlib import Path
from typing import Any

import pytest

from scalingsweep.errors import DataError
from scalingsweep.store import Store
from scalingsweep_trainer.prepare import checkpoints
from support import checkpoints as folders
from support import manifests

TOKENS = {"model": {"vocab": {"a": 0, "b": 1}}, "added_tokens": [{"id": 2, "content": "</s>"}]}
SHAPES = [
    {"name": "xs", "hiddenSize": 8, "intermediateSize": 32, "layers": 1, "heads": 2},
    {"name": "s", "hiddenSize": 16, "intermediateSize": 32, "layers": 1, "heads": 2},
]


def _look(store: Store, base: Path, uri: str = "given", sizes: int = 1) -> Any:
    spec = manifests.small()
    spec["model"] = {"contextLength": 16, "sizes": SHAPES[:sizes]}
    spec["tokenizer"]["train"]["vocabSize"] = 300
    spec["arms"] = [
        {"name": "scratch", "corpus": "fr"},
        {"name": "cpt", "corpus": "fr", "init": {"uri": uri}},
    ]
    planned = manifests.planned(**spec)
    return checkpoints.look(planned, store=store, base=base, tokenizer=TOKENS)


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"hidden_size": 16}, "hidden_size 16, the trial's model 8: give a checkpoint of this sha"),
        ({"vocab_size": 290}, "vocab_size 290, the trial's model 300"),
        ({"model_type": "gpt2"}, "model_type gpt2, the trial's model llama"),
        ({"rope_parameters": {"rope_theta": 5e5}}, "rope_theta 500000.0, the trial's model 10000"),
        ({"rope_scaling": {"rope_type": "llama3", "factor": 8}}, "rope_type llama3, the trial's"),
        ({"rope_scaling": {"type": "linear", "factor": 2}}, "rope_type linear, the trial's"),
        ({"rope_parameters": "yarn"}, "rope_type yarn, the trial's"),
    ],
)
def test_another_shape(store: Store, tmp_path: Path, config: dict[str, Any], says: str) -> None:
    folders.write(tmp_path / "given", **config)
    with pytest.raises(DataError, match=says) as caught:
        _look(store, tmp_path)
    assert caught.value.field.startswith("spec.arms[1].init.uri")


@pytest.mark.parametrize(
    ("tokenizer", "says"),
    [
        ({"model": {"vocab": {"a": 1, "b": 0}}}, "has another tokenizer than this study"),
        ([], "has a tokenizer.json that is none; mend or remove it"),
        ({"model": {"vocab": [[]]}}, "has a tokenizer.json that is none; mend or remove it"),
    ],
)
def test_another_tokenizer(store: Store, tmp_path: Path, tokenizer: Any, says: str) -> None:
    folders.write(tmp_path / "given", tokenizer=tokenizer)
    with pytest.raises(DataError, match=f"spec.arms.1..init.uri: given: {says}"):
        _look(store, tmp_path)


@pytest.mark.parametrize("config", ["{", "[]", ""])
def test_a_config_that_is_none(store: Store, tmp_path: Path, config: str) -> None:
    folders.write(tmp_path / "given")
    (tmp_path / "given" / "config.json").write_text(config)
    with pytest.raises(DataError, match=r"given has no readable config\.json; give a Hugging Face"):
        _look(store, tmp_path)


def test_what_is_not_there(store: Store, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no folder given"):
        _look(store, tmp_path)
    folders.write(tmp_path / "given")
    (tmp_path / "given" / "model.safetensors").unlink()
    with pytest.raises(DataError, match=r"given is no checkpoint: config\.json and .* are needed"):
        _look(store, tmp_path)


def test_one_that_fits(store: Store, tmp_path: Path) -> None:
    """A tokenizer of the same tokens beside it changes nothing, its digest neither."""
    folders.write(tmp_path / "given")
    (alone,) = _look(store, tmp_path)
    (tmp_path / "given" / "tokenizer.json").write_text(
        '{"model": {"vocab": {"b": 1, "a": 0}}, "added_tokens": [{"id": 2, "content": "</s>"}]}'
    )
    assert _look(store, tmp_path) == (alone,)
    for name in ("config.json", "model.safetensors"):
        store.upload_file(f"given/{name}", tmp_path / "given" / name)
    (far,) = _look(store, tmp_path, store.address("given/"))
    assert far.digest == alone.digest


def test_each_size_has_its_own(store: Store, tmp_path: Path) -> None:
    folders.write(tmp_path / "given-xs")
    folders.write(tmp_path / "given-s", hidden_size=16)
    found = _look(store, tmp_path, "given-{size}", sizes=2)
    assert [one.uri for one in found] == ["given-xs", "given-s"]
    with pytest.raises(
        DataError, match=r"given-xs config\.json: has hidden_size 8, the trial's mod"
    ):
        _look(store, tmp_path, "given-xs", sizes=2)
