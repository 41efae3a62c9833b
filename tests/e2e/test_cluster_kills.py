"""Five kills at random moments of one study on the whole cluster, and nothing comes of them.

The operator's process, a trainer's, a trainer's pod, the S3 server's process and the API server's:
each once, in an order and at moments that a seed gives.
"""

import dataclasses
import functools
import os
import random
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hack.e2e import blows, places, stage

from support import sweeps
from support.sweeps import SPACE, Sweep

pytestmark = [
    pytest.mark.cluster_long,
    pytest.mark.skipif(os.geteuid() != 0, reason="a node needs root"),
]

NAME = "killed"
SEED = 20261125
SECONDS = 900
TRIALS = 6


@dataclasses.dataclass(slots=True, kw_only=True)
class Hand:
    """Gives the blows, and remembers what they met."""

    sweep: Sweep
    chance: random.Random
    met: dict[str, str] = dataclasses.field(default_factory=dict)
    """By blow: the pod that it met, or what else there was."""

    def blows(self) -> list[Callable[[], None]]:
        """All five, in an order of chance."""
        every = [self.operator, self.trainer, self.pod, self.s3, self.api_server]
        return self.chance.sample(every, len(every))

    def moments(self) -> list[int]:
        """When each is given: as soon as a trial runs while so many are done."""
        return sorted(self.chance.choices(range(TRIALS - 1), k=5))

    def operator(self) -> None:
        self._server("operator")

    def s3(self) -> None:
        self._server("s3")

    def trainer(self) -> None:
        """The process of one that trains; its pod stays and tells nothing."""
        pod = self.sweep.until(self._trainer, SECONDS)
        blows.container(self.sweep.ground.cluster, pod)
        self.met["trainer"] = pod["metadata"]["name"]

    def pod(self) -> None:
        """The whole pod of one that trains, without a grace."""
        pod = self.sweep.until(self._trainer, SECONDS)
        name = pod["metadata"]["name"]
        kubectl = self.sweep.ground.kubectl
        kubectl("delete", f"pod/{name}", SPACE, "--grace-period=0", "--force", "--wait=false")
        self.met["pod"] = name

    def api_server(self) -> None:
        self.sweep.ground.cluster.strike("kube-apiserver")
        self.met["api server"] = "kube-apiserver"

    def _server(self, name: str) -> None:
        pod = servers(self.sweep.ground)[name]
        blows.container(self.sweep.ground.cluster, pod)
        self.met[name] = pod["metadata"]["name"]

    def _trainer(self) -> dict[str, Any]:
        training = [pod for pod in self.sweep.pods() if self.sweep.told(pod) > 0]
        return self.chance.choice(training) if training else {}


def servers(ground: stage.Stage) -> dict[str, dict[str, Any]]:
    """The one pod of the operator and that of S3."""
    found = {}
    for name, space in (("operator", places.CONTROL), ("s3", places.STORAGE)):
        pods = ground.kubectl.get("pods", f"--namespace={space}")["items"]
        (found[name],) = (pod for pod in pods if "deletionTimestamp" not in pod["metadata"])
    return found


def restarts(ground: stage.Stage) -> dict[str, int]:
    return {
        name: pod["status"]["containerStatuses"][0]["restartCount"]
        for name, pod in servers(ground).items()
    }


@pytest.fixture
def sweep(ground: stage.Stage) -> Iterator[Sweep]:
    made = Sweep(ground=ground, name=NAME)
    yield made
    made.delete()


def test_after_five_kills_the_observations_are_those_of_an_undisturbed_run(
    ground: stage.Stage, sweep: Sweep, undisturbed: bytes
) -> None:
    before = restarts(ground)
    hand = Hand(sweep=sweep, chance=random.Random(SEED))
    sweep.apply(sweeps.study(NAME))
    for done, blow in zip(hand.moments(), hand.blows(), strict=True):
        sweep.until(functools.partial(_trains, sweep, done), SECONDS)
        time.sleep(hand.chance.uniform(0, 5))
        blow()
        print(f"{blow.__name__} at {sweep.status().get('progress')}: {hand.met}", flush=True)
    sweep.complete(SECONDS)
    after = restarts(ground)
    assert all(after[name] > before[name] for name in ("operator", "s3"))
    ends = [sweeps.classes(sweep.attempts(trial)) for trial in sweep.trials()]
    assert [classes.count("Done") for classes in ends] == [1] * TRIALS, "nothing is trained twice"
    assert all(classes[-1] == "Done" for classes in ends)
    killed, vanished = _end(sweep, hand.met["trainer"]), _end(sweep, hand.met["pod"])
    assert killed["class"] == "Infrastructure", killed["message"]
    assert vanished["class"] == "Preempted", vanished["message"]
    assert sweep.observations() == undisturbed


def _trains(sweep: Sweep, done: int) -> bool:
    """Whether a trial runs while so many are done."""
    assert not sweep.end(), "it ended before it could be hurt"
    running = any(map(sweeps.is_running, sweep.pods()))
    return running and sweep.status()["trials"]["succeeded"] >= done


def _end(sweep: Sweep, pod: str) -> dict[str, Any]:
    """How the attempt ended that a pod belonged to."""
    trial, number = pod.removesuffix("-master-0").rsplit("-a", 1)
    (found,) = (each for each in sweep.trials().values() if each["metadata"]["name"] == trial)
    (attempt,) = (a for a in found["status"]["attempts"] if a["number"] == int(number))
    return dict(attempt)
