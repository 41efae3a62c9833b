"""examples/kubernetes on the whole cluster, from `helm install` to a fitted law: about ten minutes.

One study is run, and everything is asked of it: that its two-node trials met, that Prometheus saw
it, that its tables can be read, and that one machine finds the same losses.
"""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hack.cluster.kubectl import Kubectl
from hack.e2e import places, prometheus, stage

from scalingsweep import observations

pytestmark = [
    pytest.mark.cluster_e2e,
    pytest.mark.skipif(os.geteuid() != 0, reason="a node needs root"),
]

NAME = "en-fr"
SPACE = f"--namespace={places.SWEEPS}"
SECONDS = 1800
TWO_NODES = "110k"
SEED_NOISE = 0.05
"""Nats per token: twice what two seeds of such a model differ by."""

Row = Mapping[str, Any]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What could be watched while the study ran; jobs and pods of what is done are removed."""

    jobs: dict[str, dict[str, Any]]
    """PyTorchJobs by name, as they were last."""
    pods: dict[str, dict[str, Any]]
    """Trials' pods by name, as they were last."""
    together: set[str]
    """Jobs whose master and worker ran at the same time."""
    tables: list[str]
    """What `kubectl get scalingtrials` printed."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """A study that is complete."""

    kubectl: Kubectl
    stage: stage.Stage
    seen: Seen

    def status(self) -> dict[str, Any]:
        status: dict[str, Any] = self.kubectl.get("scalingsweep", NAME, SPACE)["status"]
        return status

    def result(self, name: str) -> bytes:
        """One of the study's results, from S3."""
        return self.stage.bucket.store(NAME).get(f"sweeps/{places.SWEEPS}/{NAME}/{name}")


@pytest.fixture(scope="module")
def study(ground: stage.Stage) -> Study:
    kubectl = ground.kubectl
    kubectl("delete", "scalingsweeps", "--all", SPACE, "--ignore-not-found")
    kubectl("apply", SPACE, "-f", str(stage.EXAMPLE))
    return Study(kubectl=kubectl, stage=ground, seen=_watch(kubectl))


@pytest.fixture(scope="module")
def local(study: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of the same manifest on this machine."""
    folder = tmp_path_factory.mktemp("local")
    shutil.copy(stage.EXAMPLE, folder)
    corpora = [f"--corpus={name}={study.stage.text / name}" for name in ("en", "fr")]
    command = [sys.executable, "-m", "scalingsweep_cli.main", "run", "sweep.yaml", "--embedded"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run([*command, *corpora], cwd=folder, check=True, timeout=SECONDS, env=environment)
    return folder / ".scalingsweep" / "sweeps" / NAME


def _watch(kubectl: Kubectl) -> Seen:
    """Look until it ends, as a person would."""
    seen = Seen(jobs={}, pods={}, together=set(), tables=[])
    ends = time.monotonic() + SECONDS
    while time.monotonic() < ends:
        seen.tables.append(kubectl("get", "scalingtrials", SPACE))
        pods = _listed(kubectl, "pods")
        seen.jobs.update(_listed(kubectl, "pytorchjobs"))
        seen.pods.update(pods)
        seen.together.update(_together(pods))
        conditions = _conditions(kubectl.get("scalingsweep", NAME, SPACE).get("status", {}))
        if "True" in {conditions.get("Complete"), conditions.get("Failed")}:
            break
        time.sleep(1)
    kubectl("wait", f"scalingsweep/{NAME}", SPACE, "--for=condition=Complete", "--timeout=5s")
    return seen


def _listed(kubectl: Kubectl, kind: str) -> dict[str, dict[str, Any]]:
    items = kubectl.get(kind, SPACE, "--selector=scalingsweep.dev/role=trial")["items"]
    return {each["metadata"]["name"]: each for each in items}


def _together(pods: dict[str, dict[str, Any]]) -> Iterator[str]:
    running: dict[str, set[str]] = {}
    for pod in pods.values():
        if pod["status"]["phase"] == "Running":
            labels = pod["metadata"]["labels"]
            replica = labels["training.kubeflow.org/replica-type"]
            running.setdefault(labels["training.kubeflow.org/job-name"], set()).add(replica)
    return (job for job, replicas in running.items() if replicas == {"master", "worker"})


def _conditions(status: dict[str, Any]) -> dict[str, str]:
    return {each["type"]: each["status"] for each in status.get("conditions", [])}


def _rows(text: str) -> dict[tuple[str, str, int], Row]:
    rows, _ = observations.from_csv(text, "observations.csv")
    return {(row["arm"], row["size"], row["D"]): row for row in rows}


def test_it_is_complete_and_fitted(study: Study) -> None:
    status = study.status()
    conditions = _conditions(status)
    for name, value in {"Planned": "True", "Fitted": "True", "Failed": "False"}.items():
        assert conditions[name] == value
    assert status["progress"] == "9/9"
    assert status["fit"]["observations"] == 21
    assert status["fit"]["report"].startswith(f"s3://studies/{NAME}/sweeps/")
    assert {law["name"] for law in status["fit"]["laws"]} >= {"chinchilla"}


def test_the_results_are_in_the_bucket(study: Study) -> None:
    assert b"<html" in study.result("report.html")[:200]
    fits = json.loads(study.result("fit.json"))["fits"]
    assert {"scratch", "cpt"} in [set(fit["arms"]) for fit in fits]
    assert len(_rows(study.result("observations.csv").decode())) == 21


def test_two_replicas_met(study: Study) -> None:
    """torchrun starts no rank before all nodes have met: a master alone is never done."""
    trials = study.kubectl.get("scalingtrials", SPACE)["items"]
    wide = [each for each in trials if each["spec"]["size"] == TWO_NODES]
    assert len(wide) == 3
    for trial in wide:
        last = trial["status"]["attempts"][-1]
        assert last["class"] == "Done"
        name = f"{trial['metadata']['name']}-a{last['number']}"
        replicas = study.seen.jobs[name]["spec"]["pytorchReplicaSpecs"]
        assert {kind: replicas[kind]["replicas"] for kind in replicas} == {"Master": 1, "Worker": 1}
        assert name in study.seen.together


def test_every_pod_asked_for_a_gpu_and_kept_to_the_restricted_standard(study: Study) -> None:
    assert len(study.seen.pods) >= 6 + 3 * 2
    for pod in study.seen.pods.values():
        (container,) = pod["spec"]["containers"]
        assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
        assert container["securityContext"]["readOnlyRootFilesystem"]
        assert pod["spec"]["securityContext"]["runAsNonRoot"]
        assert not pod["spec"]["automountServiceAccountToken"]


def test_one_machine_finds_the_same(study: Study, local: Path) -> None:
    there = study.result("observations.csv").decode()
    here = (local / "observations.csv").read_text()
    one_rank = [
        [line for line in text.splitlines() if f",{TWO_NODES}," not in line]
        for text in (there, here)
    ]
    assert len(one_rank[0]) == 1 + 14
    assert one_rank[0] == one_rank[1]
    at_two, at_one = _rows(there), _rows(here)
    assert at_two.keys() == at_one.keys()
    wide = [key for key in at_two if key[1] == TWO_NODES]
    assert len(wide) == 7
    for key in wide:
        for loss in ("loss_en", "loss_fr"):
            assert at_two[key][loss] == pytest.approx(at_one[key][loss], abs=SEED_NOISE)


def test_prometheus_saw_operator_and_trainers(study: Study) -> None:
    (reconciles,) = prometheus.ask('sum(scalingsweep_reconciles_total{job="operator"})')
    assert float(reconciles["value"][1]) >= 9
    (calls,) = prometheus.ask('sum(scalingsweep_api_calls_total{code="201"})')
    assert float(calls["value"][1]) >= 9  # at least one create a trial
    losses = prometheus.ask('min_over_time(scalingsweep_trial_loss{job="trainers"}[1h])')
    assert len(losses) >= 6
    assert all(1 < float(series["value"][1]) < 8 for series in losses)


def test_the_tables_can_be_read(study: Study) -> None:
    sweeps = study.kubectl("get", "scalingsweeps", SPACE).splitlines()
    assert sweeps[0].split() == [
        "NAME",
        "PHASE",
        "PROGRESS",
        "RUNNING",
        "FAILED",
        "GPU-HOURS",
        "AGE",
    ]
    row = dict(zip(sweeps[0].split(), sweeps[1].split(), strict=True))
    assert row["NAME"] == NAME
    assert row["PROGRESS"] == "9/9"
    assert float(row["GPU-HOURS"]) > 0
    trials = study.kubectl("get", "scalingtrials", SPACE).splitlines()
    assert len(trials) == 10
    assert all("Succeeded" in line for line in trials[1:])
    # while it ran, some line had a loss and a speed
    live = [line.split() for table in study.seen.tables for line in table.splitlines()]
    assert any("Running" in line and len(line) >= 7 for line in live)


def test_uninstalling_keeps_definitions_and_the_study(study: Study) -> None:
    """The last one: afterwards nothing serves the study."""
    there = f"--namespace={places.CONTROL}"
    # in the foreground, or Helm does not wait for the pod
    study.stage.helm("uninstall", places.CONTROL, there, "--wait", "--cascade=foreground")
    assert study.status()["progress"] == "9/9"
    assert len(study.kubectl.get("scalingtrials", SPACE)["items"]) == 9
    left = study.kubectl("get", "all", there, "--output=name")
    assert left == ""
    assert study.result("report.html")
