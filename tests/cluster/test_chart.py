"""The chart renders only what is sound, and Helm can install, upgrade and remove it.

The API server here is real, so what it takes is valid; nothing runs. tests/e2e runs it.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hack import crds
from hack.cluster import binaries, helm
from hack.cluster.api import Api
from hack.cluster.errors import ClusterError

from scalingsweep_operator import names, pods
from support import manifests

pytestmark = pytest.mark.cluster

IMAGES = ("--set=image.repository=ours/operator", "--set=worker.image.repository=ours/worker")
EVERYTHING = (
    *IMAGES,
    "--set=metrics.serviceMonitor.enabled=true",
    "--set=metrics.podMonitor.enabled=true",
    "--set=networkPolicy.enabled=true",
    '--set-json=podLabels={"team": "laws"}',
    '--set-json=env=[{"name": "A", "value": "b"}]',
    '--set-json=tolerations=[{"operator": "Exists"}]',
)


def _objects(*arguments: str, release: str = "ss") -> list[dict[str, Any]]:
    target = f"--kube-version={binaries.version('kubernetes')}"
    done = helm.run("template", release, helm.CHART, target, *arguments)
    assert done.returncode == 0, done.stderr
    return [each for each in yaml.safe_load_all(done.stdout) if each]


def _of(objects: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [each for each in objects if each["kind"] == kind]


def _pod(objects: list[dict[str, Any]]) -> dict[str, Any]:
    (deployment,) = _of(objects, "Deployment")
    pod: dict[str, Any] = deployment["spec"]["template"]
    return pod


def test_lint_finds_nothing() -> None:
    done = helm.run("lint", "--strict", helm.CHART, *EVERYTHING)
    assert done.returncode == 0, done.stdout


def test_every_value_is_described() -> None:
    lines = (helm.CHART / "values.yaml").read_text().splitlines()
    schema = json.loads((helm.CHART / "values.schema.json").read_text())["properties"]
    top = [line.split(":")[0] for line in lines if line and not line.startswith((" ", "#"))]
    assert {*top, "global"} == set(schema)
    silent = [
        line
        for before, line in zip(["", *lines], lines, strict=False)
        if ":" in line
        and not line.lstrip().startswith("#")
        and line.rstrip().endswith(('""', "[]", "{}", "true", "false", "1"))
        and not before.strip()
    ]
    assert silent == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "set image.repository"),
        (("--set=image.repository=a",), "set worker.image.repository"),
        ((*IMAGES, "--set=replica=2"), "replica"),
        ((*IMAGES, "--set=replicas=two"), "/replicas"),
        ((*IMAGES, "--set=namespaces={Research}"), "/namespaces/0"),
        ((*IMAGES, "--set=image.pullPolicy=Sometimes"), "/image/pullPolicy"),
        ((*IMAGES, "--set=serviceAccount.create=false"), "/serviceAccount/name"),
        ((*IMAGES, "--set=metrics.podMonitor.interval=often"), "/metrics/podMonitor/interval"),
    ],
)
def test_bad_values_are_refused_by_name(arguments: tuple[str, ...], said: str) -> None:
    done = helm.template(*arguments)
    assert done.returncode != 0
    assert said in done.stderr


def test_the_operator_may_run_under_the_restricted_standard() -> None:
    pod = _pod(_objects(*EVERYTHING))
    security = pod["spec"]["securityContext"]
    assert security["runAsNonRoot"]
    assert security["runAsUser"] == 65532
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    (container,) = pod["spec"]["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"]["limits"]["memory"]


def test_monitors_and_policy_are_asked_for() -> None:
    plain, everything = _objects(*IMAGES), _objects(*EVERYTHING)
    for kind in ("ServiceMonitor", "PodMonitor", "NetworkPolicy"):
        assert _of(plain, kind) == []
        assert len(_of(everything, kind)) == 1


def test_monitors_select_what_there_is() -> None:
    objects = _objects(*EVERYTHING)
    (monitor,) = _of(objects, "ServiceMonitor")
    (service,) = _of(objects, "Service")
    wanted = monitor["spec"]["selector"]["matchLabels"].items()
    assert wanted <= service["metadata"]["labels"].items()
    assert {port["name"] for port in service["spec"]["ports"]} == {"metrics"}
    labels = _pod(objects)["metadata"]["labels"].items()
    assert service["spec"]["selector"].items() <= labels


_TEXTS = frozenset({"name", "namespace", "image", "serviceAccountName", "priorityClassName"})


def _texts(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """(key, value) of everything in an object that Kubernetes wants as text."""
    match value:
        case dict():
            for name, inner in value.items():
                yield from _texts(inner, "label" if key in {"labels", "matchLabels"} else name)
        case list():
            for inner in value:
                yield from _texts(inner, "namespace" if key == "matchNames" else key)
        case _ if key == "label" or key in _TEXTS:
            yield key, value


def test_what_is_given_as_text_stays_text() -> None:
    """A namespace may be called 4711; YAML takes `on` for true, and 1:30 for ninety."""
    given = (
        "--set-string=serviceAccount.name=0x10,priorityClassName=1e3,image.tag=30",
        "--set-string=image.repository=1,imagePullSecrets={7},namespaces={4711,on}",
    )
    objects = _objects(*EVERYTHING, *given, "--namespace=4711", release="1")
    ours = [each for each in objects if each["kind"] != "CustomResourceDefinition"]
    found = [pair for each in ours for pair in _texts(each)]
    assert {("namespace", "4711"), ("namespace", "on"), ("label", "1"), ("name", "7")} <= {*found}
    assert ("image", "1:30") in found
    assert [pair for pair in found if not isinstance(pair[1], str)] == []


def test_of_a_trials_pods_the_one_that_serves_is_scraped() -> None:
    (monitor,) = _of(_objects(*EVERYTHING), "PodMonitor")
    wanted = monitor["spec"]["selector"]["matchLabels"].items()
    ours = {names.ROLE: "trial", names.SWEEP: "small"}
    theirs = "training.kubeflow.org/replica-type"  # training-operator writes it
    assert wanted <= {**ours, theirs: "master"}.items()
    assert not wanted <= {**ours, theirs: "worker"}.items()
    assert not wanted <= {**ours, names.ROLE: "fit"}.items()
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    assert endpoint["port"] == pods.METRICS


def test_two_releases_in_one_namespace_hold_a_lease_each() -> None:
    leases = set()
    for release in ("ss", "papers"):
        objects = _objects(*IMAGES, release=release)
        (container,) = _pod(objects)["spec"]["containers"]
        told = {each["name"]: each.get("value") for each in container["env"]}
        lease = told["SCALINGSWEEP_LEASE_NAME"]
        rules = [rule for role in _of(objects, "Role") for rule in role["rules"]]
        assert [rule["resourceNames"] for rule in rules if "resourceNames" in rule] == [[lease]]
        leases.add(lease)
    assert len(leases) == 2


def test_definitions_can_be_left_out() -> None:
    assert _of(_objects(*IMAGES, "--set=crds.install=false"), "CustomResourceDefinition") == []
    assert len(_of(_objects(*IMAGES), "CustomResourceDefinition")) == 2


@pytest.fixture
def installed(api_server: Api) -> Iterator[tuple[Api, helm.Helm]]:
    """The chart as release `ss` in namespace `control`."""
    api_server.kubectl("delete", "--ignore-not-found", "-f", str(crds.OUT))
    command = helm.Helm(api_server.kubeconfig)
    command("install", "ss", helm.CHART, "--namespace=control", "--create-namespace", *IMAGES)
    yield api_server, command
    for name in command("list", "--all-namespaces", "--short").split():
        command("uninstall", name, "--namespace=control")
    api_server.kubectl("delete", "-f", str(crds.OUT))


def _apply_a_sweep(api: Api) -> None:
    sweep = manifests.whole(manifests.small())
    for corpus in sweep["spec"]["corpora"]:
        corpus["uri"] = f"s3://text/{corpus['name']}/"
    sweep["spec"]["storage"] = {"s3": {"bucket": "studies"}}
    sweep["metadata"]["namespace"] = "default"
    api.kubectl.apply(sweep)


def test_uninstalling_keeps_definitions_and_sweeps(installed: tuple[Api, helm.Helm]) -> None:
    api, command = installed
    _apply_a_sweep(api)
    command("uninstall", "ss", "--namespace=control")
    names = api.kubectl("get", "scalingsweeps", "--output=name").split()
    assert names == ["scalingsweep.scalingsweep.dev/small"]
    assert api.kubectl("get", "deployments", "--namespace=control", "--output=name") == ""
    # the same release again takes them over; another one must say that it means to
    command("install", "ss", helm.CHART, "--namespace=control", *IMAGES)
    command("uninstall", "ss", "--namespace=control")
    with pytest.raises(ClusterError, match="invalid ownership metadata"):
        command("install", "other", helm.CHART, "--namespace=control", *IMAGES)
    command("install", "other", helm.CHART, "--namespace=control", "--take-ownership", *IMAGES)
    assert api.kubectl("get", "scalingsweeps", "--output=name").split() == names


NEWER = {
    "    - ssw\n": "    - newer\n",
    "\nreplicas: 1\n": "\nreplicas: 1\nhistory: {kept: 3}\n",
    '"global": {"type": "object"},': '"global": {"type": "object"}, "history": {"type": "object"},',
    "\n  replicas:": "\n  revisionHistoryLimit: {{ .Values.history.kept }}\n  replicas:",
}
"""What the next chart has otherwise: a definition, and a nested value with its default."""


def _newer(folder: Path) -> Path:
    for file in helm.CHART.rglob("*.*"):
        target = folder / file.relative_to(helm.CHART)
        target.parent.mkdir(parents=True, exist_ok=True)
        text = file.read_text("utf-8")
        for old, new in NEWER.items():
            text = text.replace(old, new)
        target.write_text(text, "utf-8")
    return folder


def test_an_upgrade_as_the_page_has_it_upgrades_definitions_and_takes_new_defaults(
    installed: tuple[Api, helm.Helm], tmp_path: Path
) -> None:
    api, command = installed
    older = {"spec": {"names": {"shortNames": ["old"]}}}
    name = "scalingsweeps.scalingsweep.dev"
    api.kubectl("patch", "crd", name, "--type=merge", "-p", json.dumps(older))
    page = (helm.CHART.parents[1] / "docs" / "cluster.md").read_text("utf-8")
    (line,) = [line for line in page.splitlines() if line.startswith("helm upgrade ")]
    command("upgrade", "ss", _newer(tmp_path / "chart"), "--namespace=control", line.split()[-1])
    assert api.kubectl.get("crd", name)["spec"]["names"]["shortNames"] == ["newer"]
    deployment = api.kubectl.get("deployment", "ss-scalingsweep", "--namespace=control")["spec"]
    assert deployment["revisionHistoryLimit"] == 3
    (container,) = deployment["template"]["spec"]["containers"]
    assert container["image"].startswith("ours/operator:"), "what was set is kept"


def test_the_notes_tell_what_is_missing(installed: tuple[Api, helm.Helm]) -> None:
    api, command = installed
    notes = command("get", "notes", "ss", "--namespace=control")
    assert "kubectl wait scalingsweep/NAME --for=condition=Complete" in notes
    # another room's tests may have brought it to this API server before
    known = api.kubectl.succeeds("get", "crd", "pytorchjobs.kubeflow.org")
    assert ("this cluster does not know PyTorchJob" in notes) is not known
