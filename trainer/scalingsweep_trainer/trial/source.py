"""Where the weights come from: a drawn initialisation, another trial, or a Hugging Face checkpoint.

Only weights are taken over: optimizer, step, data position and learning rate start afresh.
"""

import contextlib
import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, assert_never
from urllib.parse import urlsplit

from scalingsweep.api.shape import Shape
from scalingsweep.api.trial import InitFromTrial, InitFromUri, TrialSpec
from scalingsweep.errors import DataError, SpecError
from scalingsweep.store import Missing, Store
from scalingsweep_trainer.prepare import checkpoints
from scalingsweep_trainer.trial import checkpoint, itinerary, layout, weights
from scalingsweep_trainer.trial.itinerary import Saved
from scalingsweep_trainer.trial.state import State

_WANTED = {"config.json", "tokenizer.json"}
"""What is read of a given checkpoint beside its weights."""


def start(state: State, spec: TrialSpec, store: Store, base: Path) -> None:
    """Set the model's weights as the trial begins. A collective.

    Args:
        state: the fresh state; only its weights change.
        spec: the trial.
        store: the study's storage.
        base: folder that a relative address starts from.

    Raises:
        DataError: the source is not there or has another shape.
    """
    match spec.init:
        case None:
            weights.draw(state.parameters, spec.shape, spec.seed)
        case InitFromTrial():
            _from_trial(state, spec, spec.init, store)
        case InitFromUri():
            with _folder(spec.init.uri, store, base) as folder:
                if state.ranks.first:
                    _same_digest(folder, spec.init, store)
                    _same_tokenizer(folder, spec, spec.init.uri, store)
                _from_folder(state, spec.shape, folder, spec.init.uri)
        case _:
            assert_never(spec.init)


def read_spec(store: Store, trial: str) -> TrialSpec:
    """The spec that a trial's attempts left in S3.

    Raises:
        DataError: there is no such trial.
    """
    try:
        return TrialSpec.from_wire(store.get_json(layout.spec(trial)), layout.spec(trial))
    except Missing:
        raise DataError(f"trial {trial}", f"is not in {store.address('trials/')}") from None


def place(spec: TrialSpec, tokens: int, which: str, saved: list[Saved]) -> Saved:
    """The checkpoint of a trial that belongs to one of its budgets.

    Args:
        spec: that trial's spec.
        tokens: its D.
        which: `decayed`, the end of the branch, or `stable`, the trunk where the branch leaves.
        saved: its complete checkpoints.

    Raises:
        DataError: there is none.
    """
    # a branch's place follows from its tokens alone; whether it was asked for, from what is there
    with contextlib.suppress(SpecError):  # so few tokens that its warm-up would reach into it
        branch = itinerary.branches(spec.model_copy(update={"budgets": (tokens,)}))[0]
        at = (branch.name, branch.end) if which == "decayed" else (itinerary.TRUNK, branch.start)
        found = [one for one in saved if (one.branch, one.step) == at]
        if found:
            return max(found)
    raise DataError(
        f"trial {spec.id}", f"has no {which} checkpoint of {tokens} tokens; train it first"
    )


def _from_trial(state: State, spec: TrialSpec, init: InitFromTrial, store: Store) -> None:
    source = read_spec(store, init.trial)
    if source.tokenizer != spec.tokenizer:
        raise DataError(
            f"trial {init.trial}",
            f"was trained with tokenizer {source.tokenizer}, not with {spec.tokenizer}: its "
            "weights mean other tokens; give a source of this study's tokenizer",
        )
    _same(source.shape.to_wire(), spec.shape.to_wire(), f"trial {init.trial}")
    saved = place(source, init.tokens, init.checkpoint, checkpoint.found(store, init.trial))
    snapshot = state.empty(weights_only=True)
    checkpoint.load(store, init.trial, saved, snapshot, state.ranks)
    state.restore(snapshot)


def _same(theirs: Mapping[str, Any], ours: Mapping[str, Any], where: str) -> None:
    """Refuse a checkpoint that differs from the shape in anything but the context's length."""
    for field in sorted({*theirs, *ours} - {"contextLength"}):
        if theirs.get(field) != ours.get(field):
            raise DataError(
                where,
                f"has {field} {theirs.get(field)}, the trial's model {ours.get(field)}: "
                "give a checkpoint of this shape",
            )


def _same_digest(folder: Path, init: InitFromUri, store: Store) -> None:
    """The weights must be those that the trial's id speaks of."""
    found = checkpoints.digest(str(folder), store=store, base=folder, field=init.uri)
    if found != init.digest:
        raise DataError(init.uri, "has changed since prepare looked at it; run prepare again")


def _same_tokenizer(folder: Path, spec: TrialSpec, uri: str, store: Store) -> None:
    """Where a tokenizer lies beside the weights, its tokens must be the study's."""
    try:
        theirs = _tokens(json.loads((folder / "tokenizer.json").read_bytes()))
    except FileNotFoundError:
        return  # sizes are compared all the same
    except ValueError:
        raise DataError(uri, "has a tokenizer.json that is none; mend or remove it") from None
    ours = _tokens(store.get_json(layout.tokenizer(spec.tokenizer)))
    if theirs != ours:
        raise DataError(
            uri,
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
    except (AttributeError, KeyError, TypeError):
        raise ValueError("no tokenizer") from None


def _from_folder(state: State, shape: Shape, folder: Path, uri: str) -> None:
    from safetensors import SafetensorError, safe_open

    _same_config(folder / "config.json", shape, uri)
    missing = dict(state.parameters)
    try:
        for file in sorted(folder.glob("*.safetensors")):
            with safe_open(file, framework="pt") as tensors:
                for name in tensors.keys():  # noqa: SIM118 - no mapping
                    parameter = missing.pop(name, None)
                    if parameter is None:
                        continue  # a tied head may be written out
                    value = tensors.get_tensor(name).float()
                    if value.shape != parameter.shape:
                        raise DataError(
                            uri, f"has {name} of {list(value.shape)}, not {list(parameter.shape)}"
                        )
                    weights.put(parameter, value)
    except SafetensorError as error:
        raise DataError(uri, f"holds a damaged safetensors file: {error}") from None
    if missing:
        raise DataError(uri, f"lacks {min(missing)}, and {len(missing) - 1} more; give all weights")


def _same_config(path: Path, shape: Shape, uri: str) -> None:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        raise DataError(uri, "has no readable config.json; give a Hugging Face folder") from None
    rope = found.get("rope_parameters") or {}
    heads = found.get("num_attention_heads", 0)
    theirs = {
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
        # transformers < 5 wrote these two at the top
        "rope_theta": rope.get("rope_theta", found.get("rope_theta", 10_000.0)),
        "rope_type": rope.get(
            "rope_type", (found.get("rope_scaling") or {}).get("type", "default")
        ),
        "rms_norm_eps": found.get("rms_norm_eps", 1e-6),
    }
    ours = {
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
    _same(theirs, ours, f"{uri} config.json")


@contextmanager
def _folder(uri: str, store: Store, base: Path) -> Iterator[Path]:
    """The checkpoint's files in a local folder, for as long as the block."""
    if not uri.startswith("s3://"):
        yield base / uri
        return
    parts = urlsplit(uri)
    there = store.beside(parts.netloc, parts.path.strip("/"), field=uri)
    with tempfile.TemporaryDirectory(prefix="scalingsweep-") as name:
        folder = Path(name)
        for key in there.list():
            if key in _WANTED or ("/" not in key and key.endswith(".safetensors")):
                there.download_file(key, folder / key)
        yield folder
