"""Measure how often 95 % intervals hold the truth, on simulated WSD studies. Prints a table.

    OMP_NUM_THREADS=1 python hack/coverage_study.py --studies 120 --sizes 4,6,8,11

Each study has three branches a trunk (D/N of 5, 20, 80) and noise of 0.5 %, part of it shared in
the trunk. The truth is the paper's scratch law; with --law extended its CPT law. The standard error
of a coverage near 0.95 is 0.02 at 120 studies.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from scalingsweep import fit
from scalingsweep.laws import Law
from support import studies


def measure(sizes: int, args: argparse.Namespace, shared: float) -> None:
    law = Law(args.law)
    truth = studies.CPT if law is Law.EXTENDED else studies.SCRATCH
    names = ("alpha", "beta", "gamma")[: 3 if law is Law.EXTENDED else 2]
    inside = dict.fromkeys(names, 0)
    widths: dict[str, list[float]] = {name: [] for name in names}
    rng = np.random.default_rng(args.seed)
    begin = time.monotonic()
    method = ""
    for k in range(args.studies):
        table = studies.wsd(truth, sizes, rng, shared=shared)
        made = fit.fit(table, law=law, objective=args.objective, bootstrap=args.bootstrap, seed=k)
        method = made.method.value
        for name in names:
            e = made.parameters[name].estimate
            assert e.low is not None
            assert e.high is not None
            inside[name] += e.low <= getattr(truth, name) <= e.high
            widths[name].append(e.high - e.low)
    figures = "  ".join(
        f"{n} {inside[n] / args.studies:.3f} (median width {np.median(widths[n]):.3f})"
        for n in names
    )
    seconds = time.monotonic() - begin
    print(
        f"{sizes:3d} sizes, {shared:.0%} shared, {method}: {figures}  [{seconds:.0f} s]", flush=True
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=120)
    parser.add_argument("--sizes", default="11,8,6,4")
    parser.add_argument("--shared", default="0.5")
    parser.add_argument("--law", default="chinchilla", choices=[law.value for law in Law])
    parser.add_argument("--objective", default="log-huber")
    parser.add_argument("--bootstrap", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    for shared in args.shared.split(","):
        for sizes in args.sizes.split(","):
            measure(int(sizes), args, float(shared))


if __name__ == "__main__":
    main()
