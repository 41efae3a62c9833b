"""Keys of a trial's objects under the manifest's prefix (ARCHITECTURE.md, "Objects in S3")."""

import re

from scalingsweep_trainer.trial.itinerary import Saved

METADATA = ".metadata"
"""Written last: a checkpoint that has it is complete."""

_CHECKPOINT = re.compile(r"^g(\d{4,})/checkpoints/([^/]+)/step-(\d{9,})/")


def root(trial: str) -> str:
    return f"trials/{trial}/"


def spec(trial: str) -> str:
    return f"trials/{trial}/spec.json"


def claim(trial: str, generation: int) -> str:
    return f"trials/{trial}/claims/{generation:04}"


def claims(trial: str) -> str:
    return f"trials/{trial}/claims/"


def alive(trial: str, generation: int) -> str:
    return f"trials/{trial}/g{generation:04}/alive"


def metrics(trial: str, generation: int, branch: str, first_step: int) -> str:
    return f"trials/{trial}/g{generation:04}/metrics/{branch}-{first_step:09}.jsonl"


def generations(trial: str) -> str:
    """The prefix of everything that attempts wrote under a claim."""
    return f"trials/{trial}/g"


def checkpoint(trial: str, saved: Saved) -> str:
    """The folder of a checkpoint, with a slash at its end."""
    return f"trials/{trial}/g{saved.generation:04}/checkpoints/{saved.branch}/step-{saved.step:09}/"


def checkpoint_of(trial: str, key: str) -> Saved | None:
    """The checkpoint that an object belongs to, if any."""
    match = _CHECKPOINT.match(key.removeprefix(root(trial)))
    if match is None:
        return None
    generation, branch, step = match.groups()
    return Saved(step=int(step), generation=int(generation), branch=branch)


def results(trial: str) -> str:
    return f"trials/{trial}/results/"


def tokenizer(digest: str) -> str:
    return f"tokenizers/{digest}/tokenizer.json"
