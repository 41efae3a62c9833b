"""Manifests for a cluster which, together, use every field of the schema."""

import copy
from typing import Any

STORAGE = {
    "s3": {
        "bucket": "studies",
        "prefix": "en-fr",
        "endpoint": "https://s3.example.com",
        "region": "eu-central-1",
        "addressingStyle": "path",
        "credentialsSecret": "s3",
    }
}

SHAPE = {
    "name": "own",
    "hiddenSize": 64,
    "intermediateSize": 172,
    "layers": 2,
    "heads": 4,
    "kvHeads": 2,
}


def manifests() -> dict[str, dict[str, Any]]:
    """By what they show."""
    return {name: whole(copy.deepcopy(spec)) for name, spec in _SPECS.items()}


def whole(spec: dict[str, Any]) -> dict[str, Any]:
    """A manifest around a spec."""
    return {
        "apiVersion": "scalingsweep.dev/v1alpha1",
        "kind": "ScalingSweep",
        "metadata": {"name": "every-field", "namespace": "default"},
        "spec": spec,
    }


_SPECS: dict[str, dict[str, Any]] = {
    "wsd": {
        "corpora": [
            {
                "name": "en",
                "uri": "s3://corpora/en/",
                "format": "jsonl",
                "field": "content",
                "groupBy": "url",
                "validation": {"fraction": 0.02, "maxTokens": 500_000},
                "maxEpochs": 4,
            },
            {"name": "fr", "uri": "s3://corpora/fr/", "format": "text", "groupBy": "file"},
        ],
        "tokenizer": {"train": {"vocabSize": 1024, "corpora": ["en", "fr"]}},
        "model": {
            "family": "llama",
            "contextLength": 128,
            "sizes": ["27k", 55_000, copy.deepcopy(SHAPE)],
            "tiedEmbeddings": False,
        },
        "arms": [
            {"name": "source", "corpus": "en", "budgets": {"tokens": ["1M", "2M"]}},
            {"name": "scratch", "corpus": "fr"},
            {
                "name": "cpt",
                "corpus": "fr",
                "init": {"arm": "source", "budget": "2M", "checkpoint": "stable"},
                "replay": {"corpus": "en", "ratio": 0.25},
            },
        ],
        "budgets": {"tokens": ["250k", 700_000, "2M"]},
        "training": {
            "batchTokens": {"value": 512},
            "learningRate": {"value": 0.005},
            "schedule": {
                "type": "wsd",
                "warmup": {"tokens": 51_200},
                "decay": 0.3,
                "shape": "sqrt",
                "floor": 0.1,
            },
            "optimizer": {"betas": [0.9, 0.98], "eps": 1e-6, "weightDecay": 0.2, "clip": 0.5},
            "precision": "fp32",
            "seeds": [0, 1],
        },
        "resources": [
            {
                "upTo": "1B",
                "nodes": 2,
                "gpusPerNode": 8,
                "accelerator": "H100",
                "gpuResource": "example.com/gpu",
                "cpu": 16,
                "memory": "64Gi",
            }
        ],
        "podTemplate": {"spec": {"serviceAccountName": "study"}},
        "trialTemplate": {
            "image": "registry.example.com/worker:1",
            "podTemplate": {"metadata": {"labels": {"team": "nlp"}}},
        },
        "storage": STORAGE,
        "parallelTrialCount": 8,
        "maxFailedTrialCount": 5,
        "onMaxFailed": "Stop",
        "retry": {"limit": 5, "backoffSeconds": 30},
        "limits": {"gpuHours": 5000, "deadline": "72h", "startDeadline": "1h"},
        "checkpoints": {"everyMinutes": 20, "keepLast": 3},
        "queueName": "research",
        "suspend": True,
        "ttlSecondsAfterFinished": 3600,
        "fit": {
            "laws": ["extended"],
            "bootstrap": 1000,
            "holdOut": {"largest": 0.2},
            "predict": [{"flops": 1e24}],
            "identifiability": "Warn",
            "exclude": [{"trial": "cpt/27k", "reason": "a broken disk"}],
        },
    },
    "cosine": {
        "corpora": [{"name": "fr", "uri": "s3://corpora/fr/", "format": "parquet"}],
        "tokenizer": {"uri": "s3://corpora/tokenizer.json", "vocabSize": 1024},
        "model": {
            "contextLength": 2048,
            "sizes": {"preset": "zheng2024", "from": "50M", "to": 1e9},
        },
        "arms": [
            {
                "name": "cpt",
                "corpus": "fr",
                "init": {"uri": "s3://models/{size}/"},
                "budgets": {"flops": [3e20]},
            }
        ],
        "budgets": {"tokensPerParameter": [20, 80.5]},
        "training": {
            "batchTokens": {"bySize": [{"upTo": "1B", "value": "1M"}]},
            "learningRate": {"bySize": [{"upTo": 1_000_000_000, "value": 3e-4}]},
            "schedule": {"type": "cosine", "warmup": {"tokensPerParameter": 1}},
        },
        "storage": {"s3": {"bucket": "studies"}},
    },
    "flops": {
        "corpora": [{"name": "fr", "uri": "s3://corpora/fr/", "format": "text"}],
        "tokenizer": {"train": {"vocabSize": 32_000, "corpora": ["fr"]}},
        "model": {"contextLength": 2048, "sizes": ["60M", "0.25B"]},
        "arms": [
            {"name": "scratch", "corpus": "fr", "budgets": {"tokensPerParameter": [20, 40]}},
            {"name": "long", "corpus": "fr"},
        ],
        "budgets": {"flops": [3e19, 1e20]},
        "training": {"batchTokens": {"rule": "auto"}, "learningRate": {"rule": "auto"}},
        "storage": {"s3": {"bucket": "studies"}},
    },
}
