"""`scalingsweep-worker fit`: observations.csv, fit.json and report.html from what is in S3."""

import logging
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Any

import numpy as np
import yaml

from scalingsweep import analysis, check, observations, plan, report, resolve
from scalingsweep.api import result
from scalingsweep.api.attempt import Attempt
from scalingsweep.api.outcome import Class, FitSummary, FittedLaw, FittedParameter, Outcome
from scalingsweep.api.prepared import Prepared
from scalingsweep.api.sweep import SweepSpec
from scalingsweep.api.trial import TrialSpec
from scalingsweep.errors import FitError
from scalingsweep.fit import Fit
from scalingsweep.store import Missing, Patience, Store
from scalingsweep_trainer import drill, environment
from scalingsweep_trainer import log as worker_log
from scalingsweep_trainer.fit import curves

log = logging.getLogger("scalingsweep_trainer")

_DRAWS = 400
"""Enough for the ends of a 95 % band on a page."""
_SUMMARY_BYTES = 3000
"""Of the 4,096 of a termination message."""
_SUMMARY_WARNINGS = 3
_SUMMARY_WARNING_LENGTH = 160


def run(variables: Mapping[str, str]) -> Outcome:
    """Fit a sweep.

    Raises:
        FitError: there is no observation at all.
        TransientError: storage does not answer.
    """
    worker_log.start()
    spec = environment.parse(SweepSpec, variables, environment.SPEC, at="spec")
    attempt = environment.parse(Attempt, variables, environment.ATTEMPT)
    prepared = environment.parse(Prepared, variables, environment.PREPARED)
    check.spec(spec)
    planned = plan.make(spec)
    store = Store(attempt.storage, patience=Patience())
    specs = resolve.trials(planned, prepared)
    drill.at("fit")
    rows, missing = observations.collect(planned, prepared, specs, _finder(store))
    if not rows:
        raise FitError("no observation is there to be fitted: no trial has finished")
    log.info("%d observations, %d missing", len(rows), len(missing))
    found = analysis.run(rows, spec)
    folder = f"sweeps/{attempt.namespace}/{attempt.sweep}"
    corpora = tuple(corpus.name for corpus in spec.corpora)
    store.put(f"{folder}/observations.csv", observations.to_csv(rows, corpora).encode())
    fits = [one.to_json() for one in found.fits]
    store.put_json(f"{folder}/fit.json", {"fits": fits, "missing": missing})
    page = report.render(
        report.Study(
            name=attempt.sweep,
            rows=tuple(rows),
            arms=tuple(_arms(spec)),
            corpora=corpora,
            curves=_curves(specs, store),
            fits=tuple(one.to_json() | {"draws": _draws(one)} for one in found.fits),
            missing=tuple(missing),
            warnings=(*planned.warnings, *found.notes),
            manifest=_manifest(attempt, spec),
            versions={name: metadata.version(name) for name in ("scalingsweep", "torch")},
            totals={"trials": len(planned.trials), "C": planned.flops_trained},
        )
    )
    store.put(f"{folder}/report.html", page.encode())
    return Outcome(
        klass=Class.DONE,
        message=f"{len(rows)} observations, {len(found.fits)} fits",
        fit=_summary(found, rows, missing, f"{folder}/report.html"),
    )


def _finder(store: Store) -> observations.Find:
    def find(trial: str, tokens: int, validation: str) -> result.Result | None:
        try:
            value = store.get_json(result.key(trial, tokens, validation))
        except Missing:
            return None
        return result.Result.from_wire(value, result.key(trial, tokens, validation))

    return find


def _arms(spec: SweepSpec) -> list[report.Arm]:
    return [
        report.Arm(
            name=arm.name,
            corpus=arm.corpus,
            source=(arm.init.arm or arm.init.uri) if arm.init else None,
            replay_corpus=arm.replay.corpus if arm.replay else None,
            replay_ratio=arm.replay.ratio if arm.replay else None,
        )
        for arm in spec.arms
    ]


def _curves(specs: Mapping[plan.Key, TrialSpec], store: Store) -> dict[Any, Any]:
    found: dict[tuple[str, str, int, str], tuple[curves.Record, ...]] = {}
    for key, spec in specs.items():
        for branch, records in curves.read(store, spec.id).items():
            found[key.arm, key.size, key.seed, branch] = records
    return found


def _manifest(attempt: Attempt, spec: SweepSpec) -> str:
    value = {
        "apiVersion": "scalingsweep.dev/v1alpha1",
        "kind": "ScalingSweep",
        "metadata": {"name": attempt.sweep},
        "spec": spec.to_wire(),
    }
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True)


def _draws(one: Fit) -> dict[str, dict[str, list[float]]]:
    """Arm → role → its first resamples, for the report's bands; fit.json stays without them."""
    count = len(one.draws)
    return {
        arm: {
            role: np.broadcast_to(getattr(one.surfaces(arm), role), count)[:_DRAWS].tolist()
            for role in one.law.roles
        }
        for arm in one.arms
    }


def _summary(
    found: analysis.Analysis, rows: Sequence[Any], missing: Sequence[str], address: str
) -> FitSummary:
    warnings = [text for one in found.fits for text in one.warnings]
    laws = [_law(one) for one in found.fits]
    while True:
        summary = FitSummary(
            observations=len(rows),
            missing=len(missing),
            laws=tuple(laws),
            report=address,
            warnings=tuple(
                text[:_SUMMARY_WARNING_LENGTH]
                for text in (*found.notes, *warnings)[:_SUMMARY_WARNINGS]
            ),
        )
        if not laws or len(summary.model_dump_json(by_alias=True)) <= _SUMMARY_BYTES:
            return summary
        laws.pop()  # the first laws are the ones that count; all are in fit.json


def _law(one: Fit) -> FittedLaw:
    return FittedLaw(
        name=one.law,
        arms=one.arms,
        parameters=tuple(
            FittedParameter(
                name=name,
                value=_short(found.estimate.value),
                low=_short(found.estimate.low),
                high=_short(found.estimate.high),
            )
            for name, found in one.parameters.items()
        ),
    )


def _short(value: float | None) -> float | None:
    # six digits are more than any interval leaves; the whole numbers are in fit.json
    return None if value is None else float(f"{value:.6g}")
