"""Where the weights come from: a drawn initialisation, another trial, or a Hugging Face checkpoint.

Only weights are taken over: optimizer, step, data position and learning rate start afresh.
"""

import contextlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import assert_never
from urllib.parse import urlsplit

from scalingsweep.api.shape import Shape
from scalingsweep.api.trial import InitFromTrial, InitFromUri, TrialSpec
from scalingsweep.errors import DataError, SpecError
from scalingsweep.store import Missing, Store
from scalingsweep_trainer.prepare import checkpoints, matching
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
    matching.same(source.shape.to_wire(), spec.shape.to_wire(), f"trial {init.trial}")
    saved = place(source, init.tokens, init.checkpoint, checkpoint.found(store, init.trial))
    snapshot = state.empty(weights_only=True)
    checkpoint.load(store, init.trial, saved, snapshot, state.ranks)
    state.restore(snapshot)


def _same_digest(folder: Path, init: InitFromUri, store: Store) -> None:
    """The weights must be those that the trial's id speaks of."""
    found = checkpoints.digest(str(folder), store=store, base=folder, field=init.uri)
    if found != init.digest:
        raise DataError(init.uri, "has changed since prepare looked at it; run prepare again")


def _same_tokenizer(folder: Path, spec: TrialSpec, uri: str, store: Store) -> None:
    """Where a tokenizer lies beside the weights, its tokens must be the study's."""
    try:
        theirs = (folder / "tokenizer.json").read_bytes()
    except FileNotFoundError:
        return  # sizes are compared all the same
    matching.same_tokenizer(theirs, store.get_json(layout.tokenizer(spec.tokenizer)), uri)


def _from_folder(state: State, shape: Shape, folder: Path, uri: str) -> None:
    from safetensors import SafetensorError, safe_open

    try:
        config = (folder / "config.json").read_bytes()
    except OSError:
        config = b""
    matching.same_config(config, shape, uri)
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
