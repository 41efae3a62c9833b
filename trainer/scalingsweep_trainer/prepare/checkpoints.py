"""Given source checkpoints: are they there, and what exactly are they?

The digest of config and weights enters the ids of the trials that start from them; the address does
not. The trainer compares the shape when it loads them.
"""

import hashlib
from pathlib import Path

from scalingsweep import plan, resolve
from scalingsweep.api.prepared import PreparedCheckpoint
from scalingsweep.errors import DataError
from scalingsweep.store import Store
from scalingsweep_trainer.prepare import sources

_BLOCK = 16 * 2**20


def look(planned: plan.Plan, *, store: Store, base: Path) -> tuple[PreparedCheckpoint, ...]:
    """The digest of every checkpoint that an arm of the plan starts from.

    Raises:
        DataError: one is missing or incomplete, naming its field.
    """
    wanted: dict[str, str] = {}
    for trial in planned.trials:
        uri = resolve.checkpoint_uri(trial)
        if uri is not None:
            index = [arm.name for arm in planned.spec.arms].index(trial.key.arm)
            wanted.setdefault(uri, f"spec.arms[{index}].init.uri")
    return tuple(
        PreparedCheckpoint(uri=uri, digest=digest(uri, store=store, base=base, field=field))
        for uri, field in wanted.items()
    )


def digest(uri: str, *, store: Store, base: Path, field: str) -> str:
    """The digest of a Hugging Face checkpoint's config.json and safetensors files.

    Raises:
        DataError: there is no config.json, or no safetensors file beside it.
    """
    source = sources.find(uri, (".safetensors", "config.json"), store=store, base=base, field=field)
    names = {file.name for file in source.files}
    if "config.json" not in names or not any(name.endswith(".safetensors") for name in names):
        raise DataError(
            field,
            f"{uri} is no checkpoint: config.json and *.safetensors are needed, there are "
            f"{', '.join(sorted(names))}",
        )
    whole = hashlib.sha256()
    for file, path in source.local():
        if file.name == "config.json" or file.name.endswith(".safetensors"):
            whole.update(f"{file.name}\n{file.size}\n".encode())
            with path.open("rb") as stream:
                while block := stream.read(_BLOCK):
                    whole.update(block)
    return whole.hexdigest()[:32]
