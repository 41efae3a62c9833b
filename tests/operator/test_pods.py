"""Templates, what is refused in them, and what the worker reads of the result."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalingsweep.api.attempt import Attempt
from scalingsweep.api.prepared import Prepared
from scalingsweep.api.running import Resources
from scalingsweep.api.sweep import SweepSpec
from scalingsweep.api.trial import TrialSpec
from scalingsweep.errors import SpecError
from scalingsweep_operator import contract, names, pods
from support import pods as small

WORKER = "pytorch"


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Kubelet's own: Expand of k8s.io/kubernetes/third_party/forked/golang/expansion, 1.36."""
    out, at = "", 0
    while at < len(text):
        here, rest = text[at], text[at + 1 :]
        if here != "$" or not rest:
            out, at = out + here, at + 1
        elif rest[0] == "$":
            out, at = out + "$", at + 2
        elif rest[0] == "(":
            name, closed, _ = rest[1:].partition(")")
            if closed:
                out += variables.get(name, f"$({name})")
                at += len(name) + 3
            else:
                out, at = out + "$(", at + 2
        else:
            out, at = out + "$" + rest[0], at + 2
    return out


def environment(template: Any, ip: str = "10.1.2.3") -> dict[str, str]:
    """What the process finds, as kubelet resolves a container's list from top to bottom."""
    found: dict[str, str] = {}
    for each in pods.container(template)["env"]:
        if "value" in each:
            found[each["name"]] = expand(each["value"], found)
        elif "fieldRef" in each["valueFrom"]:
            found[each["name"]] = ip
    return found


def test_the_worker_reads_what_it_is_told() -> None:
    spec = small.spec()
    read = {role: environment(small.template(role, spec)) for role in small.ROLES}
    trial = TrialSpec.from_wire(json.loads(read["trial"]["SCALINGSWEEP_TRIAL"]))
    assert trial == small.trial()
    for role in ("prepare", "fit"):
        assert SweepSpec.from_wire(json.loads(read[role]["SCALINGSWEEP_SPEC"])) == spec
    Prepared.from_wire(json.loads(read["fit"]["SCALINGSWEEP_PREPARED"]))
    attempt = Attempt.from_wire(json.loads(read["trial"]["SCALINGSWEEP_ATTEMPT"]))
    assert attempt == Attempt(
        sweep="small",
        namespace="default",
        number=1,
        storage=spec.storage.s3,  # type: ignore[union-attr]
        device="cuda",
        processes=4,
        threads=2,
        accelerator="H100",
        grace_seconds=120,
        port=8081,
        host="10.1.2.3",
    )
    assert read["trial"]["SCALINGSWEEP_OUTCOME"] == "/dev/termination-log"


@pytest.mark.parametrize("ip", ["10.1.2.3", "fd00::7"])
def test_dollars_of_a_manifest_reach_the_worker_as_they_are(ip: str) -> None:
    hostile = 'x $(POD_IP) $$(POD_IP) $$ $( ${A} "$'
    spec = small.spec(prefix="$(POD_IP)/$$x")
    spec = spec.model_copy(
        update={"fit": spec.fit.model_validate({"exclude": [{"trial": "a/b", "reason": hostile}]})}
    )
    read = environment(small.template("prepare", spec), ip)
    told = SweepSpec.from_wire(json.loads(read["SCALINGSWEEP_SPEC"]))
    assert told.fit.exclude[0].reason == hostile
    attempt = Attempt.from_wire(json.loads(read["SCALINGSWEEP_ATTEMPT"]))
    assert (attempt.host, attempt.storage.prefix) == (ip, "$(POD_IP)/$$x")


@given(text=st.text(alphabet="$()AP_", max_size=24))
def test_a_literal_is_what_kubelet_hands_over(text: str) -> None:
    assert expand(contract.literal(text), {"A": "no", "P": "no"}) == text


def test_templates_are_not_handed_to_the_worker() -> None:
    spec = small.spec({"metadata": {"annotations": {"x": "y" * 200_000}}})
    told = environment(small.template("prepare", spec))["SCALINGSWEEP_SPEC"]
    assert len(told) < 4000
    assert "podTemplate" not in told


def test_a_spec_that_no_process_can_be_handed_is_refused() -> None:
    spec = small.spec()
    reasons = [{"trial": "💧" * 128, "reason": "💧" * 256}] * 64
    long = spec.model_copy(update={"fit": spec.fit.model_validate({"exclude": reasons})})
    contract.prepare(long)  # 98 kB: within the limit
    corpora = [spec.corpora[0].model_copy(update={"uri": "💧" * 1024})] * 16
    with pytest.raises(SpecError, match="no process can be handed more than 131,072"):
        contract.prepare(long.model_copy(update={"corpora": tuple(corpora)}))


def test_only_trials_ask_for_gpus() -> None:
    spec = small.spec()
    worker = pods.container(small.template("trial", spec))
    asked = {"cpu": "8", "memory": "16Gi", "nvidia.com/gpu": "4"}
    assert worker["resources"] == {"limits": asked, "requests": asked}
    for role in ("prepare", "fit"):
        template = small.template(role, spec)
        assert pods.container(template)["resources"] == {"requests": {"cpu": "1"}}
        assert "tolerations" not in template["spec"]


def test_gpus_are_tolerated_by_their_own_name() -> None:
    own = Resources(gpus_per_node=1, gpu_resource="amd.com/gpu")
    spec = small.spec({"spec": {"tolerations": [{"key": "spot", "operator": "Exists"}]}})
    found = small.template("trial", spec, own)["spec"]["tolerations"]
    assert [each["key"] for each in found] == ["amd.com/gpu", "spot"]


@pytest.mark.parametrize("written", ["CPU", "cpu"])
def test_gpus_may_be_asked_for_and_left_alone(written: str) -> None:
    own = Resources(gpus_per_node=2, accelerator=written, cpu=1)
    template = small.template("trial", small.spec(), own)
    attempt = json.loads(environment(template)["SCALINGSWEEP_ATTEMPT"])
    assert (attempt.get("device", "cpu"), attempt["processes"]) == ("cpu", 2)
    assert "accelerator" not in attempt
    assert pods.container(template)["resources"]["limits"]["nvidia.com/gpu"] == "2"


def test_keys_are_references_or_nothing() -> None:
    env = pods.container(small.template("trial", small.spec()))["env"]
    keys = {each["name"]: each for each in env if each["name"].startswith("AWS_")}
    assert {k: v["valueFrom"]["secretKeyRef"]["optional"] for k, v in keys.items()} == {
        "AWS_ACCESS_KEY_ID": False,
        "AWS_SECRET_ACCESS_KEY": False,
        "AWS_SESSION_TOKEN": True,
    }
    assert {each["valueFrom"]["secretKeyRef"]["name"] for each in keys.values()} == {"s3"}
    without = pods.container(small.template("trial", small.spec(credentialsSecret=None)))["env"]
    assert not any(each["name"].startswith("AWS_") for each in without)


def test_the_service_account_s_token_is_mounted_for_those_who_ask() -> None:
    """A cloud's rights come with a token of its own, whatever this says."""
    named = small.template("fit", small.spec({"spec": {"serviceAccountName": "me"}}))["spec"]
    assert named["serviceAccountName"] == "me"
    assert named["automountServiceAccountToken"] is False
    asked = small.spec({"spec": {"automountServiceAccountToken": True}})
    assert small.template("fit", asked)["spec"]["automountServiceAccountToken"] is True


def test_a_rules_memory_is_not_cut_by_the_template_of_all_pods() -> None:
    """It gives prepare and fit what a quota asks for; trials have a rule, and a template."""

    def memory(role: str, rule: str | None, trial: dict[str, Any]) -> tuple[Any, Any]:
        asked = {"limits": {"memory": "8Gi"}, "requests": {"memory": "8Gi", "cpu": "100m"}}
        every = {"spec": {"containers": [{"name": WORKER, "resources": asked}]}}
        made = small.template(role, small.spec(every, trial), Resources(cpu=4, memory=rule))
        found = pods.container(made)["resources"]
        assert found["requests"]["cpu"] == "100m", "a rule always has some"
        return found["limits"]["memory"], found["requests"]["memory"]

    own = {"limits": {"memory": "16Gi"}, "requests": {"memory": "12Gi"}}
    over = {"spec": {"containers": [{"name": WORKER, "resources": own}]}}
    assert memory("fit", "64Gi", {}) == ("8Gi", "8Gi")
    assert memory("trial", "64Gi", {}) == ("64Gi", "64Gi")
    assert memory("trial", None, {}) == ("8Gi", "8Gi")
    assert memory("trial", "64Gi", over) == ("16Gi", "12Gi")


def test_the_attempt_has_the_pod_s_own_grace() -> None:
    spec = small.spec({"spec": {"terminationGracePeriodSeconds": 300}})
    told = environment(small.template("trial", spec))["SCALINGSWEEP_ATTEMPT"]
    assert json.loads(told)["graceSeconds"] == 300


def test_trials_have_a_template_of_their_own() -> None:
    def image(name: str) -> Any:
        return {"spec": {"containers": [{"name": WORKER, "image": name}]}}

    def found(role: str, spec: SweepSpec) -> str:
        return str(pods.container(small.template(role, spec))["image"])

    assert found("trial", small.spec()) == "localhost/worker:1"
    assert found("trial", small.spec(image("all"))) == "all"
    assert found("trial", small.spec(image("all"), image="trials")) == "trials"
    assert found("fit", small.spec(image("all"), image="trials")) == "all"
    assert found("trial", small.spec(image("all"), image("own"), image="trials")) == "own"


def test_trials_have_no_probes() -> None:
    worker = pods.container(small.template("trial", small.spec()))
    assert not [key for key in worker if "robe" in key]


def test_labels_are_ours_and_the_users() -> None:
    spec = small.spec({"metadata": {"labels": {"team": "x"}}})
    assert small.template("trial", spec)["metadata"]["labels"] == {
        names.SWEEP: "small",
        names.ROLE: "trial",
        names.ATTEMPT: "1",
        "team": "x",
    }


def _worker(**fields: Any) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": WORKER, **fields}]}}


OURS = {
    "command": _worker(command=None),
    "args": _worker(args=["x"]),
    "terminationMessagePath": _worker(terminationMessagePath="/x"),
    "terminationMessagePolicy": _worker(terminationMessagePolicy="FallbackToLogsOnError"),
    "readinessProbe": _worker(readinessProbe={}),
    "livenessProbe": _worker(livenessProbe={}),
    "startupProbe": _worker(startupProbe={}),
    "containers[pytorch].restartPolicy": _worker(restartPolicy="Always"),
    **{
        f"env[{name}]": _worker(env=[{"name": name, "value": "1"}])
        for name in (
            *("SCALINGSWEEP_FAULT", "SCALINGSWEEP_OUTCOME", "PET_NNODES", "MASTER_ADDR", "RANK"),
            *("WORLD_SIZE", "POD_IP", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
            "AWS_SESSION_TOKEN",
        )
    },
    "limits[nvidia.com/gpu]": _worker(resources={"limits": {"nvidia.com/gpu": 1}}),
    "requests[nvidia.com/gpu]": _worker(resources={"requests": {"nvidia.com/gpu": 1}}),
    "spec.restartPolicy": {"spec": {"restartPolicy": "Always"}},
    "activeDeadlineSeconds": {"spec": {"activeDeadlineSeconds": 5}},
    "hostNetwork": {"spec": {"hostNetwork": True}},
    "hostPID": {"spec": {"hostPID": 1}},
    "labels[scalingsweep.dev/sweep]": {"metadata": {"labels": {names.SWEEP: None}}},
    "labels[training.kubeflow.org/job-name]": {
        "metadata": {"labels": {"training.kubeflow.org/job-name": "x"}}
    },
    "labels[kueue.x-k8s.io/queue-name]": {
        "metadata": {"labels": {"kueue.x-k8s.io/queue-name": "q"}}
    },
    "metadata.finalizers": {"metadata": {"finalizers": ["x"]}},
    "podTemplate.template": {"template": {}},
    "containers[side].readinessProbe": {
        "spec": {"containers": [{"name": "side", "readinessProbe": {}}]}
    },
    "runAsUser": {"spec": {"securityContext": {"runAsUser": 0}}},
    "containers[pytorch].securityContext": _worker(securityContext={"runAsUser": 0}),
    "terminationGracePeriodSeconds": {"spec": {"terminationGracePeriodSeconds": 0}},
    "serviceAccountName": {"spec": {"serviceAccountName": 3}},
}


@pytest.mark.parametrize("field", OURS)
@pytest.mark.parametrize("place", ["spec.podTemplate", "spec.trialTemplate.podTemplate"])
def test_what_is_ours_is_refused_by_name(field: str, place: str) -> None:
    first = place == "spec.podTemplate"
    spec = small.spec(OURS[field] if first else None, None if first else OURS[field])
    with pytest.raises(SpecError) as error:
        small.template("trial", spec)
    assert field in error.value.field
    assert error.value.field.startswith(place)


@pytest.mark.parametrize(
    "pod",
    [
        {"spec": {"hostNetwork": False, "hostIPC": True}},
        {"spec": {"securityContext": {"runAsUser": 1000, "runAsNonRoot": None}}},
        {"spec": {"securityContext": {"runAsUser": 0, "runAsNonRoot": False}}},
        _worker(securityContext={"privileged": True}),
        _worker(env=[{"name": "NCCL_DEBUG", "value": "INFO"}]),
        _worker(resources={"limits": {"rdma/hca": 1}}),
        {"spec": {"priorityClassName": "low", "nodeSelector": {"a": "b"}}},
    ],
)
def test_what_pod_security_judges_is_left_to_it(pod: Any) -> None:
    small.template("trial", small.spec(pod))


def test_keys_may_be_given_where_no_secret_is() -> None:
    own = _worker(env=[{"name": "AWS_ACCESS_KEY_ID", "value": "k"}])
    small.template("trial", small.spec(own, credentialsSecret=None))


FIELDS = [
    *("metadata", "spec", "labels", "containers", "initContainers", "volumes", "tolerations"),
    *("env", "ports", "name", "securityContext", "$patch", "pytorch", "resources", "limits"),
    *("terminationGracePeriodSeconds", "serviceAccountName", "runAsUser", "hostNetwork", "x"),
]
SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=4)
ANYTHING = st.recursive(
    SCALARS | st.sampled_from(FIELDS),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=4)
    ),
    max_leaves=25,
)
LIKELY = st.fixed_dictionaries(
    {},
    optional={
        "metadata": ANYTHING,
        "spec": ANYTHING
        | st.fixed_dictionaries(
            {},
            optional={
                "securityContext": ANYTHING,
                "terminationGracePeriodSeconds": ANYTHING,
                "serviceAccountName": ANYTHING,
                "containers": st.lists(
                    st.fixed_dictionaries(
                        {"name": st.just(WORKER) | ANYTHING},
                        optional={
                            "securityContext": ANYTHING
                            | st.fixed_dictionaries({"runAsUser": ANYTHING}),
                            "env": ANYTHING,
                            "resources": ANYTHING,
                            "ports": ANYTHING,
                        },
                    ),
                    max_size=2,
                ),
            },
        ),
    },
)


@given(pod=LIKELY, trial=LIKELY)
def test_whatever_is_given_is_a_pod_or_a_spec_error(pod: Any, trial: Any) -> None:
    base = small.spec()
    own = base.trial_template.model_copy(update={"pod_template": trial})
    spec = base.model_copy(update={"pod_template": pod, "trial_template": own})
    try:
        template = small.template("trial", spec)
    except SpecError as error:
        assert error.field.startswith("spec.")  # noqa: PT017 - or a template comes back
        return
    worker = pods.container(template)
    assert worker["command"] == ["scalingsweep-worker", "trial"]
    assert template["metadata"]["labels"][names.SWEEP] == "small"
    json.dumps(template)
