"""Manifests that are wrong in one place, by hand; both back ends refuse them and name the field."""

import dataclasses
from collections.abc import Callable
from typing import Any

from support import every_field

Edit = Callable[[dict[str, Any]], None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """One mistake in a manifest of `every_field`."""

    name: str
    field: str
    """The field as the reader of files names it."""
    edit: Edit
    base: str = "wsd"
    says: str = ""
    """Words of the mend that both say."""
    at: str = ""
    """The field as the API server names it, where that is another: what holds it."""
    cluster_only: bool = False
    """Whether it is good on one machine."""

    def manifest(self) -> dict[str, Any]:
        """The manifest."""
        value = every_field.manifests()[self.base]
        self.edit(value)
        return value


def put(where: str, value: Any) -> Edit:
    """Set a field: `spec.arms.1.corpus`."""

    def edit(manifest: dict[str, Any]) -> None:
        at, last = _holder(manifest, where)
        at[last] = value

    return edit


def remove(where: str) -> Edit:
    """Leave a field out."""

    def edit(manifest: dict[str, Any]) -> None:
        at, last = _holder(manifest, where)
        del at[last]

    return edit


def both(*edits: Edit) -> Edit:
    """One after the other."""

    def edit(manifest: dict[str, Any]) -> None:
        for one in edits:
            one(manifest)

    return edit


def _holder(manifest: dict[str, Any], where: str) -> tuple[Any, Any]:
    *path, last = [int(part) if part.isdigit() else part for part in where.split(".")]
    at: Any = manifest
    for part in path:
        at = at[part]
    return at, last


def bad(name: str, where: str, value: Any, says: str = "", **more: Any) -> Case:
    """A field with a wrong value; it is the one that is named."""
    parts = where.split(".")
    field = "".join(f"[{part}]" if part.isdigit() else f".{part}" for part in parts)
    return Case(
        name=name, edit=put(where, value), says=says, **({"field": field.lstrip(".")} | more)
    )


def missing(where: str, **more: Any) -> Case:
    """A field that is required."""
    case = bad(f"no {where}", where, None, **more)
    return dataclasses.replace(case, edit=remove(where))


ONE = "give exactly one of"
COSINE: dict[str, Any] = {"base": "cosine"}

CASES = [
    # what an author leaves out
    missing("spec.corpora"),
    missing("spec.tokenizer"),
    missing("spec.model"),
    missing("spec.arms"),
    missing("spec.budgets"),
    missing("spec.corpora.0.uri"),
    missing("spec.corpora.0.format"),
    missing("spec.arms.1.corpus"),
    missing("spec.arms.2.replay.ratio"),
    missing("spec.model.contextLength"),
    missing("spec.model.sizes"),
    missing("spec.model.sizes.2.layers"),
    missing("spec.storage.s3.bucket"),
    missing("spec.fit.exclude.0.reason"),
    missing("spec.storage", says="is required on a cluster", cluster_only=True),
    # fields that there are not
    bad("unknown field", "spec.colour", "red"),
    bad("misspelt field", "spec.training.batchToken", {}),
    bad("misspelt field in a list", "spec.arms.0.budget", {}),
    bad("unknown field of a preset", "spec.model.sizes.form", "1B", **COSINE,
        at="spec.model.sizes"),
    bad("unknown field of a shape", "spec.model.sizes.2.width", 8, at="spec.model.sizes[2]"),
    # exactly one of
    bad("budgets {}", "spec.budgets", {}, f"{ONE} tokens, tokensPerParameter, flops"),
    bad("two budgets", "spec.budgets.flops", [1e19], ONE, field="spec.budgets"),
    bad("two of an arm's budgets", "spec.arms.0.budgets.tokensPerParameter", [20], ONE,
        field="spec.arms[0].budgets"),
    bad("two tokenizers", "spec.tokenizer.uri", "s3://t/t.json", ONE, field="spec.tokenizer"),
    bad("init {}", "spec.arms.2.init", {}, f"{ONE} arm, uri"),
    bad("two starts", "spec.arms.2.init.uri", "s3://m/", ONE, field="spec.arms[2].init"),
    bad("two batches", "spec.training.batchTokens.rule", "auto", ONE,
        field="spec.training.batchTokens"),
    bad("no rate", "spec.training.learningRate", {}, f"{ONE} rule, value, bySize"),
    bad("two warm-ups", "spec.training.schedule.warmup.tokensPerParameter", 1, ONE,
        field="spec.training.schedule.warmup"),
    # names that lead nowhere, or twice
    bad("unknown corpus", "spec.arms.1.corpus", "de", "no corpus is called", at="spec.arms"),
    bad("unknown replay", "spec.arms.2.replay.corpus", "de", "no corpus is called",
        at="spec.arms"),
    bad("unknown corpus of the tokenizer", "spec.tokenizer.train.corpora.1", "de",
        "no corpus is called", at="spec.tokenizer.train.corpora"),
    bad("unknown arm", "spec.arms.2.init.arm", "sorce", "no arm is called", at="spec.arms"),
    bad("an arm of itself", "spec.arms.0.init", {"arm": "source", "budget": "1M"}, "is a cycle",
        field="spec.arms[0].init", at="spec.arms"),
    bad("two arms in a circle", "spec.arms.0.init", {"arm": "cpt", "budget": "250k"}, "is a cycle",
        field="spec.arms[0].init.arm", at="spec.arms"),
    bad("corpus twice", "spec.corpora.1.name", "en", field="spec.corpora[1]"),
    bad("arm twice", "spec.arms.1.name", "source", field="spec.arms[1]"),
    bad("seed twice", "spec.training.seeds", [0, 0], field="spec.training",
        at="spec.training.seeds[1]"),
    bad("law twice", "spec.fit.laws", ["extended", "extended"], field="spec.fit",
        at="spec.fit.laws[1]"),
    # sources and replay
    Case(name="replay from scratch", field="spec.arms[2].replay", says="needs init",
         edit=remove("spec.arms.2.init")),
    bad("replay of the own corpus", "spec.arms.2.replay.corpus", "fr", "the arm's own corpus"),
    bad("replay ratio 1.5", "spec.arms.2.replay.ratio", 1.5),
    bad("replay ratio 0", "spec.arms.2.replay.ratio", 0),
    bad("replay ratio in four decimals", "spec.arms.2.replay.ratio", 0.1234,
        "has more than three decimals"),
    Case(name="which budget", field="spec.arms[2].init.budget", at="spec.arms",
         says="is required", edit=remove("spec.arms.2.init.budget")),
    bad("a budget of no arm", "spec.arms.0.init.budget", "2M", "belongs to init.arm", **COSINE),
    bad("a budget that is not whole", "spec.arms.2.init.budget", 0.5),
    bad("checkpoint", "spec.arms.2.init.checkpoint", "best"),
    Case(name="stable of cosine", field="spec.arms[2].init.checkpoint", at="spec.arms",
         says="stable needs schedule wsd",
         edit=put("spec.training.schedule", {"type": "cosine"})),
    # text
    bad("format", "spec.corpora.0.format", "tsv"),
    bad("groupBy of text", "spec.corpora.1.groupBy", "url", "groupBy of a text corpus is `file`",
        field="spec.corpora[1]"),
    bad("name of a corpus", "spec.corpora.1.name", "Français"),
    bad("a bare no", "spec.corpora.1.name", False),
    bad("nothing held out", "spec.corpora.0.validation.fraction", 0),
    bad("all held out", "spec.corpora.0.validation.fraction", 1),
    bad("epochs", "spec.corpora.0.maxEpochs", 0.5),
    bad("a folder", "spec.corpora.0.uri", "text/en", "s3:// address", cluster_only=True),
    bad("a tokenizer's folder", "spec.tokenizer.uri", "t.json", "s3:// address",
        cluster_only=True, **COSINE),
    bad("a checkpoint's folder", "spec.arms.0.init.uri", "m/", "s3:// address",
        cluster_only=True, **COSINE),
    missing("spec.tokenizer.vocabSize", says="vocabSize is required with uri", **COSINE,
            field="spec.tokenizer"),
    bad("vocabSize twice", "spec.tokenizer.vocabSize", 1024, "belongs inside train",
        field="spec.tokenizer"),
    bad("vocabulary below the bytes", "spec.tokenizer.train.vocabSize", 100),
    # sizes
    bad("sizes in one word", "spec.model.sizes", "27k"),
    bad("sizes in one number", "spec.model.sizes", 27_000),
    bad("sizes true", "spec.model.sizes", True),
    bad("sizes []", "spec.model.sizes", []),
    bad("sizes {}", "spec.model.sizes", {}, field="spec.model.sizes"),
    bad("size 50X", "spec.model.sizes.0", "50X"),
    bad("size 0", "spec.model.sizes.0", 0),
    bad("size true", "spec.model.sizes.0", True),
    bad("size 27000.5", "spec.model.sizes.0", 27_000.5),
    bad("size []", "spec.model.sizes.0", []),
    bad("unknown preset", "spec.model.sizes.preset", "zheng2025", **COSINE),
    bad("a preset's stretch", "spec.model.sizes.from", "small", **COSINE),
    bad("a shape's layers", "spec.model.sizes.2.layers", 0),
    bad("129 sizes", "spec.model.sizes", [f"{n}k" for n in range(27, 156)]),
    # budgets
    bad("budgets []", "spec.budgets.tokens", []),
    bad("budget 50X", "spec.budgets.tokens.1", "50X"),
    bad("budget in words", "spec.budgets.tokens.1", "2 million"),
    bad("budget 0", "spec.budgets.tokens.1", 0),
    bad("budget -1", "spec.budgets.tokens.1", -1),
    bad("33 budgets", "spec.budgets.tokens", [f"{n}M" for n in range(1, 34)]),
    bad("tokensPerParameter 0", "spec.budgets.tokensPerParameter.1", 0, **COSINE),
    bad("flops in text", "spec.budgets.flops.0", "1e19", base="flops"),
    bad("flops 0", "spec.arms.0.budgets.flops.0", 0, **COSINE),
    # training
    bad("decay of cosine", "spec.training.schedule.decay", 0.2, "belongs to wsd", **COSINE),
    bad("shape of cosine", "spec.training.schedule.shape", "linear", "belongs to wsd", **COSINE),
    bad("schedule", "spec.training.schedule.type", "cosin"),
    bad("decay 1", "spec.training.schedule.decay", 1),
    bad("floor 1", "spec.training.schedule.floor", 1),
    bad("rate 10", "spec.training.learningRate.value", 10),
    bad("rate 0", "spec.training.learningRate.value", 0),
    bad("rule", "spec.training.batchTokens", {"rule": "automatic"},
        field="spec.training.batchTokens.rule"),
    bad("one beta", "spec.training.optimizer.betas", [0.9]),
    bad("beta 1", "spec.training.optimizer.betas.1", 1),
    bad("precision", "spec.training.precision", "fp16"),
    bad("seed -1", "spec.training.seeds.1", -1),
    bad("seed 0.5", "spec.training.seeds.1", 0.5),
    # running
    bad("nodes 0", "spec.resources.0.nodes", 0),
    bad("memory", "spec.resources.0.memory", "lots"),
    bad("resources []", "spec.resources", []),
    bad("duration", "spec.limits.deadline", "3 days"),
    bad("startDeadline", "spec.limits.startDeadline", "soon"),
    bad("gpuHours 0", "spec.limits.gpuHours", 0),
    bad("parallel 0", "spec.parallelTrialCount", 0),
    bad("onMaxFailed", "spec.onMaxFailed", "Abort"),
    bad("suspend in words", "spec.suspend", "maybe"),
    bad("suspend in quotes", "spec.suspend", "true"),
    bad("a number in quotes", "spec.parallelTrialCount", "8"),
    bad("a number that is true", "spec.resources.0.nodes", True),
    bad("ttl -1", "spec.ttlSecondsAfterFinished", -1),
    bad("bucket", "spec.storage.s3.bucket", "My_Bucket"),
    bad("a slash before the prefix", "spec.storage.s3.prefix", "/en-fr"),
    bad("a password in the endpoint", "spec.storage.s3.endpoint", "https://me:secret@s3"),
    bad("pod template", "spec.podTemplate", "nodeSelector"),
    # the fit
    bad("unknown law", "spec.fit.laws.0", "kaplan"),
    bad("no laws", "spec.fit.laws", []),
    bad("few resamples", "spec.fit.bootstrap", 7),
    bad("all rows held out", "spec.fit.holdOut.largest", 1),
    bad("flops to predict in text", "spec.fit.predict.0.flops", "1e24"),
    # the resource
    bad("a name of 36 characters", "metadata.name", "a" * 36),
    bad("a name with dots", "metadata.name", "a.b"),
    bad("a map for a list", "spec.arms", {"a": 1}),
    bad("a list for a map", "spec.model", []),
]  # fmt: skip
