"""A synthetic study for tests of the report: losses from known laws, with noise, curves and fits.

What `fit` would give is written down here from the same truth, so that a test of the report depends
on no fitter. Nothing here is a result: the numbers are made.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from scalingsweep import laws
from scalingsweep.report import Arm, Study

FRENCH = laws.Surface(E=1.9, A=60.0, B=120.0, alpha=0.33, beta=0.31, gamma=-0.02)
CPT = laws.Surface(E=1.9, A=60.0, B=65.0, alpha=0.33, beta=0.285, gamma=-0.005)
ENGLISH = laws.Surface(E=1.8, A=65.0, B=110.0, alpha=0.34, beta=0.30, gamma=-0.015)
SURFACES = {"source": ENGLISH, "scratch": FRENCH, "cpt": CPT, "cpt-replay": CPT}

ARMS = (
    Arm(name="source", corpus="en"),
    Arm(name="scratch", corpus="fr"),
    Arm(name="cpt", corpus="fr", source="source"),
    Arm(name="cpt-replay", corpus="fr", source="source", replay_corpus="en", replay_ratio=0.1),
)
SIZES = {"100k": 104_448.0, "200k": 203_776.0, "400k": 411_648.0, "800k": 806_912.0}
BUDGETS = (1e6, 2e6, 4e6, 8e6)
NOISE = 0.003


def rows(
    sizes: Mapping[str, float] = SIZES,
    budgets: Sequence[float] = BUDGETS,
    arms: Sequence[Arm] = ARMS,
    seeds: Sequence[int] = (0,),
) -> tuple[dict[str, Any], ...]:
    """Rows of observations.csv for the whole grid, in its order."""
    rng = np.random.default_rng(0)
    return tuple(
        _row(arm, label, N, seed=seed, D=D, longest=max(budgets), rng=rng)
        for arm in arms
        for label, N in sizes.items()
        for seed in seeds
        for D in (budgets if arm.name != "source" else (max(budgets),))
    )


def _row(
    arm: Arm,
    label: str,
    N: float,
    *,
    seed: int,
    D: float,
    longest: float,
    rng: np.random.Generator,
) -> dict[str, Any]:
    ratio = arm.replay_ratio or 0.0
    target = D * (1 - ratio)
    start = float(ENGLISH.loss(N, longest))
    noise = np.exp(NOISE * rng.standard_normal(2))
    own = float(SURFACES[arm.name].loss(N, target)) * noise[0]
    # forgetting: grows with the logarithm of the tokens, and almost vanishes with replay
    rise = (0.9 if ratio == 0 else 0.03) * (1 + 0.15 * np.log2(D / 1e6))
    losses = {
        "en": own if arm.corpus == "en" else (start + rise if arm.source else 6.5) * noise[1],
        "fr": own if arm.corpus == "fr" else 5.5 * noise[1],
    }
    C_source = 6 * N * longest if arm.source else None
    return {
        "arm": arm.name,
        "size": label,
        "seed": seed,
        "N": int(N),
        "N_total": int(N),
        "N_nonembedding": int(N * 0.6),
        "D": int(D),
        "D_target": int(target),
        "D_replayed": int(D - target),
        "D_source": int(longest) if arm.source else None,
        "epochs": D / 2e7,
        "C": 6 * N * D,
        "C_source": C_source,
        "flops": 6.4 * N * D,
        "trial": f"{arm.name}-{label}-{seed}",
        "loss_en": losses["en"],
        "loss_fr": losses["fr"],
        "bpb_en": losses["en"] / np.log(2) / 3.1,
        "bpb_fr": losses["fr"] / np.log(2) / 2.9,
    }


def curves(
    observed: Sequence[Mapping[str, Any]], records: int = 900
) -> dict[tuple[str, str, int, str], tuple[dict[str, Any], ...]]:
    """Step records: a trunk per run to its longest D, and a branch of the last fifth at each D."""
    rng = np.random.default_rng(1)
    found: dict[tuple[str, str, int, str], tuple[dict[str, Any], ...]] = {}
    for row in observed:
        key, surface, N, D = (
            (row["arm"], row["size"], row["seed"]),
            SURFACES[row["arm"]],
            row["N"],
            row["D"],
        )
        tokens = np.linspace(D / records, D, records)
        start = 7.6 if row["D_source"] is None else float(surface.loss(N, D)) + 1.0
        trunk = np.minimum(start, surface.loss(N, tokens) + 0.12)
        found[(*key, "trunk")] = _records(tokens, trunk, rng)
        tokens = np.linspace(0.8 * D, D, records // 5)
        fall = np.linspace(0.12, 0.0, records // 5)
        found[(*key, str(D))] = _records(tokens, surface.loss(N, tokens) + fall, rng)
    return found


def _records(tokens: Any, losses: Any, rng: np.random.Generator) -> tuple[dict[str, Any], ...]:
    noisy = losses * np.exp(0.008 * rng.standard_normal(len(losses)))
    return tuple(
        {"step": place + 1, "tokens": int(at), "loss": float(loss), "lr": 1e-3, "gradNorm": 0.6}
        for place, (at, loss) in enumerate(zip(tokens, noisy, strict=True))
    )


def fit(arms: Sequence[str], *, law: str = "extended", loose: Sequence[str] = ()) -> dict[str, Any]:
    """One object of fit.json that holds the truth, with intervals of about the noise's size."""
    rng = np.random.default_rng(2)
    shared = ("E", "A", "alpha")
    parameters: dict[str, Any] = {}
    noise: dict[str, Any] = {}
    roles = laws.Law(law).roles
    joint = len(arms) > 1
    for role in roles:
        for arm in arms[:1] if role in shared else arms:
            name = f"{role}[{arm}]" if joint and role not in shared else role
            value = float(getattr(SURFACES[arm], role))
            width = 0.001 if role not in {"A", "B"} else 0.01 * value
            parameters[name] = {
                "value": value,
                "low": value - 1.96 * width,
                "high": None if role in loose else value + 1.96 * width,
                "shared": joint and role in shared,
                "atBound": False,
                "identified": role not in loose,
            }
            noise[name] = width * rng.standard_normal(200)
    return {
        "law": law,
        "arms": list(arms),
        "corpus": next(arm.corpus for arm in ARMS if arm.name == arms[0]),
        "objective": {"name": "log-huber", "delta": 1e-3, "value": 1.23456e-4},
        "rows": 16 * len(arms),
        "clusters": 4,
        "dropped": [],
        "parameters": parameters,
        "interval": {"method": "profile-t", "level": 0.95, "samples": 4000},
        "allocation": {arm: _allocation(SURFACES[arm]) for arm in arms},
        "sharing": {"statistic": 1.1, "pvalue": 0.35, "verdict": "fits"} if joint else None,
        "predictions": [],
        "holdOut": {"rows": 6, "meanRelativeError": 0.0041, "coverage": 0.83} if joint else None,
        "warnings": ["4 clusters are few: intervals are by profile likelihood"],
        "data": {"sha256": "0" * 64},
        "versions": {"scalingsweep": "0.1.0"},
        "draws": {
            arm: {
                role: (
                    getattr(SURFACES[arm], role) + noise.get(f"{role}[{arm}]", noise.get(role))
                ).tolist()
                for role in roles
            }
            for arm in arms
        },
    }


def _allocation(surface: laws.Surface) -> dict[str, Any]:
    best = surface.allocation()
    ends = {
        name: {"value": float(at), "low": float(at) * 0.94, "high": float(at) * 1.06}
        for name, at in (("G", best.G), ("a", best.a), ("b", best.b))
    }
    return {**ends, "valid": bool(best.valid), "why": surface.why_no_allocation()}


MANIFEST = """\
apiVersion: scalingsweep.dev/v1alpha1
kind: ScalingSweep
metadata: {name: en-fr}
spec:
  arms:
    - {name: source, corpus: en}
    - {name: scratch, corpus: fr}
    - {name: cpt, corpus: fr, init: {arm: source}}
    - {name: cpt-replay, corpus: fr, init: {arm: source}, replay: {corpus: en, ratio: 0.1}}
"""


def study(**changes: Any) -> Study:
    """The whole study; `changes` replace any of its parts."""
    observed: tuple[Mapping[str, Any], ...] = changes["rows"] if "rows" in changes else rows()
    parts: dict[str, Any] = {
        "name": "en-fr",
        "rows": observed,
        "arms": ARMS,
        "corpora": ("en", "fr"),
        "curves": {} if "curves" in changes else curves(observed),
        "fits": (fit(["scratch", "cpt", "cpt-replay"], loose=["gamma"]),),
        "missing": ("cpt, 800k, seed 0, 16M tokens: its trial has not run",),
        "warnings": ("400k on 1M tokens has 240 steps, fewer than 1,000",),
        "manifest": MANIFEST,
        "versions": {"scalingsweep": "0.1.0", "torch": "2.15.0"},
        "totals": {"trials": 16, "C": 5.1e14, "flops": 5.6e14, "tokens": 1.1e8, "seconds": 780},
    }
    return Study(**{**parts, **changes})
