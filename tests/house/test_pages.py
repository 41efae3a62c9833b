"""What the repository says of itself holds: the tree, links, targets, generated pages."""

import re
import subprocess
from pathlib import Path

import pytest
from hack import manifest_reference

ROOT = Path(__file__).parent.parent.parent
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("examples/*/*.md")]
ROOMS = ("core/scalingsweep", "cli/scalingsweep_cli", "trainer/scalingsweep_trainer")


def _tree() -> list[str]:
    readme = (ROOT / "README.md").read_text("utf-8")
    block = readme.partition("## The tree\n```\n")[2].partition("```")[0]
    return [line.split()[0].rstrip("/") for line in block.splitlines()]


def test_the_readmes_tree_is_the_tree() -> None:
    shown = set(_tree())
    assert all((ROOT / name).exists() for name in shown)
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    folders = {name.partition("/")[0] for name in tracked if "/" in name}
    assert folders == {name.partition("/")[0] for name in shown if "/" in name} | {
        name for name in shown if (ROOT / name).is_dir() and "/" not in name
    }
    assert set(ROOMS) <= shown


def test_docs_manifest_is_what_the_types_say() -> None:
    assert manifest_reference.OUT.read_text("utf-8") == manifest_reference.text(), (
        "docs/manifest.md is out of date: run `make generate`"
    )


def test_every_field_of_the_manifest_says_what_it_is() -> None:
    rows = [line for line in manifest_reference.text().splitlines() if line.startswith("| `")]
    assert len(rows) > 80
    assert not [row for row in rows if row.rstrip(" |").endswith(("–", "required**"))]
    assert not [row for row in rows if re.search(r"\|\s*\|$", row)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text("utf-8")
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name) if name else page
        assert file.exists(), f"{page.name} links to {target}"
        if anchor:
            assert anchor in _anchors(file.read_text("utf-8")), f"{page.name} links to {target}"


def _anchors(text: str) -> set[str]:
    anchors: set[str] = set()
    for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        kept = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        anchors.add(f"{kept}-1" if kept in anchors else kept)
    return anchors


def test_every_target_is_in_the_index() -> None:
    lines = (ROOT / "Makefile").read_text("utf-8").splitlines()
    phony = [line.split(": ", 1)[1] for line in lines if line.startswith(".PHONY: ")]
    described = [line.partition(":")[0] for line in lines if re.match(r"[a-z0-9-]+:.*## \S", line)]
    assert phony == described
    printed = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert all(f"make {name} " in printed for name in described)


def test_constraints_name_versions_only() -> None:
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z0-9._-]+==[0-9][0-9a-z.]*", pin) for pin in pins)
    names = {pin.partition("==")[0] for pin in pins}
    assert {"torch", "transformers", "numpy", "pytest"} <= names
    assert not names & {"pip", "setuptools", "uv", "scalingsweep"}
