"""What the Dockerfiles are given: an image's requirements, and how its packages are reached."""

import tomllib
from pathlib import Path

import pytest
import yaml
from hack.images import build, push, registry, requirements

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_extras_of_our_own_are_resolved() -> None:
    project = {
        "name": "ours",
        "optional-dependencies": {
            "all": ["ours[a,b]", "c>=1"],
            "a": ["torch>=2,<3"],
            "b": ["ours[deep]"],
            "deep": ["kopf"],
        },
    }
    assert [*requirements.wanted(project, "all")] == ["torch>=2,<3", "kopf", "c>=1"]


def test_the_operator_gets_no_torch_and_the_worker_no_cluster() -> None:
    operator = " ".join(requirements.wanted(PROJECT, "operator"))
    worker = " ".join(requirements.wanted(PROJECT, "trainer"))
    assert "kopf" in operator
    assert "torch" not in operator
    assert "torch" in worker
    assert "matplotlib" in worker  # the report is the fit's
    assert "kopf" not in worker


@pytest.mark.parametrize("name", ["operator", "worker"])
def test_images_run_as_nobody_and_name_no_place_of_this_machine(name: str) -> None:
    text = (ROOT / "images" / name / "Dockerfile").read_text()
    assert "\nUSER 65532:65532\n" in text
    assert "http" not in text
    assert "ENV PIP" not in text


@pytest.mark.parametrize("prefix", ["registry.example:5000/laws", "registry.example:5000/laws/"])
def test_an_image_is_pushed_under_the_name_that_the_chart_asks_for(prefix: str) -> None:
    repository = "registry.example:5000/laws"
    chart = yaml.safe_load((ROOT / "charts/scalingsweep/Chart.yaml").read_text())
    assert chart["appVersion"] == PROJECT["version"]
    for name in build.REFERENCES:
        wanted = f"{repository}/{name}:{chart['appVersion']}"
        assert push.destination(name, prefix) == wanted


def test_a_mirror_travels_as_a_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.touch()
    monkeypatch.setenv("PIP_INDEX_URL", "https://user:pass@mirror.example/simple")
    monkeypatch.setenv("PIP_CERT", str(bundle))
    monkeypatch.setenv("PIP_FIND_LINKS", "/somewhere/here")
    options = registry.secrets(tmp_path)
    told = dict(line.split("=", 1) for line in (tmp_path / "registry").read_text().splitlines())
    assert told["PIP_INDEX_URL"] == told["UV_DEFAULT_INDEX"]
    assert told["SSL_CERT_FILE"] == told["PIP_CERT"] == "/run/secrets/certificates"
    assert "PIP_FIND_LINKS" not in told
    assert f"--secret=id=certificates,src={bundle}" in options
    assert "user:pass" not in " ".join(options)  # ps shows a command's arguments to everyone
