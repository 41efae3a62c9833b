"""Given source checkpoints: are they there, do they fit, and what exactly are they?

The digest of config and weights enters the ids of the trials that start from them; the address does
not. The trainer looks once more at what it loads.
"""

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

from scalingsweep import plan, resolve
from scalingsweep.api.prepared import PreparedCheckpoint
from scalingsweep.errors import DataError
from scalingsweep.store import Store
from scalingsweep_trainer.prepare import matching, sources

_BLOCK = 16 * 2**20


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """What was read of one checkpoint."""

    digest: str
    config: bytes
    tokenizer: bytes | None
    """Its tokenizer.json, where one lies beside it."""


def look(
    planned: plan.Plan, *, store: Store, base: Path, tokenizer: Any
) -> tuple[PreparedCheckpoint, ...]:
    """The digest of every checkpoint that an arm of the plan starts from.

    Args:
        planned: the plan.
        store: the study's storage.
        base: the manifest's folder.
        tokenizer: the study's, as JSON.

    Raises:
        DataError: one is missing, incomplete, of another shape or with another tokenizer, naming
            its field.
    """
    known: dict[str, _Read] = {}
    for trial in planned.trials:
        uri = resolve.checkpoint_uri(trial)
        if uri is None:
            continue
        index = [arm.name for arm in planned.spec.arms].index(trial.key.arm)
        field = f"spec.arms[{index}].init.uri"
        if uri not in known:
            known[uri] = _read(uri, store=store, base=base, field=field)
            if (theirs := known[uri].tokenizer) is not None:
                matching.same_tokenizer(theirs, tokenizer, uri, field)
        matching.same_config(known[uri].config, trial.size.shape, uri, field)
    return tuple(PreparedCheckpoint(uri=uri, digest=read.digest) for uri, read in known.items())


def digest(uri: str, *, store: Store, base: Path, field: str) -> str:
    """The digest of a Hugging Face checkpoint's config.json and safetensors files.

    Raises:
        DataError: there is no config.json, or no safetensors file beside it.
    """
    return _read(uri, store=store, base=base, field=field).digest


def _read(uri: str, *, store: Store, base: Path, field: str) -> _Read:
    endings = (".safetensors", "config.json", "tokenizer.json")
    source = sources.find(uri, endings, store=store, base=base, field=field)
    names = {file.name for file in source.files}
    if "config.json" not in names or not any(name.endswith(".safetensors") for name in names):
        raise DataError(
            field,
            f"{uri} is no checkpoint: config.json and *.safetensors are needed, there are "
            f"{', '.join(sorted(names))}",
        )
    whole = hashlib.sha256()
    small: dict[str, bytes] = {}
    for file, path in source.local():
        if file.name in {"config.json", "tokenizer.json"}:
            small[file.name] = path.read_bytes()
        if file.name == "config.json" or file.name.endswith(".safetensors"):
            whole.update(f"{file.name}\n{file.size}\n".encode())
            with path.open("rb") as stream:
                while block := stream.read(_BLOCK):
                    whole.update(block)
    return _Read(
        digest=whole.hexdigest()[:32],
        config=small["config.json"],
        tokenizer=small.get("tokenizer.json"),
    )
