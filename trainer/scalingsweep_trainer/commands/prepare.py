"""`scalingsweep-worker prepare`: preflight, tokenizer, shards, and which results exist already.

It runs once for each generation of a spec, before anything asks for a GPU; whatever is wrong with
storage, text or given checkpoints is said here.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import get_args

from scalingsweep import check, groups, plan, resolve
from scalingsweep.api import result
from scalingsweep.api.attempt import Attempt
from scalingsweep.api.outcome import Class, Outcome
from scalingsweep.api.prepared import Prepared
from scalingsweep.api.sweep import SweepSpec
from scalingsweep.store import Patience, Store
from scalingsweep_trainer import drill, environment
from scalingsweep_trainer import log as worker_log
from scalingsweep_trainer.data import shards
from scalingsweep_trainer.prepare import checkpoints, corpora, tokenizer

_FIRST_SECONDS = 30.0
"""For how long prepare asks a storage that has never answered."""


def run(variables: Mapping[str, str]) -> Outcome:
    """Prepare a sweep.

    Raises:
        SpecError: something that the manifest names is not as it must be.
        TransientError: storage does not answer.
    """
    worker_log.start()
    spec = environment.parse(SweepSpec, variables, environment.SPEC, at="spec")
    attempt = environment.parse(Attempt, variables, environment.ATTEMPT)
    check.spec(spec)
    planned = plan.make(spec)
    # whoever is asked for the first time may be the wrong one, or may be starting
    first = Store(attempt.storage, patience=Patience(seconds=_FIRST_SECONDS, trusted=False))
    first.check_writable()
    first.check_conditional()
    store = Store(attempt.storage, patience=Patience())
    for split in get_args(shards.Split):
        store.abort_multipart(f"{split}/")
    base = Path(attempt.base)
    text = corpora.run(
        spec.corpora,
        spec.tokenizer,
        store=store,
        base=base,
        context_length=spec.model.context_length,
    )
    drill.at("prepare")
    prepared = Prepared(
        corpora=text.corpora,
        tokenizer=text.tokenizer,
        vocab_size=text.vocab_size,
        checkpoints=checkpoints.look(
            planned,
            store=store,
            base=base,
            tokenizer=store.get_json(tokenizer.key(text.tokenizer)),
        ),
    )
    observed = resolve.to_bitmap(_existing(planned, prepared, store))
    return Outcome(
        klass=Class.DONE,
        message=f"{len(groups.of(spec))} groups of arms, {len(planned.trials)} trials",
        prepared=prepared.model_copy(update={"observed": observed}),
    )


def _existing(planned: plan.Plan, prepared: Prepared, store: Store) -> list[bool]:
    """For every observation in plan order, whether all its losses are in S3."""
    specs = resolve.trials(planned, prepared)
    found = {key: set(store.list(f"trials/{spec.id}/results/")) for key, spec in specs.items()}
    return [
        all(
            result.key(specs[trial.key].id, D, validation) in found[trial.key]
            for validation in specs[trial.key].validation
        )
        for trial, D in planned.observations
    ]
