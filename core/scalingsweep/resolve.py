"""From a plan and what prepare found to trial specs with ids: all that a worker must be told.

Both control planes and the worker call `trials`; equal inputs give equal ids everywhere.
"""

import base64
import binascii
import dataclasses
from collections.abc import Collection

import numpy as np

from scalingsweep import cost, identity, order
from scalingsweep import plan as planning
from scalingsweep.api.prepared import Prepared, PreparedCorpus
from scalingsweep.api.trial import (
    NUMERICS_VERSION,
    InitFromTrial,
    InitFromUri,
    Replay,
    TrialSpec,
)
from scalingsweep.errors import DataError, SpecError


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """The tokens behind one observation (see ARCHITECTURE.md, observations.csv)."""

    target: int
    """Tokens of the arm's own corpus."""
    replayed: int
    """Tokens of the replayed corpus."""
    source: int
    """Tokens that all runs before this one had trained on, along the chain of sources."""
    epochs: float
    """Passes over the arm's own corpus."""
    source_flops: float
    """C = 6 N D of that chain."""


def trials(plan: planning.Plan, prepared: Prepared) -> dict[planning.Key, TrialSpec]:
    """The spec of every planned trial, in plan order.

    Raises:
        SpecError: where the corpora are too small for a budget, naming the field and the mend.
    """
    if prepared.vocab_size != plan.spec.tokenizer.size:
        raise SpecError(
            "spec.tokenizer", f"has {prepared.vocab_size} tokens, not {plan.spec.tokenizer.size}"
        )
    resolved: dict[planning.Key, TrialSpec] = {}
    for trial in plan.trials:
        enough_text(trial, plan, prepared)
        draft = _draft(trial, plan, prepared, resolved)
        resolved[trial.key] = draft.model_copy(update={"id": identity.trial_id(draft)})
    return resolved


def _draft(
    trial: planning.Trial,
    plan: planning.Plan,
    prepared: Prepared,
    resolved: dict[planning.Key, TrialSpec],
) -> TrialSpec:
    own = _corpus(prepared, trial.arm.corpus)
    manifest_corpus = next(c for c in plan.spec.corpora if c.name == trial.arm.corpus)
    return TrialSpec(
        id="0" * 32,
        arm=trial.key.arm,
        size=trial.key.size,
        seed=trial.key.seed,
        shape=trial.size.shape,
        tokenizer=prepared.tokenizer,
        corpus=own.digest,
        held_out=own.validation,
        replay=_replay(trial, plan, prepared),
        init=_init(trial, prepared, resolved),
        batch_sequences=trial.size.batch_sequences,
        schedule=trial.schedule,
        optimizer=trial.size.optimizer,
        precision=plan.spec.training.precision,
        numerics_version=NUMERICS_VERSION,
        budgets=trial.budgets,
        validation=tuple(dict.fromkeys(corpus.validation for corpus in prepared.corpora)),
        max_epochs=manifest_corpus.max_epochs,
    )


def _replay(trial: planning.Trial, plan: planning.Plan, prepared: Prepared) -> Replay | None:
    asked = trial.arm.replay
    if asked is None:
        return None
    corpus = _corpus(prepared, asked.corpus)
    source = trial.source
    if source is None or _arm_corpus(plan, source.key.arm) != asked.corpus:
        sequences, seed = None, None
    else:
        sequences = target_sequences(planned(plan, source.key), source.tokens)
        seed = source.key.seed
    return Replay(
        corpus=corpus.digest,
        held_out=corpus.validation,
        numerator=asked.fraction.numerator,
        denominator=asked.fraction.denominator,
        source_sequences=sequences,
        source_seed=seed,
    )


def _init(
    trial: planning.Trial, prepared: Prepared, resolved: dict[planning.Key, TrialSpec]
) -> InitFromTrial | InitFromUri | None:
    if trial.source is not None:
        return InitFromTrial(
            trial=resolved[trial.source.key].id,
            tokens=trial.source.tokens,
            checkpoint="stable" if trial.source.checkpoint == "stable" else "decayed",
        )
    if trial.arm.init is None:
        return None
    uri = checkpoint_uri(trial)
    assert uri is not None
    found = {checkpoint.uri: checkpoint.digest for checkpoint in prepared.checkpoints}
    return InitFromUri(uri=uri, digest=found[uri])


def checkpoint_uri(trial: planning.Trial) -> str | None:
    """The address of the given checkpoint that a trial starts from, if it does."""
    if trial.arm.init is None or trial.arm.init.uri is None:
        return None
    return trial.arm.init.uri.replace("{size}", trial.key.size)


def planned(plan: planning.Plan, key: planning.Key) -> planning.Trial:
    """The planned trial of a key that the plan has."""
    return next(trial for trial in plan.trials if trial.key == key)


def target_sequences(trial: planning.Trial, D: int) -> int:
    """How many sequences of its own corpus a trial has taken after D tokens."""
    sequences = D // trial.size.shape.context_length
    if trial.arm.replay is None:
        return sequences
    # where the next sample would stand in its own stream tells how many of its kind came before
    is_replay, place = order.split(np.array([sequences]), trial.arm.replay.fraction, trial.key.seed)
    return sequences - int(place[0]) if is_replay[0] else int(place[0])


def data(trial: planning.Trial, D: int, plan: planning.Plan, prepared: Prepared | None) -> Data:
    """The tokens behind the observation of a trial at D; epochs are 0 without `prepared`."""
    context = trial.size.shape.context_length
    target = target_sequences(trial, D)
    source_tokens, source_flops = 0, 0.0
    link = trial.source
    while link is not None:
        parent = planned(plan, link.key)
        stop = link.tokens
        source_tokens += stop
        source_flops += cost.model_flops(parent.size.N, stop)
        link = parent.source
    available = _sequences(_corpus(prepared, trial.arm.corpus), context) if prepared else None
    return Data(
        target=target * context,
        replayed=D - target * context,
        source=source_tokens,
        epochs=target / available if available else 0.0,
        source_flops=source_flops,
    )


def enough_text(trial: planning.Trial, plan: planning.Plan, prepared: Prepared) -> None:
    """Refuse a trial that would pass over a corpus more often than the manifest allows.

    Raises:
        SpecError: naming the corpus and the mends.
    """
    own = _corpus(prepared, trial.arm.corpus)
    context = trial.size.shape.context_length
    needed = target_sequences(trial, trial.budgets[-1])
    _enough(trial, plan, own, needed=needed, available=_sequences(own, context))
    if trial.arm.replay is not None:
        replayed = trial.budgets[-1] // context - needed
        corpus = _corpus(prepared, trial.arm.replay.corpus)
        replay = _replay(trial, plan, prepared)
        assert replay is not None
        _enough(
            trial,
            plan,
            corpus,
            needed=replayed,
            available=replay.source_sequences or _sequences(corpus, context),
        )


def _enough(
    trial: planning.Trial,
    plan: planning.Plan,
    corpus: PreparedCorpus,
    *,
    needed: int,
    available: int,
) -> None:
    index = next(i for i, c in enumerate(plan.spec.corpora) if c.name == corpus.name)
    allowed = plan.spec.corpora[index].max_epochs
    if available < 1 or needed > allowed * available:
        context = trial.size.shape.context_length
        epochs = f"{needed / available:.3g}" if available else "∞"
        raise DataError(
            f"spec.corpora[{index}]",
            f"{trial.key} needs {needed * context:,} tokens of {corpus.name}, which has "
            f"{available * context:,} to give: {epochs} passes, {allowed:g} allowed. Lower the "
            "budgets, bring more text, or raise maxEpochs",
        )


def _sequences(corpus: PreparedCorpus, context_length: int) -> int:
    return (corpus.tokens - 1) // context_length


def _corpus(prepared: Prepared, name: str) -> PreparedCorpus:
    return next(corpus for corpus in prepared.corpora if corpus.name == name)


def _arm_corpus(plan: planning.Plan, name: str) -> str:
    return next(arm.corpus for arm in plan.spec.arms if arm.name == name)


def observed(plan: planning.Plan, prepared: Prepared | None) -> dict[planning.Key, frozenset[int]]:
    """Tokens D of each trial that prepare found complete; nothing before it has looked."""
    found: dict[planning.Key, frozenset[int]] = {}
    if prepared is not None:
        flags = from_bitmap(prepared.observed, len(plan.observations))
        for (trial, D), there in zip(plan.observations, flags, strict=True):
            if there:
                found[trial.key] = found.get(trial.key, frozenset()) | {D}
    return found


def to_bitmap(flags: Collection[bool]) -> str:
    """Base64 of one bit per observation in plan order."""
    number = sum(1 << i for i, flag in enumerate(flags) if flag)
    return base64.b64encode(number.to_bytes((len(flags) + 7) // 8, "little")).decode()


def from_bitmap(text: str, count: int) -> tuple[bool, ...]:
    """The flags of `to_bitmap`; an unreadable or short text reads as nothing observed."""
    try:
        number = int.from_bytes(base64.b64decode(text, validate=True), "little")
    except binascii.Error:
        number = 0
    return tuple(bool(number >> i & 1) for i in range(count))
