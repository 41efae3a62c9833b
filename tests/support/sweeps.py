"""A sweep on the whole cluster as a person has it: applied, looked at, waited for. For tests/e2e.

The manifests are examples/kubernetes made smaller. Each sweep has a prefix of its own in the
bucket, so that none finds what another, or an earlier run of the same test, has trained.
"""

import dataclasses
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import yaml
from hack.cluster.errors import ClusterError
from hack.e2e import places, stage

from scalingsweep.store import Store

SPACE = f"--namespace={places.SWEEPS}"
_LOCAL_SECONDS = 900
_Found = TypeVar("_Found")

_SMALL: dict[str, Any] = {
    "model": {"contextLength": 128, "sizes": ["27k"]},
    "arms": [{"name": "scratch", "corpus": "fr"}],
    "budgets": {"tokens": ["50k", "100k"]},
    "resources": [{"nodes": 1, "gpusPerNode": 1, "accelerator": "CPU"}],
    "retry": {"backoffSeconds": 1},
    "limits": {"startDeadline": "5m"},
    "fit": {"bootstrap": 100, "identifiability": "Warn"},
}
"""One trial of about ten seconds."""


def manifest(name: str, **changes: Any) -> dict[str, Any]:
    """The example with one size, one arm and one node; `changes` replace fields of its spec."""
    value: dict[str, Any] = yaml.safe_load(stage.EXAMPLE.read_text())
    value["metadata"] = {"name": name}
    value["spec"] |= _SMALL | changes
    return value


def study(name: str, **changes: Any) -> dict[str, Any]:
    """Six trials of one rank, two at a time, the longest of them some ten seconds of training."""
    arms = [
        {"name": "source", "corpus": "en", "budgets": {"tokens": ["100k"]}},
        {"name": "scratch", "corpus": "fr"},
        {"name": "cpt", "corpus": "fr", "init": {"arm": "source"}},
    ]
    given: dict[str, Any] = {
        "model": {"contextLength": 128, "sizes": ["27k", "55k"]},
        "arms": arms,
        "budgets": {"tokens": ["100k", "400k"]},
        "parallelTrialCount": 2,
        "checkpoints": {"everyMinutes": 0.1},
    }
    return manifest(name, **(given | changes))


def alone(folder: Path, text: Path) -> bytes:
    """observations.csv of `study` on this machine, one process a trial and undisturbed."""
    (folder / "sweep.yaml").write_text(yaml.safe_dump(study("alone")))
    corpora = [f"--corpus={name}={text / name}" for name in ("en", "fr")]
    command = [sys.executable, "-m", "scalingsweep_cli.main", "run", "sweep.yaml", "--embedded"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run(
        [*command, *corpora], cwd=folder, check=True, timeout=_LOCAL_SECONDS, env=environment
    )
    return (folder / ".scalingsweep" / "sweeps" / "alone" / "observations.csv").read_bytes()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """One sweep in the namespace of sweeps."""

    ground: stage.Stage
    name: str
    prefix: str = dataclasses.field(default_factory=lambda: f"test-{secrets.token_hex(4)}")

    @property
    def store(self) -> Store:
        """Its part of the bucket."""
        return self.ground.bucket.store(self.prefix)

    def apply(self, given: dict[str, Any]) -> None:
        """`kubectl apply`."""
        given["spec"]["storage"]["s3"]["prefix"] = self.prefix
        self.ground.kubectl("apply", SPACE, "-f", "-", given=given)

    def delete(self) -> None:
        """Delete it, and wait until its pods have gone."""
        kubectl = self.ground.kubectl
        kubectl("delete", f"scalingsweep/{self.name}", SPACE, "--ignore-not-found")
        self.until(lambda: not self.listed("pods"), 300)

    # --- what kubectl shows

    def status(self) -> dict[str, Any]:
        """Its status."""
        found = self.ground.kubectl.get(f"scalingsweep/{self.name}", SPACE)
        status: dict[str, Any] = found.get("status", {})
        return status

    def condition(self, kind: str) -> tuple[str, str, str]:
        """Status, reason and message of a condition."""
        for each in self.status().get("conditions", []):
            if each["type"] == kind:
                return each["status"], each["reason"], each["message"]
        return "", "", ""

    def trials(self) -> dict[str, dict[str, Any]]:
        """Its ScalingTrials, as `arm/size`."""
        return {
            f"{each['spec']['arm']}/{each['spec']['size']}": each
            for each in self.listed("scalingtrials")
        }

    def attempts(self, trial: str) -> list[dict[str, Any]]:
        """What is recorded of the attempts at a trial."""
        found = self.trials().get(trial, {})
        attempts: list[dict[str, Any]] = found.get("status", {}).get("attempts", [])
        return attempts

    def shown(self) -> dict[str, str]:
        """The PHASE column of `kubectl get scalingtrials`, by name."""
        table = self.ground.kubectl("get", "scalingtrials", SPACE, f"--selector={self._label}")
        lines = table.splitlines()
        if not lines:
            return {}
        # it is empty at first, and words would shift: the column is found by the heads' places
        start, end = lines[0].index("PHASE"), lines[0].index("LOSS")
        return {line.split()[0]: line[start:end].strip() for line in lines[1:]}

    def pods(self, role: str = "trial") -> list[dict[str, Any]]:
        """Its pods of a role."""
        return self.listed("pods", f"scalingsweep.dev/role={role}")

    def listed(self, kind: str, *labels: str) -> list[dict[str, Any]]:
        """Its objects of a kind."""
        selector = ",".join((self._label, *labels))
        items: list[dict[str, Any]]
        items = self.ground.kubectl.get(kind, SPACE, f"--selector={selector}")["items"]
        return items

    def observations(self) -> bytes:
        """observations.csv, from the bucket."""
        return self.store.get(f"sweeps/{places.SWEEPS}/{self.name}/observations.csv")

    @property
    def _label(self) -> str:
        return f"scalingsweep.dev/sweep={self.name}"

    # --- what a person waits for

    def until(self, found: Callable[[], _Found], seconds: float) -> _Found:
        """Wait for the first true answer."""
        return until(found, seconds, self._told)

    def complete(self, seconds: float) -> None:
        """Wait until it is complete; that it has failed ends the wait."""
        assert self.ended(seconds) == "Complete", self._told()

    def end(self) -> str:
        """The phase that it has ended in; empty before."""
        phase = str(self.status().get("phase", ""))
        return phase if phase in {"Complete", "Failed"} else ""

    def ended(self, seconds: float) -> str:
        """Wait for its end, and answer with the phase."""
        return self.until(self.end, seconds)

    def tokens(self, trial: str) -> int:
        """What the trainer of a trial says that it has done; 0 where none answers."""
        item = self.trials().get(trial, {"metadata": {"name": ""}})
        name = item["metadata"]["name"]
        return max((self.told(pod) for pod in self.pods() if trial_of(pod) == name), default=0)

    def told(self, pod: dict[str, Any]) -> int:
        """Tokens that a trainer's pod says are done; 0 where it does not answer."""
        if not is_running(pod):
            return 0
        address = f"/api/v1/namespaces/{places.SWEEPS}/pods/{pod['metadata']['name']}"
        try:
            said = self.ground.kubectl("get", f"--raw={address}:8081/proxy/progress")
        except ClusterError:  # it has only just begun, or ends
            return 0
        return int(json.loads(said)["tokens"])

    def _told(self) -> str:
        """All that is known of it, for whoever reads why a test failed."""
        try:
            status = json.dumps(self.status(), indent=1)
            trials = {name: each.get("status", {}) for name, each in self.trials().items()}
        except ClusterError as error:
            return str(error)
        return f"\n{status}\n{json.dumps(trials, indent=1)}"


def until(
    found: Callable[[], _Found], seconds: float, told: Callable[[], str] = lambda: ""
) -> _Found:
    """Wait for the first true answer; an API server that is away is asked again.

    Args:
        found: asks.
        seconds: until it is given up.
        told: what to say then.
    """
    deadline = time.monotonic() + seconds
    said = ""
    while time.monotonic() < deadline:
        try:
            if answer := found():
                return answer
        except ClusterError as error:
            said = str(error)
        time.sleep(0.5)
    raise AssertionError(f"it did not come to that in {seconds:.0f} s: {said}{told()}")


def trial_of(item: dict[str, Any]) -> str:
    """Name of the ScalingTrial that a job or a pod belongs to."""
    return str(item["metadata"]["labels"]["scalingsweep.dev/trial"])


def is_active(pod: dict[str, Any]) -> bool:
    """Whether a pod may still work."""
    return pod["status"]["phase"] in {"Pending", "Running"}


def is_running(pod: dict[str, Any]) -> bool:
    """Whether a pod's container runs, and nobody has told it to leave."""
    statuses = pod["status"].get("containerStatuses", [])
    leaving = "deletionTimestamp" in pod["metadata"]
    return not leaving and any("running" in each["state"] for each in statuses)


def classes(attempts: list[dict[str, Any]]) -> list[str]:
    """How each attempt ended; empty for one that has not."""
    return [each.get("class", "") for each in attempts]
