"""What the operator's service account may do: this table, nothing beside it, and all of it needed.

Every resource and subresource that the API server knows is asked for with every verb, in the
operator's namespace, in one whose sweeps it runs, and in one of somebody else. Then a sweep is run
with that account.
"""

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hack.cluster import helm
from hack.cluster.api import Api

from scalingsweep_operator import api as wire
from scalingsweep_operator import names, resources
from scalingsweep_operator.service import Service
from support import apiserver, operators
from support.stage import Stage

pytestmark = pytest.mark.cluster

VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")
ACCOUNT = "system:serviceaccount:rights:ss-scalingsweep"
GROUPS = ("system:serviceaccounts", "system:serviceaccounts:rights", "system:authenticated")
READ = frozenset({"get", "list", "watch"})

STUDIES: dict[tuple[str, str], frozenset[str]] = {
    ("scalingsweep.dev", "scalingsweeps"): READ,
    ("scalingsweep.dev", "scalingtrials"): READ | {"create", "patch", "delete"},
    ("scalingsweep.dev", "scalingsweeps/status"): frozenset({"update"}),
    ("scalingsweep.dev", "scalingtrials/status"): frozenset({"update"}),
    ("scalingsweep.dev", "scalingsweeps/finalizers"): frozenset({"update"}),
    ("scalingsweep.dev", "scalingtrials/finalizers"): frozenset({"update"}),
    ("kubeflow.org", "pytorchjobs"): READ | {"create", "delete"},
    ("batch", "jobs"): READ | {"create", "delete"},
    ("", "pods"): frozenset({"list", "watch"}),
    ("events.k8s.io", "events"): frozenset({"create"}),
    ("kueue.x-k8s.io", "workloads"): frozenset({"list"}),
}
DEFINITIONS = {("apiextensions.k8s.io", "customresourcedefinitions"): frozenset({"list", "watch"})}
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
    """The chart's roles and account alone: Helm itself is test_chart's."""
    images = ("--set=image.repository=a", "--set=worker.image.repository=b")
    done = helm.template("--namespace=rights", *images, *arguments)
    assert done.returncode == 0, done.stderr
    objects = [each for each in yaml.safe_load_all(done.stdout) if each]
    rights = [each for each in objects if "Role" in each["kind"]]
    api.kubectl.apply(*rights, *(each for each in objects if each["kind"] == "ServiceAccount"))


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
    assert _table(client, "theirs") == STUDIES
    assert _table(client, "rights") == LEASE
    assert _table(client, "other") == {}
    _remove(api_server)


def test_in_all_namespaces(api_server: Api, client: apiserver.Client) -> None:
    _install(api_server)
    everywhere = STUDIES | DEFINITIONS
    assert _table(client, "other") == everywhere
    assert _table(client, "rights") == everywhere | LEASE
    _remove(api_server)


def test_of_leases_its_own_alone(api_server: Api, client: apiserver.Client) -> None:
    _install(api_server)
    lease = {"group": "coordination.k8s.io", "resource": "leases"}
    for verb, name in itertools.product(VERBS, ("ss-scalingsweep", "another")):
        ours = name == "ss-scalingsweep" and verb in {"get", "update"}
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


class Acting(Stage):
    """A stage whose operator is the chart's account, and no administrator."""

    account: Path
    """Its kubeconfig."""
    namespaces: tuple[str, ...] = ()
    """Those that it serves; none: all."""

    def call(self, what: Callable[[wire.Api], Awaitable[Any]]) -> Any:
        """Anything with an Api."""

        async def go() -> Any:
            http = await wire.connect(self.account)
            async with wire.Api(http, metrics=self.metrics) as api:
                return await what(api)

        return asyncio.run(go())


@pytest.fixture(params=["all", "some"])
def acting(
    ground: Api, client: apiserver.Client, request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[Acting]:
    """With the rights over all namespaces, or over its own."""
    stage = Acting(ground, client)
    stage.namespaces = (stage.namespace,) if request.param == "some" else ()
    _install(ground, f"--set-json=namespaces={json.dumps(stage.namespaces)}")
    config = yaml.safe_load(ground.kubeconfig.read_text("utf-8"))
    token = ground.kubectl("create", "token", ACCOUNT.rpartition(":")[2], "--namespace=rights")
    config["users"][0]["user"] = {"token": token.strip()}
    stage.account = tmp_path / "kubeconfig"
    stage.account.write_text(yaml.safe_dump(config), "utf-8")
    yield stage
    _remove(ground)


def test_a_sweep_needs_no_more_for_its_whole_life(acting: Acting) -> None:
    acting.apply()
    acting.prepare()
    begun = acting.jobs()
    acting.edit(suspend=True)
    acting.look()
    for job in begun:
        acting.gone(job)
    acting.settle()
    acting.edit(suspend=False)
    acting.finish()
    acting.edit(budgets={"tokens": ["250k", "700k", "2M", "4M"]})
    acting.prepare()
    acting.finish()
    acting.edit(ttlSecondsAfterFinished=0)
    acting.look_until(lambda: not acting.trials())
    assert acting.told("Done", "attempt 1")
    said = acting.metrics.text().decode()
    for verb, code in {"GET": 200, "POST": 201, "PUT": 200, "PATCH": 200, "DELETE": 200}.items():
        assert f'scalingsweep_api_calls_total{{code="{code}",verb="{verb}"}}' in said
    assert 'code="403"' not in said


def test_watching_and_leading_need_no_more(
    acting: Acting, caplog: pytest.LogCaptureFixture
) -> None:
    """kopf says what it may not do, and goes on without it."""
    acting.apply()
    key = (acting.namespace, "small")
    pod = {
        "metadata": {"name": "child", "labels": {names.SWEEP: "small"}},
        "spec": {"containers": [{"name": "main", "image": "none"}]},
    }

    async def story() -> None:
        seen = operators.Seen()
        given = operators.given(
            acting.account,
            namespace="rights",
            lease_name="ss-scalingsweep",
            namespaces=acting.namespaces,
        )
        service = Service(given, seen.making)
        async with operators.running(service):
            await operators.until(lambda: seen.looks[key] > 0)
            await asyncio.sleep(4)  # the first lists of all kinds are told too
            before = seen.looks[key]
            made = acting.client.ask("POST", resources.PODS.path(acting.namespace), pod)
            assert made.status == 201, made.message
            await operators.until(lambda: seen.looks[key] > before)
        assert 'code="403"' not in service.metrics.text().decode()

    asyncio.run(story())
    assert "permission" not in caplog.text
    assert "forbidden" not in caplog.text


def _remove(api: Api) -> None:
    kinds = "clusterroles,clusterrolebindings,roles,rolebindings,serviceaccounts"
    api.kubectl(
        *("delete", kinds, "--all-namespaces", "--selector=app.kubernetes.io/instance=ss"),
    )
