"""From a spec to its trials: sizes × arms × budgets × seeds, with every rule resolved.

A plan needs no look at the data: the command prints it before anything runs, and prepare turns it
into trial specs with ids (`resolve`). Sources stand before the trials that start from them.
"""

import dataclasses
import itertools
from collections.abc import Iterator

from scalingsweep import check, cost, lr, quantity, rules, shapes
from scalingsweep.api.arms import Arm, Budgets, Init
from scalingsweep.api.model import NamedShape, Preset
from scalingsweep.api.prepared import MOST_OBSERVATIONS
from scalingsweep.api.running import Resources
from scalingsweep.api.shape import Shape
from scalingsweep.api.sweep import SweepSpec
from scalingsweep.api.training import Training
from scalingsweep.api.trial import CosineSchedule, Optimizer, WsdSchedule
from scalingsweep.errors import SpecError

FEWEST_STEPS = 1000
"""Shorter runs are mostly warm-up and decay; a plan warns of them."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Key:
    """What tells a trial from the others of its sweep."""

    arm: str
    size: str
    seed: int
    budget: int | None = None
    """Tokens, under cosine only: there every budget is a trial of its own."""

    def __str__(self) -> str:
        tail = "" if self.budget is None else f"/{quantity.label(self.budget)}"
        return f"{self.arm}/{self.size}/{self.seed}{tail}"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """One size of the ladder with all that depends on it alone."""

    label: str
    shape: Shape
    counts: shapes.Counts
    batch_sequences: int
    peak: float
    warmup_steps: int
    optimizer: Optimizer
    resources: Resources

    @property
    def N(self) -> int:
        """Counted parameters."""
        return self.counts.N

    @property
    def step_tokens(self) -> int:
        """Tokens of an optimizer step."""
        return self.batch_sequences * self.shape.context_length


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The checkpoint that a trial starts from."""

    key: Key
    tokens: int
    """D of the source's budget."""
    checkpoint: str
    """`decayed` or `stable`."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One planned run."""

    key: Key
    arm: Arm
    size: Size
    budgets: tuple[int, ...]
    """Tokens D, ascending, in whole steps."""
    schedule: WsdSchedule | CosineSchedule
    source: Source | None

    @property
    def trained_tokens(self) -> int:
        """Tokens that are really computed: the trunk once, and every decay."""
        steps = [budget // self.size.step_tokens for budget in self.budgets]
        if self.schedule.type == "cosine":
            return steps[-1] * self.size.step_tokens
        decays = [lr.decay_steps(total, self.schedule.decay) for total in steps]
        trunk = max(total - decay for total, decay in zip(steps, decays, strict=True))
        return (trunk + sum(decays)) * self.size.step_tokens


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All trials of a sweep."""

    spec: SweepSpec
    sizes: tuple[Size, ...]
    trials: tuple[Trial, ...]
    warnings: tuple[str, ...]

    @property
    def observations(self) -> tuple[tuple[Trial, int], ...]:
        """Every (trial, D) in plan order."""
        return tuple((trial, budget) for trial in self.trials for budget in trial.budgets)

    @property
    def flops(self) -> float:
        """Σ 6 N D over the observations."""
        return sum(cost.model_flops(trial.size.N, D) for trial, D in self.observations)

    @property
    def flops_trained(self) -> float:
        """6 N for each token really trained: trunks are shared by their branches."""
        return sum(cost.model_flops(t.size.N, t.trained_tokens) for t in self.trials)


def make(spec: SweepSpec) -> Plan:
    """The plan of a spec that `check.spec` has passed.

    Raises:
        SpecError: where a rule cannot be resolved, naming the field and the mend.
    """
    sizes = tuple(_sizes(spec))
    trials: dict[Key, Trial] = {}
    for arm in check.sources_first(spec.arms):
        for size, seed in itertools.product(sizes, spec.training.seeds):
            trials |= {trial.key: trial for trial in _trials(spec, arm, size, seed, trials)}
    observations = sum(len(trial.budgets) for trial in trials.values())
    if observations > MOST_OBSERVATIONS:
        raise SpecError(
            "spec",
            f"plans {observations} observations, and a sweep holds {MOST_OBSERVATIONS}: "
            "name fewer sizes, arms, budgets or seeds, or make two sweeps of it",
        )
    return Plan(
        spec=spec,
        sizes=sizes,
        trials=tuple(trials.values()),
        warnings=tuple(_warnings(tuple(trials.values()))),
    )


def _sizes(spec: SweepSpec) -> Iterator[Size]:
    for label, shape in _shapes(spec):
        counts = shapes.counts(shape)
        batch = _batch_tokens(spec.training, counts.N, shape.context_length)
        sequences = max(1, round(batch / shape.context_length))
        yield Size(
            label=label,
            shape=shape,
            counts=counts,
            batch_sequences=sequences,
            peak=_peak(spec.training, counts.N),
            warmup_steps=_warmup_steps(spec.training, counts.N, sequences * shape.context_length),
            optimizer=_optimizer(spec.training, sequences * shape.context_length),
            resources=_resources(spec, counts.N),
        )


def _shapes(spec: SweepSpec) -> list[tuple[str, Shape]]:
    model, vocabulary = spec.model, spec.tokenizer.size
    if isinstance(model.sizes, Preset):
        ladder = shapes.preset(
            model.sizes.preset, vocab_size=vocabulary, context_length=model.context_length
        )
        rows = list(shapes.select(ladder, model.sizes.from_, model.sizes.to))
    else:
        rows = [_one_shape(spec, index, size) for index, size in enumerate(model.sizes)]
    if not model.tied_embeddings:
        rows = [
            (label, shape.model_copy(update={"tied_embeddings": False})) for label, shape in rows
        ]
    return rows


def _one_shape(spec: SweepSpec, index: int, size: float | str | NamedShape) -> tuple[str, Shape]:
    at = f"spec.model.sizes[{index}]"
    common = {
        "vocab_size": spec.tokenizer.size,
        "context_length": spec.model.context_length,
        "family": spec.model.family,
    }
    if isinstance(size, NamedShape):
        given = size.model_dump(exclude={"name"})
        given["kv_heads"] = given["kv_heads"] or given["heads"]
        return size.name, Shape.from_wire(common | given, at=at)
    try:
        shape = shapes.generate(
            quantity.parse(size),
            vocab_size=spec.tokenizer.size,
            context_length=spec.model.context_length,
        )
    except SpecError as error:
        raise SpecError(at, error.problem) from None
    return str(size) if isinstance(size, str) else quantity.label(quantity.parse(size)), shape


def _batch_tokens(training: Training, N: int, context_length: int) -> int:
    given, at = training.batch_tokens, "spec.training.batchTokens"
    if given.value is not None:
        return given.value
    if given.by_size is not None:
        table = [(rule.up_to, rule.value) for rule in given.by_size]
        return rules.by_size(table, N, at=f"{at}.bySize")
    return rules.batch_tokens(N, context_length)


def _peak(training: Training, N: int) -> float:
    given, at = training.learning_rate, "spec.training.learningRate"
    if given.value is not None:
        return given.value
    if given.by_size is not None:
        table = [(rule.up_to, rule.value) for rule in given.by_size]
        return rules.by_size(table, N, at=f"{at}.bySize")
    return rules.peak_learning_rate(N)


def _warmup_steps(training: Training, N: int, step_tokens: int) -> int:
    warmup = training.schedule.warmup
    if warmup.tokens is not None:
        tokens: float = warmup.tokens
    else:
        assert warmup.tokens_per_parameter is not None
        tokens = warmup.tokens_per_parameter * N
    return max(1, round(tokens / step_tokens))


def _optimizer(training: Training, step_tokens: int) -> Optimizer:
    given = training.optimizer
    betas = given.betas
    if betas is None:
        auto = training.batch_tokens.rule == "auto"
        betas = (0.9, rules.beta2(step_tokens) if auto else 0.95)
    return Optimizer(betas=betas, eps=given.eps, weight_decay=given.weight_decay, clip=given.clip)


def _resources(spec: SweepSpec, N: int) -> Resources:
    table = [(resources.up_to, resources) for resources in spec.resources]
    return rules.by_size(table, N, at="spec.resources")


def _trials(
    spec: SweepSpec, arm: Arm, size: Size, seed: int, earlier: dict[Key, Trial]
) -> Iterator[Trial]:
    budgets = _budgets(arm.budgets or spec.budgets, size)
    schedule = spec.training.schedule
    source = _source(spec, arm, size, seed, earlier)
    who = f"size {size.label} of arm {arm.name}"
    if schedule.type == "wsd":
        first_branch = lr.branch_start(budgets[0] // size.step_tokens, schedule.decay)
        lr.check_warmup(size.warmup_steps, first_branch=first_branch, who=who)
        yield Trial(
            key=Key(arm=arm.name, size=size.label, seed=seed),
            arm=arm,
            size=size,
            budgets=budgets,
            schedule=WsdSchedule(
                type="wsd",
                peak=size.peak,
                warmup_steps=size.warmup_steps,
                decay=schedule.decay,
                shape=schedule.shape,
                floor=schedule.floor,
            ),
            source=source,
        )
        return
    for budget in budgets:
        lr.check_warmup(size.warmup_steps, first_branch=budget // size.step_tokens, who=who)
        yield Trial(
            key=Key(arm=arm.name, size=size.label, seed=seed, budget=budget),
            arm=arm,
            size=size,
            budgets=(budget,),
            schedule=CosineSchedule(
                type="cosine",
                peak=size.peak,
                warmup_steps=size.warmup_steps,
                floor=schedule.floor,
            ),
            source=source,
        )


def _budgets(budgets: Budgets, size: Size) -> tuple[int, ...]:
    steps = {_budget_steps(budgets, value, size) for value in budgets.values}
    return tuple(count * size.step_tokens for count in sorted(steps))


def _budget_steps(budgets: Budgets, value: float, size: Size) -> int:
    if budgets.tokens_per_parameter is not None:
        tokens = value * size.N
    elif budgets.flops is not None:
        tokens = value / (6 * size.N)
    else:
        tokens = value
    return max(1, round(tokens / size.step_tokens))


def _source(
    spec: SweepSpec, arm: Arm, size: Size, seed: int, earlier: dict[Key, Trial]
) -> Source | None:
    if arm.init is None or arm.init.arm is None:
        return None
    source_arm = next(other for other in spec.arms if other.name == arm.init.arm)
    budgets = source_arm.budgets or spec.budgets
    tokens = _budget_steps(budgets, _source_value(arm.init, budgets), size) * size.step_tokens
    cosine = spec.training.schedule.type == "cosine"
    key = Key(arm=arm.init.arm, size=size.label, seed=seed, budget=tokens if cosine else None)
    assert key in earlier, "sources are planned first"
    return Source(key=key, tokens=tokens, checkpoint=arm.init.checkpoint)


def _source_value(init: Init, budgets: Budgets) -> float:
    if init.budget is None:
        return budgets.values[0]
    return next(value for value in budgets.values if check.same_budget(value, init.budget))


def _warnings(trials: tuple[Trial, ...]) -> Iterator[str]:
    short = [
        (trial.budgets[0] // trial.size.step_tokens, trial)
        for trial in trials
        if trial.budgets[0] // trial.size.step_tokens < FEWEST_STEPS
    ]
    if short:
        steps, trial = min(short, key=lambda pair: pair[0])
        yield (
            f"{len(short)} trials have a budget below {FEWEST_STEPS} steps (the shortest, "
            f"{trial.key}: {steps}): their losses bend the law; use smaller batches or more tokens"
        )
