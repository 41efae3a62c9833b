"""One training task in two forms: a trial for our worker, a recipe for the peers.

The same initial weights, the same sequences in the same order, the same optimizer; so all of them
must arrive at the same loss, and `training` checks that they do.
"""

import dataclasses
import json
import uuid
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from scalingsweep.api.shape import Shape
from scalingsweep.api.trial import NUMERICS_VERSION, Optimizer, TrialSpec, WsdSchedule
from scalingsweep.store import Store
from scalingsweep_trainer.data import stream
from scalingsweep_trainer.trial import weights
from support import token_shards

RATE = 1e-3
HELD_OUT = 2_000
"""Tokens: an evaluation is no part of what is measured."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is trained."""

    name: str
    shape: Shape
    batch: int
    """Sequences in a step."""
    steps: int
    """Steps at a constant rate: those that are timed. Ours goes on with a decay after them."""
    skipped: int = 3
    """The first ones, while caches and allocators settle."""


TEN_MILLION = Plan(
    name="10M",
    shape=Shape(
        vocab_size=2048,
        hidden_size=320,
        intermediate_size=1280,
        layers=6,
        heads=5,
        kv_heads=5,
        context_length=256,
    ),
    batch=4,
    steps=18,
)
SMALL = Plan(
    name="220k",
    shape=Shape(
        vocab_size=1024,
        hidden_size=64,
        intermediate_size=256,
        layers=3,
        heads=2,
        kv_heads=2,
        context_length=128,
    ),
    batch=4,
    steps=300,
    skipped=20,
)
"""As in the quickstart: here the work around the kernels counts."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A plan made ready in a folder and a store."""

    plan: Plan
    spec: TrialSpec
    recipe: Path
    """JSON for the peers."""
    parameters: int


def prepare(plan: Plan, store: Store, folder: Path, *, precision: Literal["fp32", "bf16"]) -> Task:
    """Write tokens to the store, and initial weights and rows to the folder."""
    spec = _spec(plan, store, precision)
    samples = stream.of(spec, store, folder / "cache").samples(
        np.arange((plan.steps + 1) * plan.batch, dtype=np.int64)
    )
    rows = stream.of(spec, store, folder / "cache").tokens(samples)
    np.save(folder / "rows.npy", rows.astype(np.uint16))
    parameters = _weights(spec, folder / "weights")
    recipe = {
        "rows": str(folder / "rows.npy"),
        "weights": str(folder / "weights"),
        "scratch": str(folder / "scratch"),
        "batch": plan.batch,
        "steps": plan.steps,
        "precision": precision,
        "rate": RATE,
        "betas": spec.optimizer.betas,
        "eps": spec.optimizer.eps,
        "clip": spec.optimizer.clip,
    }
    (folder / "recipe.json").write_text(json.dumps(recipe))
    return Task(plan=plan, spec=spec, recipe=folder / "recipe.json", parameters=parameters)


def again(task: Task) -> TrialSpec:
    """The trial under another id: to be trained from the start once more."""
    return task.spec.model_copy(update={"id": uuid.uuid4().hex})


def _spec(plan: Plan, store: Store, precision: Literal["fp32", "bf16"]) -> TrialSpec:
    context = plan.shape.context_length
    rng = np.random.default_rng(0)
    # Zipf: some words are common, so that there is something to learn at once
    chance = 1 / np.arange(1, plan.shape.vocab_size + 1)
    digests = {}
    for split, count in (
        ("corpora", 2 * plan.steps * plan.batch * context + 1),
        ("validation", HELD_OUT),
    ):
        ids = rng.choice(plan.shape.vocab_size, size=count, p=chance / chance.sum())
        digests[split] = uuid.uuid4().hex
        token_shards.write(store, split, digests[split], ids)
    # the decay takes a fourth of all: what is timed, and saved at its end, is the trunk
    steps = plan.steps * 4 // 3
    return TrialSpec(
        id=uuid.uuid4().hex,
        arm="bench",
        size=plan.name,
        shape=plan.shape,
        tokenizer="0" * 32,
        corpus=digests["corpora"],
        held_out=digests["validation"],
        batch_sequences=plan.batch,
        schedule=WsdSchedule(type="wsd", peak=RATE, warmup_steps=0, decay=0.25),
        optimizer=Optimizer(weight_decay=0.0),  # Trainer spares norms, we do not
        precision=precision,
        numerics_version=NUMERICS_VERSION,
        budgets=(steps * plan.batch * context,),
        validation=(digests["validation"],),
    )


def _weights(spec: TrialSpec, folder: Path) -> int:
    """The trial's initial weights as a Hugging Face checkpoint; how many they are."""
    from transformers import LlamaForCausalLM

    from scalingsweep_trainer.trial import model

    llama = LlamaForCausalLM(model.config(spec.shape))
    weights.draw(dict(llama.named_parameters()), spec.shape, spec.seed)
    llama.save_pretrained(folder)
    return sum(parameter.numel() for parameter in llama.parameters())


def threads() -> None:
    """One thread for this process too, which only waits while others are timed."""
    torch.set_num_threads(1)
