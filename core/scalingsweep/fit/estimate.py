"""From a table to a `Fit`: solve, resample, judge, foretell.

The one entry of the package (`fit.fit`); the trainer's fit and `scalingsweep fit TABLE.csv` call
it. Deterministic for a given seed. BLAS with several threads makes these small products 5.8 times
slower: callers set OMP_NUM_THREADS=1 (and OPENBLAS_NUM_THREADS=1) before numpy is imported.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata

import numpy as np

from scalingsweep.errors import DataError
from scalingsweep.fit import bootstrap, diagnosis, joint, predict, profile, solve
from scalingsweep.fit.objective import Objective
from scalingsweep.fit.predict import Target
from scalingsweep.fit.result import (
    ArmAllocation,
    Estimate,
    Fit,
    HoldOut,
    Method,
    Parameter,
    Prediction,
)
from scalingsweep.fit.solve import Solution
from scalingsweep.fit.table import Table
from scalingsweep.laws import SHARED, Floats, Law, Role
from scalingsweep.logsum import EXPONENTS

LEVEL = 0.95
HELD_OUT_SAMPLES = 1000
"""Resamples of the fit that only measures coverage."""


def fit(
    table: Table,
    *,
    law: Law | str,
    objective: Objective | str = Objective.LOG_HUBER,
    delta: float = 1e-3,
    bootstrap: int = 4000,
    share: Sequence[Role] = SHARED,
    seed: int = 0,
    predict: Sequence[Target] = (),
    hold_out: float | None = None,
    corpus: str = "",
) -> Fit:
    """Fit a law to all arms of a table.

    Args:
        table: the rows.
        law: chinchilla or extended; gamma is then fitted in every arm.
        objective: log-huber, log-mse or mse.
        delta: of the Huber loss, in log loss.
        bootstrap: resamples, also the number of simulations below eight clusters; 0 for no
            intervals.
        share: what all arms have in common; () fits each for itself. One arm has nothing to share.
        seed: of the resampling.
        predict: runs to foretell.
        hold_out: foretell this share of the rows, those of greatest compute, from the others.
        corpus: whose loss it is, for the record.

    Raises:
        DataError: fewer rows than parameters.
    """
    law, objective = Law(law), Objective(objective)
    shared = tuple(share) if len(table.arms) > 1 else ()
    _enough_rows(table, law, shared)
    solution = solve.solve(table, law=law, objective=objective, delta=delta, share=shared)
    rng = np.random.default_rng(seed)
    drawn = _draw(solution, table, bootstrap, rng)
    found = diagnosis.flags(solution, drawn.low, drawn.high)
    parameters = _parameters(solution, drawn, found)
    allocation = {arm: _allocation(solution, drawn, k) for k, arm in enumerate(table.arms)}
    sharing = joint.test_sharing(solution, table, shared) if shared else None
    return Fit(
        law=law,
        arms=table.arms,
        corpus=corpus,
        objective=objective,
        delta=delta,
        value=solution.value,
        rows=table.rows,
        clusters=table.clusters,
        dropped=table.dropped,
        parameters=parameters,
        contrasts=_contrasts(solution, drawn),
        method=drawn.method,
        level=LEVEL,
        samples=len(drawn.theta),
        allocation=allocation,
        sharing=sharing,
        predictions=_predictions(solution, table, drawn, predict, rng),
        hold_out=None if hold_out is None else _hold_out(table, solution, hold_out, bootstrap, rng),
        warnings=diagnosis.warnings(
            table=table,
            solution=solution,
            found=found,
            parameters=parameters,
            allocation=allocation,
            sharing=sharing,
            few_clusters=FEW if drawn.method is not Method.NONE else 0,
        )
        + _invalid_draws(solution, drawn),
        sha256=table.sha256,
        versions={name: metadata.version(name) for name in ("scalingsweep", "numpy", "scipy")},
        table=table,
        solution=solution,
        draws=drawn.theta,
    )


FEW = bootstrap.LEAST_CLUSTERS


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Drawn:
    """Resampled optima, and the ends of theta's own intervals."""

    method: Method
    theta: Floats
    """(samples, P)"""
    low: Floats | None
    high: Floats | None


def _draw(solution: Solution, table: Table, samples: int, rng: np.random.Generator) -> _Drawn:
    P = len(solution.theta)
    if samples == 0:
        return _Drawn(method=Method.NONE, theta=np.empty((0, P)), low=None, high=None)
    if table.clusters >= FEW:
        theta = bootstrap.resample(solution, table, samples, rng)
        tail = (1 - LEVEL) / 2
        low, high = np.quantile(theta, [tail, 1 - tail], axis=0)
        method = Method.BOOTSTRAP_CLUSTERS if table.clustered else Method.BOOTSTRAP_ROWS
        return _Drawn(method=method, theta=theta, low=low, high=high)
    models = profile.models(solution, table)
    ends = np.array([profile.intervals(model, level=LEVEL) for model in models])
    parts = np.array_split(np.arange(samples), len(models))
    theta = np.concatenate(
        [profile.simulate(m, len(p), rng) for m, p in zip(models, parts, strict=True)]
    )
    return _Drawn(
        method=Method.PROFILE_T,
        theta=theta,
        low=np.minimum(ends[:, 0].min(axis=0), solution.theta),
        high=np.maximum(ends[:, 1].max(axis=0), solution.theta),
    )


def _estimate(value: float, draws: Floats) -> Estimate:
    """A number and the quantiles of its finite draws."""
    finite = draws[np.isfinite(draws)]
    clean = value if np.isfinite(value) else None
    if clean is None or finite.size == 0:
        return Estimate(value=clean)
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(finite, [tail, 1 - tail])
    return Estimate(value=clean, low=min(float(low), clean), high=max(float(high), clean))


def _parameters(
    solution: Solution, drawn: _Drawn, found: diagnosis.Flags
) -> Mapping[str, Parameter]:
    """Raw units. Exponents and E take theta's own intervals; A and B, no coordinates, those of the
    draws.
    """
    layout = solution.layout
    out = {}
    for i, (name, role, owner) in enumerate(
        zip(layout.names, layout.roles, layout.owners, strict=True)
    ):
        arm = owner or 0
        value = float(getattr(solution.surface(arm), role))
        if role in ("A", "B") or drawn.low is None or drawn.high is None:
            estimate = _estimate(value, np.asarray(getattr(layout.surface(drawn.theta, arm), role)))
        else:
            ends = np.array([drawn.low[i], drawn.high[i]])
            low, high = (np.exp(ends) if role == "E" else ends).tolist()
            estimate = Estimate(value=value, low=low, high=high)
        out[name] = Parameter(
            estimate=estimate,
            shared=owner is None and len(layout.arms) > 1,
            at_bound=bool(found.at_bound[i]),
            identified=bool(found.identified[i]),
        )
    return out


def _allocation(solution: Solution, drawn: _Drawn, arm: int) -> ArmAllocation:
    surface = solution.surface(arm)
    best = surface.allocation()
    draws = solution.layout.surface(drawn.theta, arm).allocation()
    why = surface.why_no_allocation()
    return ArmAllocation(
        G=_estimate(float(best.G), np.asarray(draws.G)),
        a=_estimate(float(best.a), np.asarray(draws.a)),
        b=_estimate(float(best.b), np.asarray(draws.b)),
        valid=not why,
        why=why,
    )


def _contrasts(solution: Solution, drawn: _Drawn) -> Mapping[str, Estimate]:
    """Each arm's own exponents less the first arm's."""
    layout = solution.layout
    out = {}
    for role in EXPONENTS:
        first = layout.index(role, 0)
        for k in range(1, len(layout.arms)):
            own = layout.index(role, k)
            if first is None or own is None or own == first:
                continue
            name = f"{layout.names[own]}-{layout.names[first]}"
            value = float(solution.theta[own] - solution.theta[first])
            out[name] = _estimate(value, drawn.theta[:, own] - drawn.theta[:, first])
    return out


def _predictions(
    solution: Solution,
    table: Table,
    drawn: _Drawn,
    targets: Sequence[Target],
    rng: np.random.Generator,
) -> tuple[Prediction, ...]:
    if not targets:
        return ()
    spread = predict.spread(table, solution)
    return predict.predictions(solution, drawn.theta, spread, targets, level=LEVEL, rng=rng)


def _hold_out(
    table: Table, solution: Solution, share: float, samples: int, rng: np.random.Generator
) -> HoldOut | None:
    """Fit the rows of lesser compute, foretell the rest; None where too few rows are left."""
    kept = np.zeros(table.rows, dtype=np.bool_)
    for k in range(len(table.arms)):
        rows = np.flatnonzero(table.arm == k)
        order = rows[np.argsort(table.flops[rows], kind="stable")]
        kept[order[: len(order) - max(1, round(len(order) * share))]] = True
    if not predict.foretellable(table, kept, len(solution.theta)):
        return None
    smaller = table.where(kept)
    again = solve.solve(
        smaller,
        law=solution.layout.law,
        objective=solution.problem.objective,
        delta=solution.problem.delta,
        share=predict.shared_roles(solution),
    )
    drawn = _draw(again, smaller, min(samples, HELD_OUT_SAMPLES) or HELD_OUT_SAMPLES, rng)
    spread = predict.spread(smaller, again)
    errors, inside = [], []
    for k in range(len(table.arms)):
        out = ~kept & (table.arm == k)
        N, D, loss = table.N[out], table.D[out], table.loss[out]
        low, high = predict.losses(
            again, drawn.theta, spread, arm=k, N=N, D=D, level=LEVEL, rng=rng
        )
        errors += np.abs(again.surface(k).loss(N, D) / loss - 1).tolist()
        inside += ((low <= loss) & (loss <= high)).tolist()
    return HoldOut(
        rows=len(errors),
        mean_relative_error=float(np.mean(errors)),
        coverage=float(np.mean(inside)),
    )


def _invalid_draws(solution: Solution, drawn: _Drawn) -> tuple[str, ...]:
    """Resamples without an optimum are left out of an allocation's interval, which must be said."""
    out = []
    for k, arm in enumerate(solution.layout.arms):
        valid = np.asarray(solution.layout.surface(drawn.theta, k).allocation().valid)
        part = 1 - float(valid.mean()) if valid.size else 0.0
        if part > (1 - LEVEL) / 2:
            out.append(
                f"{part:.0%} of the resamples of {arm} have no compute-optimal split: "
                "the intervals of G, a and b leave them out"
            )
    return tuple(out)


def _enough_rows(table: Table, law: Law, share: Sequence[Role]) -> None:
    parameters = len(solve.layout_of(table, law=law, share=share).roles)
    if table.rows < parameters:
        raise DataError(
            "table", f"has {table.rows} rows and the {law.value} law {parameters} parameters"
        )
    for k, arm in enumerate(table.arms):
        rows = int((table.arm == k).sum())
        own = sum(role not in share for role in law.roles)
        if rows < own:
            raise DataError(
                f"arm {arm}",
                f"has {rows} rows and {own} parameters of its own in the {law.value} law",
            )
