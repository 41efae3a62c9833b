"""What a real API server makes of crds/: good manifests come back as the same study, statuses and
tables can be read, `kubectl explain` teaches.
"""

import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hack import crds
from hack.cluster.api import Api
from hack.cluster.errors import ClusterError

from scalingsweep import check, identity, manifest, plan, resolve
from scalingsweep.api.prepared import Prepared
from scalingsweep.api.status import SweepStatus
from scalingsweep.api.sweep import ScalingSweep, SweepSpec
from scalingsweep.api.trial import TrialSpec
from support import apiserver, every_field, malformed, manifests
from support.resources import SWEEPS, TRIALS

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).parent.parent.parent
GOOD = every_field.manifests()


def _read(text: str) -> SweepSpec:
    return manifest.parse(text).spec


def _prepared(spec: SweepSpec) -> Prepared:
    """What prepare might answer, with more text than anyone asks for."""
    given = manifests.prepared(tuple(corpus.name for corpus in spec.corpora))
    corpora = tuple(c.model_copy(update={"tokens": 10**14}) for c in given.corpora)
    uris = {arm.init.uri for arm in spec.arms if arm.init and arm.init.uri}
    labels = [size.label for size in plan.make(spec).sizes]
    checkpoints = tuple(
        manifests.checkpoint(uri.replace("{size}", label)) for uri in uris for label in labels
    )
    return given.model_copy(
        update={"corpora": corpora, "vocab_size": spec.tokenizer.size, "checkpoints": checkpoints}
    )


def _ids(spec: SweepSpec) -> dict[str, str]:
    """The id of each trial, as the operator would compute them."""
    check.spec(spec)
    trials = resolve.trials(plan.make(spec), _prepared(spec))
    return {str(key): trial.id for key, trial in trials.items()}


def _for_a_cluster(text: str) -> str:
    """An example of one machine, with its addresses in S3."""
    value = yaml.safe_load(text)
    for corpus in value["spec"]["corpora"]:
        if not corpus["uri"].startswith("s3://"):
            text = text.replace(corpus["uri"], f"s3://corpora/{corpus['name']}/")
    return (
        text if "storage" in value["spec"] else f"{text}\n  storage: {{s3: {{bucket: studies}}}}\n"
    )


EXAMPLES = {
    file.parent.name: file.read_text("utf-8") for file in (ROOT / "examples").glob("*/sweep.yaml")
} | {
    "readme": (ROOT / "README.md").read_text("utf-8").partition("```yaml\n")[2].partition("```")[0]
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_ids_of_an_example_are_those_of_what_kubectl_applied(
    name: str, server: apiserver.Client, api_server: Api, tmp_path: Path
) -> None:
    text = _for_a_cluster(EXAMPLES[name])
    file = tmp_path / "sweep.yaml"
    file.write_text(text, "utf-8")
    kubectl = api_server.kubectl
    for way in ("--server-side=true", "--server-side=false"):
        namespace = f"{name}-{way.partition('=')[2]}"
        kubectl("create", "namespace", namespace)
        kubectl("apply", way, "-f", str(file), *_namespace(text, namespace, file))
        value = kubectl.get("scalingsweeps", f"--namespace={namespace}")["items"][0]
        assert _ids(ScalingSweep.from_wire(value).spec) == _ids(_read(text))


def _namespace(text: str, namespace: str, file: Path) -> tuple[str, ...]:
    """kubectl refuses another namespace than the manifest's own: say it there."""
    own = yaml.safe_load(text)["metadata"].get("namespace")
    if own:
        file.write_text(text.replace(f"namespace: {own}", f"namespace: {namespace}"), "utf-8")
    return (f"--namespace={namespace}",)


@pytest.mark.parametrize("name", GOOD)
def test_ids_survive_every_default_that_the_server_fills_in(
    name: str, server: apiserver.Client
) -> None:
    answer = server.ask("POST", SWEEPS, GOOD[name], dryRun="All")
    assert answer.status == 201, answer.message
    before, after = _read(json.dumps(GOOD[name])), ScalingSweep.from_wire(answer.body).spec
    assert after == before
    assert _ids(after) == _ids(before)
    written = GOOD[name]["spec"]
    if "checkpoints" not in written:
        assert answer.body["spec"]["checkpoints"] == {"everyMinutes": 10, "keepLast": 2}
        assert answer.body["spec"]["training"]["seeds"] == [0]
    if name == "cosine":
        assert "decay" not in answer.body["spec"]["training"]["schedule"]


def test_a_field_that_is_empty_is_one_left_out(server: apiserver.Client) -> None:
    value = every_field.manifests()["flops"]
    for arm in value["spec"]["arms"]:
        arm |= {"init": None, "replay": None}
    value["spec"]["training"]["batchTokens"] |= {"value": None, "bySize": None}
    answer = server.ask("POST", SWEEPS, value, dryRun="All")
    assert answer.status == 201, answer.message
    assert ScalingSweep.from_wire(answer.body).spec == _read(json.dumps(value))


STATUS: dict[str, Any] = {
    "observedGeneration": 3,
    "phase": "Running",
    "progress": "14/66",
    "message": "8 trials run",
    "startTime": "2026-11-23T19:00:00Z",
    "trials": {"planned": 66, "pending": 43, "running": 8, "succeeded": 14, "failed": 1},
    "plan": {"observations": 154, "flops": 6e22, "gpuHours": 4100.5},
    "usage": {"gpuHours": 812.4},
    "prepared": manifests.prepared().to_wire(),
    "preparedFor": "0" * 32,
    "fit": {
        "observations": 42,
        "missing": 112,
        "laws": [
            {
                "name": "extended",
                "arms": ["scratch", "cpt"],
                "parameters": [{"name": "alpha", "value": 0.34, "low": 0.31, "high": 0.37}],
            }
        ],
        "report": "sweeps/default/watched/report.html",
    },
    "conditions": [
        {
            "type": "Complete",
            "status": "False",
            "reason": "Running",
            "message": "8 trials run",
            "observedGeneration": 3,
            "lastTransitionTime": "2026-11-23T19:00:00Z",
        }
    ],
}


def test_a_status_is_shown_and_waited_for(server: apiserver.Client, api_server: Api) -> None:
    value = every_field.manifests()["wsd"]
    value["metadata"]["name"] = "watched"
    created = server.ask("POST", SWEEPS, value | {"status": {"phase": "Complete"}}).body
    assert created.get("status", {}).get("phase") is None, "only the subresource writes it"
    written = SweepStatus.from_wire(STATUS).to_wire()
    answer = server.ask("PUT", f"{SWEEPS}/watched/status", created | {"status": written})
    assert answer.status == 200, answer.message
    assert SweepStatus.from_wire(answer.body["status"]) == SweepStatus.from_wire(STATUS)
    head, row = api_server.kubectl("get", "ssw", "watched").splitlines()
    assert head.split() == ["NAME", "PHASE", "PROGRESS", "RUNNING", "FAILED", "GPU-HOURS", "AGE"]
    assert row.split()[:-1] == ["watched", "Running", "14/66", "8", "1", "812.4"]
    with pytest.raises(ClusterError, match="timed out"):
        api_server.kubectl("wait", "ssw/watched", "--for=condition=Complete", "--timeout=1s")
    answer.body["status"]["conditions"][0]["status"] = "True"
    assert server.ask("PUT", f"{SWEEPS}/watched/status", answer.body).status == 200
    api_server.kubectl("wait", "ssw/watched", "--for=condition=Complete", "--timeout=5s")


@pytest.mark.parametrize(
    ("where", "value"),
    [
        ("phase", "Paused"),
        ("trials.running", -1),
        ("conditions.0.type", "Ready"),
        ("conditions.0.reason", "because"),
        ("prepared.tokenizer", "x"),
    ],
)
def test_a_status_that_is_none_is_refused(where: str, value: Any, server: apiserver.Client) -> None:
    sweep = every_field.manifests()["flops"]
    sweep["metadata"]["name"] = "status"
    server.ask("POST", SWEEPS, sweep)
    current = server.ask("GET", f"{SWEEPS}/status").body
    current["status"] = json.loads(json.dumps(STATUS))
    malformed.put(f"status.{where}", value)(current)
    answer = server.ask("PUT", f"{SWEEPS}/status/status", current)
    assert answer.status == 422
    assert re.sub(r"\.(\d+)", r"[\1]", f"status.{where}") in answer.message


def _trials() -> list[TrialSpec]:
    spec = _read(json.dumps(GOOD["wsd"]))
    cosine = _read(json.dumps(GOOD["cosine"]))
    found = [resolve.trials(plan.make(each), _prepared(each)) for each in (spec, cosine)]
    return [trial for trials in found for trial in trials.values()]


def _trial(spec: TrialSpec) -> dict[str, Any]:
    return {
        "apiVersion": "scalingsweep.dev/v1alpha1",
        "kind": "ScalingTrial",
        "metadata": {"name": f"small-{spec.id[:8]}"},
        "spec": spec.to_wire(),
    }


def test_a_trial_comes_back_with_the_same_id(server: apiserver.Client) -> None:
    trials = _trials()
    kinds = {
        (trial.schedule.type, type(trial.init).__name__, bool(trial.replay)) for trial in trials
    }
    assert kinds == {
        ("wsd", "NoneType", False),
        ("wsd", "InitFromTrial", True),
        ("cosine", "InitFromUri", False),
    }
    for trial in trials:
        answer = server.ask("POST", TRIALS, _trial(trial), dryRun="All")
        assert answer.status == 201, answer.message
        back = TrialSpec.from_wire(answer.body["spec"])
        assert back == trial
        assert identity.trial_id(back) == trial.id


def test_budgets_and_validation_of_a_trial_may_grow_and_nothing_else_changes(
    server: apiserver.Client,
) -> None:
    trial = next(t for t in _trials() if len(t.budgets) == 2)
    created = server.ask("POST", TRIALS, _trial(trial))
    assert created.status == 201, created.message
    path = f"{TRIALS}/{created.body['metadata']['name']}"

    def put(**changes: Any) -> apiserver.Answer:
        spec = created.body["spec"] | changes
        return server.ask("PUT", path, created.body | {"spec": spec}, dryRun="All")

    budgets = created.body["spec"]["budgets"]
    assert put(budgets=[*budgets, budgets[-1] * 2]).status == 200
    validation = created.body["spec"]["validation"]
    assert put(validation=[*validation, "e" * 32], maxEpochs=8).status == 200
    assert "budgets may only be added" in put(budgets=budgets[:1]).message
    assert "validation may only be added" in put(validation=["e" * 32]).message
    for change in ({"seed": 7}, {"arm": "other"}, {"batchSequences": 99}, {"id": "0" * 32}):
        assert "only budgets, validation and maxEpochs may change" in put(**change).message
    schedule = created.body["spec"]["schedule"]
    assert put(schedule=schedule | {"type": "cosine"}).status == 422


def test_the_table_of_trials(server: apiserver.Client, api_server: Api) -> None:
    trial = _trials()[0]
    created = server.ask("POST", TRIALS, _trial(trial) | {"metadata": {"name": "table"}})
    assert created.status == 201, created.message
    progress = {
        "step": 500,
        "steps": 4000,
        "tokens": "256k/2.05M",
        "loss": 4.32,
        "tokensPerSecond": 48_000,
        "mfu": 0.41,
        "eta": "3h12m",
    }
    status = {"phase": "Running", "progress": progress}
    answer = server.ask("PUT", f"{TRIALS}/table/status", created.body | {"status": status})
    assert answer.status == 200, answer.message
    head, row = api_server.kubectl("get", "scalingtrials", "table").splitlines()
    assert head.split() == [
        *("NAME", "ARM", "SIZE", "TOKENS", "PHASE", "LOSS", "TOKENS/S", "MFU", "ETA")
    ]
    assert row.split() == [
        *("table", trial.arm, trial.size, "256k/2.05M", "Running", "4.32", "48000", "0.41", "3h12m")
    ]


def test_explain_teaches(server: apiserver.Client, api_server: Api) -> None:
    kubectl = api_server.kubectl
    arms = kubectl("explain", "scalingsweep.spec.arms")
    for words in ("The ways of training that are compared", "corpus", "replay", "-required-"):
        assert words in arms
    assert "preset: zheng2024, from: 50M" in kubectl("explain", "ssw.spec.model.sizes")
    # every field has words, those of lists too
    fields = [
        line.strip().split()[0]
        for line in kubectl("explain", "scalingsweep.spec", "--recursive").splitlines()
        if "\t<" in line
    ]
    assert len(fields) > 100
    described = json.dumps(api_server.kubectl.get("crd", "scalingsweeps.scalingsweep.dev"))
    assert described.count('"description"') > 150


def test_two_appliers_each_keep_their_arm(api_server: Api, server: apiserver.Client) -> None:
    value = every_field.manifests()["flops"]
    value["metadata"]["name"] = "shared"
    kubectl = api_server.kubectl
    kubectl.apply(value)
    arm = {"name": "theirs", "corpus": "fr"}
    part = value | {"spec": {"arms": [arm]}}
    kubectl("apply", "--server-side", "--field-manager=other", "-f", "-", given=part)
    arms = [arm["name"] for arm in kubectl.get("scalingsweep", "shared")["spec"]["arms"]]
    assert sorted(arms) == ["long", "scratch", "theirs"]


def test_a_server_condition_says_the_schema_is_structural(api_server: Api) -> None:
    found = api_server.kubectl.get("crd", *(f"{k.plural}.scalingsweep.dev" for k in crds.RESOURCES))
    conditions = list(
        itertools.chain(
            *([c["type"] for c in crd["status"]["conditions"]] for crd in found["items"])
        )
    )
    assert conditions.count("Established") == 2
    assert "NonStructuralSchema" not in conditions
