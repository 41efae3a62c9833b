"""Does a checkpoint fit the trial that is to start from it: its shape, and what its tokens mean?

Prepare asks before a GPU is held, and the trainer once more of what it loads.
"""

import json
from collections.abc import Mapping
from typing import Any

from scalingsweep.api.shape import Shape
from scalingsweep.errors import DataError


def same(theirs: Mapping[str, Any], ours: Mapping[str, Any], where: str) -> None:
    """Refuse a checkpoint that differs from the shape in anything but the context's length.

    Raises:
        DataError: naming the first difference.
    """
    for field in sorted({*theirs, *ours} - {"contextLength"}):
        if theirs.get(field) != ours.get(field):
            raise DataError(
                where,
                f"has {field} {theirs.get(field)}, the trial's model {ours.get(field)}: "
                "give a checkpoint of this shape",
            )


def same_config(config: bytes, shape: Shape, uri: str, field: str = "") -> None:
    """Refuse a Hugging Face config.json of another model.

    Args:
        config: the file.
        shape: the trial's.
        uri: where it lies, for the error.
        field: of the manifest, where the error is to name it.

    Raises:
        DataError: naming the first difference.
    """
    try:
        found = json.loads(config)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise DataError(
            field or uri, f"{uri} has no readable config.json; give a Hugging Face folder"
        )
    name = f"{uri} config.json"
    same(_theirs(found, shape), _ours(shape), f"{field}: {name}" if field else name)


def same_tokenizer(theirs: bytes, ours: Any, uri: str, field: str = "") -> None:
    """Refuse weights beside which another tokenizer lies than the study's.

    Args:
        theirs: the checkpoint's tokenizer.json.
        ours: the study's, as JSON.
        uri: where the checkpoint lies, for the error.
        field: of the manifest, where the error is to name it.

    Raises:
        DataError: their tokens differ, or one is no tokenizer.
    """
    where = f"{field}: {uri}" if field else uri
    try:
        found = _tokens(json.loads(theirs))
    except ValueError:
        raise DataError(where, "has a tokenizer.json that is none; mend or remove it") from None
    if found != _tokens(ours):
        raise DataError(
            where,
            "has another tokenizer than this study: its weights mean other tokens; write "
            "`tokenizer: {uri: …}` with the checkpoint's tokenizer.json",
        )


def _tokens(tokenizer: Any) -> dict[int, str]:
    """The token of each id, of a tokenizer.json; what a file formats otherwise is no difference."""
    try:
        model = tokenizer["model"]["vocab"]
        pairs = (
            model.items() if isinstance(model, dict) else ((k[0], n) for n, k in enumerate(model))
        )
        found = {int(number): str(token) for token, number in pairs}
        added = tokenizer.get("added_tokens") or []
        return found | {int(one["id"]): str(one["content"]) for one in added}
    except (AttributeError, IndexError, KeyError, TypeError):
        raise ValueError("no tokenizer") from None


def _theirs(found: Mapping[str, Any], shape: Shape) -> dict[str, Any]:
    kind, base = _rope(found)
    heads = found.get("num_attention_heads", 0)
    return {
        "model_type": found.get("model_type"),
        "vocab_size": found.get("vocab_size"),
        "hidden_size": found.get("hidden_size"),
        "intermediate_size": found.get("intermediate_size"),
        "num_hidden_layers": found.get("num_hidden_layers"),
        "num_attention_heads": heads,
        "num_key_value_heads": found.get("num_key_value_heads") or heads,
        "head_dim": found.get("head_dim") or shape.hidden_size // shape.heads,
        "hidden_act": found.get("hidden_act", "silu"),
        "attention_bias": found.get("attention_bias", False),
        "mlp_bias": found.get("mlp_bias", False),
        "tie_word_embeddings": found.get("tie_word_embeddings", False),
        "rope_theta": base,
        "rope_type": kind,
        "rms_norm_eps": found.get("rms_norm_eps", 1e-6),
    }


def _rope(found: Mapping[str, Any]) -> tuple[Any, Any]:
    """Kind and base of its rotary positions, wherever a version of transformers wrote them."""
    kind: Any = "default"
    base = found.get("rope_theta", 10_000.0)
    for name in ("rope_scaling", "rope_parameters"):  # before transformers 5, and since
        given = found.get(name) or {}
        if not isinstance(given, dict):
            return given, base
        kind = given.get("rope_type", given.get("type", kind))
        base = given.get("rope_theta", base)
    return kind, base


def _ours(shape: Shape) -> dict[str, Any]:
    return {
        "model_type": shape.family,
        "vocab_size": shape.vocab_size,
        "hidden_size": shape.hidden_size,
        "intermediate_size": shape.intermediate_size,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.hidden_size // shape.heads,
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": shape.tied_embeddings,
        "rope_theta": shape.rope_theta,
        "rope_type": "default",
        "rms_norm_eps": shape.norm_eps,
    }
