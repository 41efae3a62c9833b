"""What the operator's service account may do: this table, and nothing beside it.

Every resource and subresource that the API server knows is asked for with every verb, in the
operator's namespace, in one whose sweeps it runs, and in one of somebody else.
"""

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from hack.cluster import helm
from hack.cluster.api import Api

from support import apiserver

pytestmark = pytest.mark.cluster

VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")
ACCOUNT = "system:serviceaccount:rights:ss-scalingsweep"
GROUPS = ("system:serviceaccounts", "system:serviceaccounts:rights", "system:authenticated")
READ = frozenset({"get", "list", "watch"})

STUDIES: dict[tuple[str, str], frozenset[str]] = {
    ("scalingsweep.dev", "scalingsweeps"): READ,
    ("scalingsweep.dev", "scalingtrials"): READ | {"create", "patch", "delete"},
    ("scalingsweep.dev", "scalingsweeps/status"): frozenset({"update", "patch"}),
    ("scalingsweep.dev", "scalingtrials/status"): frozenset({"update", "patch"}),
    ("scalingsweep.dev", "scalingsweeps/finalizers"): frozenset({"update"}),
    ("scalingsweep.dev", "scalingtrials/finalizers"): frozenset({"update"}),
    ("kubeflow.org", "pytorchjobs"): READ | {"create", "delete"},
    ("batch", "jobs"): READ | {"create", "delete"},
    ("", "pods"): READ,
    ("events.k8s.io", "events"): frozenset({"create", "patch"}),
    ("kueue.x-k8s.io", "workloads"): frozenset({"get", "list"}),
}
DEFINITIONS = {("apiextensions.k8s.io", "customresourcedefinitions"): READ}
NAMESPACES = {("", "namespaces"): frozenset({"list", "watch"})}
LEASE = {("coordination.k8s.io", "leases"): frozenset({"create"})}

# kinds of others, which this API server does not know but rights may name; what every user may do
ELSEWHERE = (
    *(key for key in STUDIES if key[0] not in {"", "batch", "events.k8s.io"}),
    ("kubeflow.org", "pytorchjobs/status"),
    ("kueue.x-k8s.io", "clusterqueues"),
    ("", "pods/attach"),
    ("", "secrets/anything"),
)
EVERYONE = "selfsubject"


@pytest.fixture(scope="module")
def client(api_server: Api) -> Iterator[apiserver.Client]:
    for name in ("rights", "theirs", "other"):
        api_server.kubectl("create", "namespace", name)
    client = apiserver.Client(api_server.kubeconfig)
    yield client
    client.close()
    api_server.kubectl("delete", "namespace", "rights", "theirs", "other")


def _install(api: Api, *arguments: str) -> None:
    """The chart's roles alone: Helm itself is test_chart's."""
    images = ("--set=image.repository=a", "--set=worker.image.repository=b")
    done = helm.template("--namespace=rights", *images, *arguments)
    assert done.returncode == 0, done.stderr
    objects = [each for each in yaml.safe_load_all(done.stdout) if each]
    api.kubectl.apply(*(each for each in objects if "Role" in each["kind"]))


def _resources(client: apiserver.Client) -> set[tuple[str, str]]:
    """(group, resource or resource/subresource) of everything there is."""
    groups = client.ask("GET", "/apis").body["groups"]
    paths = [("", "/api/v1")]
    paths += [
        (group["name"], f"/apis/{group['preferredVersion']['groupVersion']}") for group in groups
    ]
    found = {
        (group, each["name"])
        for group, path in paths
        for each in client.ask("GET", path).body["resources"]
    }
    assert ("", "secrets") in found
    assert ("", "pods/exec") in found
    return found | set(ELSEWHERE)


def _may(client: apiserver.Client, namespace: str, **attributes: str) -> bool:
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": ACCOUNT,
            "groups": GROUPS,
            "resourceAttributes": {"namespace": namespace, **attributes},
        },
    }
    answer = client.ask("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
    assert answer.status == 201, answer.body
    allowed: bool = answer.body["status"]["allowed"]
    return allowed


def _table(client: apiserver.Client, namespace: str) -> dict[tuple[str, str], frozenset[str]]:
    """Everything that the account may do in a namespace."""
    found: dict[tuple[str, str], set[str]] = {}
    for (group, resource), verb in itertools.product(sorted(_resources(client)), VERBS):
        name, _, sub = resource.partition("/")
        asked: dict[str, Any] = {"group": group, "resource": name, "subresource": sub, "verb": verb}
        if not name.startswith(EVERYONE) and _may(client, namespace, **asked):
            found.setdefault((group, resource), set()).add(verb)
    return {key: frozenset(verbs) for key, verbs in found.items()}


def test_in_some_namespaces(api_server: Api, client: apiserver.Client) -> None:
    _install(api_server, "--set=namespaces={theirs}")
    assert _table(client, "theirs") == STUDIES | DEFINITIONS
    assert _table(client, "rights") == LEASE | DEFINITIONS
    assert _table(client, "other") == DEFINITIONS
    _remove(api_server)


def test_in_all_namespaces(api_server: Api, client: apiserver.Client) -> None:
    _install(api_server)
    everywhere = STUDIES | DEFINITIONS | NAMESPACES
    assert _table(client, "other") == everywhere
    assert _table(client, "rights") == everywhere | LEASE
    _remove(api_server)


def test_of_leases_its_own_alone(api_server: Api, client: apiserver.Client) -> None:
    _install(api_server)
    lease = {"group": "coordination.k8s.io", "resource": "leases"}
    for verb, name in itertools.product(VERBS, ("ss-scalingsweep", "another")):
        ours = name == "ss-scalingsweep" and verb in {"get", "update", "patch"}
        allowed = _may(client, "rights", **lease, verb=verb, name=name)
        assert allowed == (ours or verb == "create"), (verb, name)
        assert not _may(client, "other", **lease, verb=verb, name=name)
    _remove(api_server)


def test_kubectl_says_so_too(api_server: Api) -> None:
    """What docs/cluster.md tells a user to ask."""
    _install(api_server)
    for asked in (("get", "secrets"), ("create", "pods/exec"), ("create", "pods"), ("*", "*")):
        command = ("auth", "can-i", *asked, f"--as={ACCOUNT}", "--namespace=theirs")
        assert not api_server.kubectl.succeeds(*command), asked
    command = ("auth", "can-i", "create", "jobs.batch", f"--as={ACCOUNT}", "--namespace=theirs")
    assert api_server.kubectl.succeeds(*command)
    _remove(api_server)


def _remove(api: Api) -> None:
    kinds = "clusterroles,clusterrolebindings,roles,rolebindings"
    api.kubectl(
        *("delete", kinds, "--all-namespaces", "--selector=app.kubernetes.io/instance=ss"),
    )
