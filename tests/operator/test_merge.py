import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalingsweep.errors import SpecError
from scalingsweep_operator import merge

AT = "spec.podTemplate"
BASE: dict[str, Any] = {
    "metadata": {"labels": {"a": "1"}, "annotations": {}},
    "spec": {
        "securityContext": {"runAsUser": 65532, "runAsNonRoot": True},
        "tolerations": [{"key": "gpu"}],
        "containers": [
            {
                "name": "pytorch",
                "env": [{"name": "HOME", "value": "/tmp"}, {"name": "USER", "value": "u"}],
                "ports": [{"name": "metrics", "containerPort": 8081}],
                "securityContext": {"capabilities": {"drop": ["ALL"]}},
                "volumeMounts": [{"name": "scratch", "mountPath": "/tmp"}],
            }
        ],
        "volumes": [{"name": "scratch", "emptyDir": {}}],
    },
}


def merged(**spec: Any) -> Any:
    return merge.merge(BASE, {"spec": spec}, AT)["spec"]


def worker(**fields: Any) -> Any:
    return merged(containers=[{"name": "pytorch", **fields}])["containers"][0]


def test_maps_merge_and_null_removes() -> None:
    template = merge.merge(BASE, {"metadata": {"labels": {"b": "2"}}}, AT)
    assert template["metadata"]["labels"] == {"a": "1", "b": "2"}
    assert merged(securityContext={"runAsUser": None, "fsGroup": 5})["securityContext"] == {
        "runAsNonRoot": True,
        "fsGroup": 5,
    }


def test_containers_merge_by_name_and_new_ones_follow() -> None:
    containers = merged(containers=[{"name": "proxy", "image": "p"}, {"name": "pytorch", "tty": 1}])
    assert [c["name"] for c in containers["containers"]] == ["pytorch", "proxy"]
    assert containers["containers"][0]["env"] == BASE["spec"]["containers"][0]["env"]


def test_a_variable_is_replaced_where_it_stands() -> None:
    secret = {"secretKeyRef": {"name": "s", "key": "k"}}
    env = worker(env=[{"name": "HOME", "valueFrom": secret}, {"name": "NEW", "value": "1"}])["env"]
    assert env == [
        {"name": "HOME", "valueFrom": secret},
        {"name": "USER", "value": "u"},
        {"name": "NEW", "value": "1"},
    ]


def test_mounts_merge_by_path_and_ports_by_number() -> None:
    assert worker(volumeMounts=[{"name": "mine", "mountPath": "/tmp"}])["volumeMounts"] == [
        {"name": "mine", "mountPath": "/tmp"}
    ]
    assert worker(ports=[{"containerPort": 8081, "protocol": "TCP"}])["ports"] == [
        {"name": "metrics", "containerPort": 8081, "protocol": "TCP"}
    ]


def test_a_volume_is_replaced_whole() -> None:
    claim = {"name": "scratch", "persistentVolumeClaim": {"claimName": "c"}}
    assert merged(volumes=[claim])["volumes"] == [claim]


def test_tolerations_are_added_once_and_other_lists_replaced() -> None:
    given = [{"key": "gpu"}, {"key": "spot"}]
    assert merged(tolerations=given)["tolerations"] == given
    context = worker(securityContext={"capabilities": {"drop": ["NET_RAW"]}})["securityContext"]
    assert context == {"capabilities": {"drop": ["NET_RAW"]}}


def test_items_of_a_new_list_are_looked_at_too() -> None:
    with pytest.raises(SpecError, match=r"initContainers\[0\]\.name: is required"):
        merged(initContainers=[{"image": "x"}])


@pytest.mark.parametrize(
    ("patch", "field"),
    [
        ([], AT),
        ({"spec": 3}, f"{AT}.spec"),
        ({"spec": None}, f"{AT}.spec"),
        ({"metadata": {"labels": None}}, f"{AT}.metadata.labels"),
        ({"spec": {"containers": {}}}, f"{AT}.spec.containers"),
        ({"spec": {"containers": None}}, f"{AT}.spec.containers"),
        ({"spec": {"containers": ["pytorch"]}}, f"{AT}.spec.containers[0]"),
        ({"spec": {"containers": [{"name": []}]}}, f"{AT}.spec.containers[0].name"),
        ({"spec": {"volumes": [{"name": "a"}, {"name": "a"}]}}, f"{AT}.spec.volumes[1].name"),
        ({"spec": {"tolerations": {}}}, f"{AT}.spec.tolerations"),
        ({"spec": {"securityContext": "none"}}, f"{AT}.spec.securityContext"),
        (
            {"spec": {"containers": [{"name": "pytorch", "env": [{"value": "1"}]}]}},
            f"{AT}.spec.containers[pytorch].env[0].name",
        ),
        ({"spec": {"$patch": "replace"}}, f"{AT}.spec.$patch"),
        (
            {"spec": {"containers": [{"name": "pytorch", "$patch": "delete"}]}},
            f"{AT}.spec.containers[0].$patch",
        ),
        ({"spec": {"affinity": {"a": [{"$retainKeys": []}]}}}, f"{AT}.spec.affinity.a[0].$ret"),
    ],
)
def test_what_cannot_be_merged_names_its_field(patch: Any, field: str) -> None:
    with pytest.raises(SpecError) as error:
        merge.merge(BASE, patch, AT)
    assert error.value.field.startswith(field)


def test_what_is_too_deep_is_refused() -> None:
    deep: Any = {}
    for _ in range(5000):
        deep = {"a": deep}
    with pytest.raises(SpecError, match="nested deeper"):
        merge.merge(BASE, deep, AT)


def test_nothing_given_is_changed() -> None:
    before = copy.deepcopy(BASE)
    patch = {"spec": {"containers": [{"name": "pytorch", "env": [{"name": "A", "value": "1"}]}]}}
    given_patch = copy.deepcopy(patch)
    merge.merge(BASE, patch, AT)
    assert (before, given_patch) == (BASE, patch)


FIELDS = [
    *("metadata", "spec", "labels", "containers", "initContainers", "volumes", "tolerations"),
    *("env", "ports", "name", "securityContext", "$patch", "pytorch", "resources", "limits"),
    *("terminationGracePeriodSeconds", "serviceAccountName", "runAsUser", "hostNetwork", "x"),
]
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4)
)
ANYTHING = st.recursive(
    SCALARS | st.sampled_from(FIELDS),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=25,
)


@given(patch=ANYTHING)
def test_whatever_is_given_merges_or_is_a_spec_error(patch: Any) -> None:
    try:
        template = merge.merge(BASE, patch, AT)
    except SpecError as error:
        assert error.field.startswith(AT)  # noqa: PT017 - or a template comes back
        return
    names = [container["name"] for container in template["spec"]["containers"]]
    assert names[0] == "pytorch"
    assert len(set(names)) == len(names)
    assert merge.merge(template, {}, AT) == template
