"""Builders of simulated studies and of the public tables, for the tests of the mathematics."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np

from scalingsweep import laws
from scalingsweep.fit import Table
from scalingsweep.laws import Floats

DATA = Path(__file__).parent.parent / "data"

SCRATCH = laws.Surface(E=1.55, A=420.0, B=719.5, alpha=0.40, beta=0.30)
"""Zheng et al. 2024, table 2."""
CPT = replace(SCRATCH, B=433.3, beta=0.20, gamma=0.08)


def grid(sizes: int, ratios: tuple[float, ...] = (5, 20, 80)) -> tuple[Floats, Floats]:
    """N from 50M to 5B and D = ratio × N, size by size."""
    N = np.repeat(np.geomspace(50e6, 5e9, sizes), len(ratios))
    return N, N * np.tile(ratios, sizes)


def wsd(
    surface: laws.Surface,
    sizes: int,
    rng: np.random.Generator,
    *,
    noise: float = 0.005,
    shared: float = 0.5,
) -> Table:
    """One arm: three branches a trunk, the part `shared` of the noise's variance in the trunk."""
    N, D = grid(sizes)
    trunk = np.repeat(np.arange(sizes), 3)
    z = np.sqrt(shared) * rng.standard_normal(sizes)[trunk]
    z = z + np.sqrt(1 - shared) * rng.standard_normal(len(N))
    return Table.of(N=N, D=D, loss=surface.loss(N, D) * np.exp(noise * z), cluster=trunk.tolist())


def arms(*tables: tuple[str, Table]) -> Table:
    """Several one-arm tables as one."""
    return Table.of(
        N=np.concatenate([t.N for _, t in tables]),
        D=np.concatenate([t.D for _, t in tables]),
        loss=np.concatenate([t.loss for _, t in tables]),
        arm=[name for name, t in tables for _ in range(t.rows)],
        cluster=[int(c) for _, t in tables for c in t.cluster],
    )


def public(name: str) -> list[dict[str, str]]:
    """The rows of a file in tests/data."""
    with (DATA / f"{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


GEMSTONES = {
    "cool_begin": "gemstones_cool_begin_199",
    "cool_end": "gemstones_cool_end_199",
    "hot": "gemstones_hot_220",
    "hot_100b+": "gemstones_hot_100bplus_770",
    "hot_100b+_512x": "gemstones_hot_100bplus_770",
    "hot_120b+_only": "gemstones_hot_100bplus_770",
    "hot_sampled_like_chinchilla": "gemstones_hot_sampled_like_chinchilla_24",
    "lr_ablation_hot": "gemstones_lr_ablation_hot_200",
    "slim_chinchilla": "gemstones_slim_chinchilla_28",
}


def gemstones(subset: str) -> Table:
    """The table of a published fit; its name is explained in tests/data/README.md."""
    base = subset.removesuffix("_no_embeds")
    rows = public(GEMSTONES[base])
    if base == "hot_100b+_512x":
        rows = [r for r in rows if r["width"] == "512"]
    if base == "hot_120b+_only":
        rows = [r for r in rows if float(r["D"]) >= 120e9]
    N = np.array([float(r["N"]) for r in rows])
    if base != subset:
        N -= 50304 * np.array([float(r["width"]) for r in rows])
    return Table.of(N=N, D=[float(r["D"]) for r in rows], loss=[float(r["loss"]) for r in rows])


def kyotakano() -> Table:
    """234 points of the Chinchilla replication that may be used."""
    rows = public("kyotakano_chinchilla")
    return Table.of(
        N=[float(r["N"]) for r in rows],
        D=[float(r["D"]) for r in rows],
        loss=[float(r["loss"]) for r in rows],
    )
