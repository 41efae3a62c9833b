"""Records tests/data/trace.json: what happened to the work of a real study, and what was decided.

    python tests/support/record.py tests/data/trace.json

It is `scalingsweep run` itself with its own trainer, S3 server and processes, on real text. Faults
befall some attempts, each at a named step. Written down is what either shell can see: when, how
the process of an attempt went and which outcome it left; and beside it what `decide` answered.
`tests/core/test_trace.py` replays it through both shells.
"""

import dataclasses
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS))

from scalingsweep import decide  # noqa: E402
from scalingsweep.api.outcome import Outcome  # noqa: E402
from scalingsweep.world import Decision, Observed  # noqa: E402
from scalingsweep_cli import main as command  # noqa: E402
from scalingsweep_cli.local import ending, journal, runner, session  # noqa: E402
from scalingsweep_cli.local.ending import Told  # noqa: E402
from scalingsweep_cli.local.study import WORKER, Study  # noqa: E402
from support import texts, traces  # noqa: E402

FAULTS = {
    "source/xs/0 1": "Diverged@step:7",
    "source/s/0 1": "kill@step:20",
    "scratch/s/0 1": "OutOfMemory@step:5",
    "cpt/m/0 1": "term@step:40",
    "scratch/s/0 2": "hang@step:60",
    "scratch/xs/0 1": "Diverged@step:7",
}
"""What befalls an attempt, by work and number."""


def manifest() -> dict[str, Any]:
    """A study that fits a cluster and, embedded, one machine: three sizes, three arms."""
    common = {
        "format": "text",
        "groupBy": "file",
        "validation": {"fraction": 0.1, "maxTokens": 3000},
    }
    shape = {"layers": 1, "heads": 2}
    widths = {"xs": 8, "s": 16, "m": 32}
    spec = {
        "corpora": [{"name": n, "uri": f"s3://texts/{n}/", **common} for n in ("en", "py")],
        "tokenizer": {"train": {"vocabSize": 300, "corpora": ["en", "py"]}},
        "model": {
            "contextLength": 32,
            "sizes": [
                {"name": name, "hiddenSize": width, "intermediateSize": 4 * width, **shape}
                for name, width in widths.items()
            ],
        },
        "arms": [
            {"name": "source", "corpus": "en", "budgets": {"tokens": ["25k"]}},
            {"name": "scratch", "corpus": "py"},
            {"name": "cpt", "corpus": "py", "init": {"arm": "source"}},
        ],
        "budgets": {"tokens": ["8k", "12k", "18k", "25k"]},
        "training": {
            "batchTokens": {"value": 256},
            "learningRate": {"value": 0.005},
            "schedule": {"warmup": {"tokens": 2560}},
            "precision": "fp32",
        },
        "resources": [
            {"gpusPerNode": 1, "gpuResource": "nvidia.com/gpu", "accelerator": "CPU", "cpu": 1}
        ],
        "parallelTrialCount": 2,
        "maxFailedTrialCount": 1,
        "onMaxFailed": "Stop",
        "retry": {"limit": 2, "backoffSeconds": 1},
        "fit": {"bootstrap": 100, "identifiability": "Warn"},
        "storage": {"s3": {"bucket": "studies", "credentialsSecret": "s3"}},
    }
    return {
        "apiVersion": "scalingsweep.dev/v1alpha1",
        "kind": "ScalingSweep",
        "metadata": {"name": "trace", "namespace": "research"},
        "spec": spec,
    }


class Recorder:
    """Stands in the runner's clock, in front of `decide`, and beside what judges an end."""

    def __init__(self) -> None:
        self.points: list[dict[str, Any]] = []
        self._events: list[dict[str, Any]] = []
        self._now = self._first = int(time.time())
        self._numbers: dict[str, int] = {}
        self._decide, self._judge = decide.decide, ending.judge

    def now(self) -> float:
        """One look has one time, in whole seconds as a cluster counts them."""
        return self._now

    def sleep(self, seconds: float) -> None:
        """Let time pass, which only happens between two looks."""
        time.sleep(seconds)
        self._now = int(time.time())

    def decide(self, observed: Observed, now: float) -> Decision:
        """Decide, and write down what is new."""
        decision = self._decide(observed, now)
        told = traces.decision(decision)
        if self._events or not self.points or self.points[-1]["decision"] != told:
            at = int(now) - self._first
            self.points.append({"at": at, "events": self._events, "decision": told})
            self._events = []
        return decision

    def judge(self, path: Path, status: int, told: Told) -> Outcome:
        """Judge, and write down on what grounds."""
        outcome = self._judge(path, status, told)
        self._events.append(
            {
                "work": journal.name(told.work),
                "status": status,
                "outcome": path.read_text() if path.exists() else None,
                "class": str(outcome.klass),
            }
        )
        return outcome


def record(folder: Path) -> dict[str, Any]:
    """Run the study in a folder; raises AssertionError when it does not end well."""
    texts.write(folder)
    (folder / "sweep.yaml").write_text(yaml.safe_dump(manifest()))
    recorder = Recorder()
    whole, run = runner.Runner, session.run

    def with_faults(study: Study, **options: Any) -> int:
        worker = (sys.executable, str(Path(__file__).resolve()), "--work")
        return run(dataclasses.replace(study, worker=worker), **options)

    def watched(*given: Any, **named: Any) -> runner.Runner:
        return whole(*given, **named, now=recorder.now, sleep=recorder.sleep)

    # of this process alone
    session.run = with_faults
    setattr(session, "Runner", watched)  # noqa: B010 - the name is its own import
    decide.decide = recorder.decide
    ending.judge = recorder.judge
    corpora = [f"--corpus={name}={folder / name}" for name in ("en", "py")]
    status = command.main(["run", str(folder / "sweep.yaml"), "--embedded", *corpora])
    assert status == 0
    return {"manifest": manifest(), "points": recorder.points}


def work() -> None:
    """Be the real worker, with the fault that is this attempt's."""
    if "SCALINGSWEEP_TRIAL" in os.environ:
        number = json.loads(os.environ["SCALINGSWEEP_ATTEMPT"]).get("number", 1)
        fault = FAULTS.get(f"{traces.work(os.environ['SCALINGSWEEP_TRIAL'])} {number}")
        os.environ |= {"SCALINGSWEEP_FAULT": fault} if fault else {}
    os.execv(WORKER[0], [*WORKER, *sys.argv[2:]])


def main() -> None:
    """Record, or work."""
    if sys.argv[1] == "--work":
        work()
    with tempfile.TemporaryDirectory() as folder:
        trace = record(Path(folder))
    Path(sys.argv[1]).write_text(traces.dump(trace))


if __name__ == "__main__":
    main()
