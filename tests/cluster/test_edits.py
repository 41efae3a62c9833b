"""A real API server judges edits as `edits` does, as far as CEL sees them."""

import json
import re

import pytest

from scalingsweep import edits
from scalingsweep.api.sweep import ScalingSweep
from support import apiserver, edited, every_field, malformed, manifests
from support.resources import SWEEPS

pytestmark = pytest.mark.cluster


def test_an_edit_is_refused_by_both_back_ends_or_by_none(server: apiserver.Client) -> None:
    old = manifests.whole(edited.before())
    old["metadata"] = {"name": "edited", "namespace": "default"}
    created = server.ask("POST", SWEEPS, old)
    assert created.status == 201, created.message
    for path, (value, field) in edited.EDITS.items():
        new = created.body | {"spec": edited.edited(path, value)}
        answer = server.ask("PUT", f"{SWEEPS}/edited", new, dryRun="All")
        assert (answer.status == 200) == (field == edited.FREE), (path, answer.body)
        if field != edited.FREE:
            parts = field.split(".")
            named = {".".join(parts[: n + 1]) for n in range(1, len(parts))}
            assert any(name in answer.message for name in named), (path, answer.message)
            assert re.search("put it back|cannot come or go", answer.message), answer.message


@pytest.mark.parametrize(
    ("name", "edit", "field"),
    [
        (
            "flops",
            malformed.put("spec.training.batchTokens", {"bySize": [{"upTo": "1B", "value": "1M"}]}),
            "spec.training.batchTokens",
        ),
        (
            "flops",
            malformed.put("spec.training.learningRate", {"bySize": [{"upTo": "1B", "value": 1}]}),
            "spec.training.learningRate",
        ),
        ("flops", malformed.put("spec.arms.0.init", {"uri": "s3://m/"}), "spec.arms[0].init"),
        ("cosine", malformed.put("spec.arms.0.init.uri", "s3://m/"), "spec.arms[0].init.uri"),
        ("cosine", malformed.remove("spec.arms.0.init"), "spec.arms[0].init"),
    ],
    ids=["table of batches", "table of rates", "init comes", "init changes", "init goes"],
)
def test_an_edit_of_another_study_is_refused_by_both(
    name: str, edit: malformed.Edit, field: str, server: apiserver.Client
) -> None:
    value = every_field.manifests()[name]
    value["metadata"]["name"] = f"other-{name}"
    server.ask("POST", SWEEPS, value)
    created = server.ask("GET", f"{SWEEPS}/other-{name}").body
    new = json.loads(json.dumps(created))
    edit(new)
    answer = server.ask("PUT", f"{SWEEPS}/other-{name}", new, dryRun="All")
    assert answer.status == 422
    assert field in answer.message
    specs = [ScalingSweep.from_wire(each).spec for each in (created, new)]
    assert str(edits.refused(*specs)).startswith(field)


def test_what_only_the_operator_sees_of_an_edit(server: apiserver.Client) -> None:
    """CEL reads no counts and no shapes: the operator asks `edits` again."""
    old = manifests.whole(edited.before())
    old["metadata"] = {"name": "unseen", "namespace": "default"}
    old["spec"]["training"]["batchTokens"] = {"bySize": [{"upTo": "1M", "value": 512}]}
    created = server.ask("POST", SWEEPS, old)
    assert created.status == 201, created.message
    new = json.loads(json.dumps(created.body))
    new["spec"]["training"]["batchTokens"] = {"bySize": [{"upTo": "1M", "value": 1024}]}
    assert server.ask("PUT", f"{SWEEPS}/unseen", new, dryRun="All").status == 200
    specs = [ScalingSweep.from_wire(value).spec for value in (created.body, new)]
    assert str(edits.refused(*specs)).startswith("spec.training.batchTokens.bySize")


def test_arms_and_corpora_come_in_any_order_and_arms_go(server: apiserver.Client) -> None:
    old = manifests.whole(edited.before())
    old["metadata"] = {"name": "order", "namespace": "default"}
    created = server.ask("POST", SWEEPS, old)
    new = json.loads(json.dumps(created.body))
    new["spec"]["arms"] = new["spec"]["arms"][::-1][1:]
    new["spec"]["corpora"].reverse()
    answer = server.ask("PUT", f"{SWEEPS}/order", new, dryRun="All")
    assert answer.status == 200, answer.message
    new["spec"]["corpora"] = [c for c in new["spec"]["corpora"] if c["name"] != "de"]
    answer = server.ask("PUT", f"{SWEEPS}/order", new, dryRun="All")
    assert "spec.corpora: Invalid value: corpora may be added, but none may go" in answer.message
