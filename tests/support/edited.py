"""Every edit of a spec, and whether a study that has results goes on with it, on both back ends."""

from typing import Any

from support import manifests

FREE = ""

EDITS: dict[str, tuple[Any, str]] = {
    # path → (value, what the refusal names; nothing where the study goes on)
    "corpora.0.name": ("english", "spec.corpora"),
    "corpora.0.uri": ("s3://elsewhere/", FREE),
    "corpora.0.format": ("jsonl", "spec.corpora[0].format"),
    "corpora.0.field": ("body", "spec.corpora[0].field"),
    "corpora.0.groupBy": (None, "spec.corpora[0].groupBy"),
    "corpora.0.validation.fraction": (0.3, "spec.corpora[0].validation.fraction"),
    "corpora.0.validation.maxTokens": (5, "spec.corpora[0].validation.maxTokens"),
    "corpora.0.maxEpochs": (7, FREE),
    "tokenizer.train.vocabSize": (2048, "spec.tokenizer.train.vocabSize"),
    "tokenizer.train.corpora": (["en"], "spec.tokenizer.train.corpora"),
    "tokenizer.uri": ("s3://t/t.json", "spec.tokenizer"),
    "tokenizer.vocabSize": (1024, "spec.tokenizer"),
    "model.family": ("llama", FREE),  # there is only one
    "model.contextLength": (256, "spec.model.contextLength"),
    "model.sizes": (["55k", "110k"], FREE),
    "model.tiedEmbeddings": (False, "spec.model.tiedEmbeddings"),
    "arms.1.name": ("other", FREE),  # one goes and one comes
    "arms.1.corpus": ("en", "spec.arms[1].corpus"),
    "arms.2.init.arm": ("scratch", "spec.arms[2].init.arm"),
    "arms.2.init.budget": ("2M", FREE),  # it is the only one: said, or left out
    "arms.2.init.checkpoint": ("stable", "spec.arms[2].init.checkpoint"),
    "arms.2.init.uri": ("s3://x/y/", "spec.arms[2].init"),
    "arms.3.replay.corpus": ("de", "spec.arms[3].replay.corpus"),
    "arms.3.replay.ratio": (0.5, "spec.arms[3].replay.ratio"),
    "arms.1.budgets.tokens": (["1M"], FREE),
    "arms.1.budgets.tokensPerParameter": ([30], FREE),
    "arms.1.budgets.flops": ([1e12], FREE),
    "budgets.tokens": (["250k", "3M"], FREE),
    "budgets.tokensPerParameter": ([20], FREE),
    "budgets.flops": ([1e12], FREE),
    "training.batchTokens.value": (1024, "spec.training.batchTokens.value"),
    "training.batchTokens.bySize": ([{"upTo": "1M", "value": 512}], "spec.training.batchTokens"),
    "training.batchTokens.rule": (None, "spec.training.batchTokens"),
    "training.learningRate.value": (0.004, "spec.training.learningRate.value"),
    "training.learningRate.bySize": (
        [{"upTo": "1M", "value": 0.005}], "spec.training.learningRate",
    ),
    "training.learningRate.rule": (None, "spec.training.learningRate"),
    "training.schedule.type": ("cosine", "spec.training.schedule.type"),
    "training.schedule.warmup.tokens": (25600, "spec.training.schedule.warmup.tokens"),
    "training.schedule.warmup.tokensPerParameter": (0.5, "spec.training.schedule.warmup"),
    "training.schedule.decay": (0.3, "spec.training.schedule.decay"),
    "training.schedule.shape": ("sqrt", "spec.training.schedule.shape"),
    "training.schedule.floor": (0.1, "spec.training.schedule.floor"),
    "training.optimizer.betas": ([0.9, 0.99], "spec.training.optimizer.betas"),
    "training.optimizer.eps": (1e-9, "spec.training.optimizer.eps"),
    "training.optimizer.weightDecay": (0.2, "spec.training.optimizer.weightDecay"),
    "training.optimizer.clip": (2.0, "spec.training.optimizer.clip"),
    "training.precision": ("bf16", "spec.training.precision"),
    "training.seeds": ([0, 1], FREE),
    "resources": ([{"cpu": 4, "gpusPerNode": 2, "nodes": 2}], FREE),
    "podTemplate": ({"spec": {}}, FREE),
    "trialTemplate": ({"image": "x"}, FREE),
    "storage.s3.bucket": ("other", "spec.storage.s3.bucket"),
    "storage.s3.prefix": ("other", "spec.storage.s3.prefix"),
    "storage.s3.endpoint": ("http://127.0.0.1:2", FREE),
    "storage.s3.region": ("x", FREE),
    "storage.s3.addressingStyle": ("path", FREE),
    "storage.s3.credentialsSecret": ("x", FREE),
    "parallelTrialCount": (9, FREE),
    "maxFailedTrialCount": (9, FREE),
    "onMaxFailed": ("Stop", FREE),
    "retry": ({"limit": 9}, FREE),
    "limits": ({"gpuHours": 9}, FREE),
    "checkpoints": ({"everyMinutes": 1}, FREE),
    "queueName": ("q", FREE),
    "suspend": (True, FREE),
    "ttlSecondsAfterFinished": (9, FREE),
    "fit": ({"bootstrap": 200}, FREE),
}  # fmt: skip

_ONE_OF = ("tokens", "tokensPerParameter", "flops", "value", "bySize", "rule", "train", "uri")


def before() -> dict[str, Any]:
    spec = manifests.small()
    for corpus in spec["corpora"]:
        corpus["uri"] = f"s3://text/{corpus['name']}/"
    spec["corpora"].append({"name": "de", "uri": "s3://text/de/", "format": "text"})
    spec["storage"] = {"s3": {"bucket": "one", "prefix": "p", "endpoint": "http://127.0.0.1:1"}}
    return spec


def edited(path: str, value: Any) -> dict[str, Any]:
    spec = before()
    *parents, last = path.split(".")
    place: Any = spec
    for part in parents:
        place = place[int(part)] if isinstance(place, list) else place.setdefault(part, {})
    if last in _ONE_OF and parents[0] != "corpora":
        place.clear()
    if path in {"tokenizer.uri", "tokenizer.vocabSize"}:
        place.clear()
        place |= {"uri": "s3://t/t.json", "vocabSize": 1024}
    if path == "arms.2.init.arm":
        place["budget"] = "2M"  # scratch has three
    if path == "corpora.0.name":
        return _renamed(spec, str(value))
    if last == "rule":
        return _large(spec, parents[-1])
    place[last] = value
    if value is None:
        del place[last]
    return spec


def _renamed(spec: dict[str, Any], name: str) -> dict[str, Any]:
    spec["corpora"][0]["name"] = spec["arms"][0]["corpus"] = name
    spec["arms"][3]["replay"]["corpus"] = spec["tokenizer"]["train"]["corpora"][0] = name
    return spec


def _large(spec: dict[str, Any], rule: str) -> dict[str, Any]:
    """Rules named auto hold from 20M up."""
    spec["model"]["sizes"], spec["budgets"] = ["60M"], {"tokens": ["2B"]}
    spec["arms"][0]["budgets"] = {"tokens": ["1B"]}
    spec["training"][rule] = {"rule": "auto"}
    return spec
