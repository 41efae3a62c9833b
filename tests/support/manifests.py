"""Builders of manifests and of what prepare would answer, for tests of pure code."""

import copy
from typing import Any

from scalingsweep import manifest, plan
from scalingsweep.api.prepared import Prepared, PreparedCheckpoint, PreparedCorpus
from scalingsweep.api.sweep import SweepSpec


def small() -> dict[str, Any]:
    """The spec of a tiny bilingual study, as YAML would give it."""
    return copy.deepcopy(_SMALL)


def spec(**changes: Any) -> SweepSpec:
    """`small` with some top-level fields replaced, checked."""
    return parsed(small() | changes)


def parsed(value: dict[str, Any]) -> SweepSpec:
    """A spec as the manifest's reader would accept it."""
    import yaml

    return manifest.parse(yaml.safe_dump(whole(value), allow_unicode=True)).spec


def whole(value: dict[str, Any]) -> dict[str, Any]:
    """A manifest around a spec."""
    return {
        "apiVersion": "scalingsweep.dev/v1alpha1",
        "kind": "ScalingSweep",
        "metadata": {"name": "small"},
        "spec": value,
    }


def planned(**changes: Any) -> plan.Plan:
    """The plan of `spec`."""
    return plan.make(spec(**changes))


def prepared(names: tuple[str, ...] = ("en", "fr"), **changes: Any) -> Prepared:
    """What prepare answers for corpora of these names; digests differ from name to name."""
    values: dict[str, Any] = {
        "corpora": tuple(
            PreparedCorpus(
                name=name,
                digest=f"{index:x}" * 32,
                validation=f"{index + 8:x}" * 32,
                tokens=40_000_000,
                bytes=12_000_000,
                documents=2000,
                validation_tokens=40_000,
                validation_bytes=120_000,
            )
            for index, name in enumerate(names)
        ),
        "tokenizer": "f" * 32,
        "vocab_size": 1024,
    }
    return Prepared(**(values | changes))


def checkpoint(uri: str, digit: str = "c") -> PreparedCheckpoint:
    """A given checkpoint that prepare has seen."""
    return PreparedCheckpoint(uri=uri, digest=digit * 32)


_SMALL: dict[str, Any] = {
    "corpora": [
        {"name": "en", "uri": "text/en", "format": "text", "groupBy": "file"},
        {"name": "fr", "uri": "text/fr", "format": "text", "groupBy": "file"},
    ],
    "tokenizer": {"train": {"vocabSize": 1024, "corpora": ["en", "fr"]}},
    "model": {"contextLength": 128, "sizes": ["27k", "55k"]},
    "arms": [
        {"name": "source", "corpus": "en", "budgets": {"tokens": ["2M"]}},
        {"name": "scratch", "corpus": "fr"},
        {"name": "cpt", "corpus": "fr", "init": {"arm": "source"}},
        {
            "name": "replay",
            "corpus": "fr",
            "init": {"arm": "source"},
            "replay": {"corpus": "en", "ratio": 0.25},
        },
    ],
    "budgets": {"tokens": ["250k", "700k", "2M"]},
    "training": {
        "batchTokens": {"value": 512},
        "learningRate": {"value": 0.005},
        "schedule": {"warmup": {"tokens": 51200}},
        "precision": "fp32",
    },
    "parallelTrialCount": 2,
}
