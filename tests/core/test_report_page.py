"""The page as a whole: it needs nothing else, trusts no name, and renders whatever there is."""

import base64
import hashlib
import html.parser
import os
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from scalingsweep import errors, report
from support import page
from support import study as builder

KEYS = ("tokens", "parameters", "isoloss", "savings", "curves", "forgetting", "residuals")


class Outline(html.parser.HTMLParser):
    """Tags with their attributes, checked for balance."""

    VOID = frozenset({"meta", "br", "hr", "img", "input", "link"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in {"style", "script"}:
            self.words.append(data)


def found(pattern: str, text: str) -> str:
    match = re.search(pattern, text, re.DOTALL)
    assert match
    return match[1]


@pytest.fixture(scope="module")
def whole() -> str:
    return report.render(builder.study())


def test_is_one_file_that_loads_and_runs_nothing(whole: str) -> None:
    outline = Outline(whole)
    assert not [tag for tag, _ in outline.tags if tag in {"script", "link", "img", "iframe"}]
    for _, attrs in outline.tags:
        assert "style" not in attrs  # a strict policy would drop it
        assert not [name for name in attrs if name.startswith("on")]
        assert (attrs.get("href") or "#").startswith("#")
        assert "src" not in attrs
    assert "http://" not in whole.replace("http://www.w3.org/", "")
    assert "https://" not in whole
    assert "url(" not in whole.replace("url(#", "")
    assert "@import" not in whole


def test_its_policy_allows_its_own_style_and_nothing_else(whole: str) -> None:
    style = found(r"<style>(.*?)</style>", whole)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = found(r'Content-Security-Policy" content="([^"]*)"', whole)
    assert f"default-src 'none'; style-src 'sha256-{digest}'" in policy
    assert "unsafe" not in policy


def test_colours_follow_the_page(whole: str) -> None:
    style = found(r"<style>(.*?)</style>", whole)
    for sheet in re.findall(r"^\.s\d+\{(.*)\}$", style, re.MULTILINE):
        assert "#" not in sheet
    for panel in (one for key in KEYS for one in page.panels(whole, key)):
        assert not re.search(r"#[0-9a-f]{6}", " ".join(panel.element.itertext()))
    used = set(re.findall(r"var\(--([a-z0-9]+)\)", whole))
    defined = set(re.findall(r"--([a-z0-9]+):#", style))
    assert used <= defined
    assert "prefers-color-scheme:dark" in style
    assert "@media print" in style


def test_every_panel_is_an_image_with_words(whole: str) -> None:
    for key in KEYS:
        panels = page.panels(whole, key)
        assert panels
        for panel in panels:
            root = panel.element
            assert root.get("role") == "img"
            named = root.get("aria-labelledby", "").split()
            texts = {node.get("id"): node.text for node in root if node.tag in {"title", "desc"}}
            assert [bool(texts[name]) for name in named] == [True, True]
            assert len(root.findall(".//text")) > 4  # words are words, not outlines


def test_ids_are_unique_and_references_resolve(whole: str) -> None:
    outline = Outline(whole)
    ids = [attrs["id"] or "" for _, attrs in outline.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    wanted = {(attrs["href"] or "")[1:] for _, attrs in outline.tags if "href" in attrs}
    wanted |= set(re.findall(r"url\(#([^)]+)\)", whole))
    wanted |= {n for _, a in outline.tags for n in (a.get("aria-labelledby") or "").split()}
    assert wanted <= set(ids)


def test_is_the_same_every_time(whole: str) -> None:
    """In another process too, whose sets have another order."""
    script = (
        "import sys; from support import study; from scalingsweep import report;"
        "sys.stdout.buffer.write(report.render(study.study()).encode())"
    )
    made = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        check=True,
    )
    assert made.stdout.decode() == whole


def test_is_small(whole: str) -> None:
    assert len(whole.encode()) < 3_000_000


HOSTILE = '<script>alert("1")</script> $x_1$ & "q\' \x00 {{ 7*7 }}'


def test_names_are_text_and_never_markup() -> None:
    arms = tuple(
        report.Arm(
            name=HOSTILE if arm.name == "cpt" else arm.name, corpus=arm.corpus, source=arm.source
        )
        for arm in builder.ARMS[:3]
    )
    rows = tuple(
        {**row, "arm": HOSTILE if row["arm"] == "cpt" else row["arm"], "size": f"<b>{row['size']}"}
        for row in builder.rows()
        if row["arm"] != "cpt-replay"
    )
    fit = builder.fit(["scratch", "cpt"])
    fit["arms"] = ["scratch", HOSTILE]
    fit["parameters"] = {
        k.replace("[cpt]", f"[{HOSTILE}]"): v for k, v in fit["parameters"].items()
    }
    for name in ("allocation", "draws"):
        fit[name][HOSTILE] = fit[name].pop("cpt")
    text = report.render(
        builder.study(
            name=HOSTILE,
            arms=arms,
            rows=rows,
            curves={},
            fits=(fit,),
            missing=(HOSTILE,),
            warnings=(HOSTILE,),
            manifest=HOSTILE,
            versions={HOSTILE: HOSTILE},
        )
    )
    outline = Outline(text)
    assert not [tag for tag, _ in outline.tags if tag in {"script", "b"}]
    words = " ".join(outline.words)
    assert '<script>alert("1")</script> $x_1$' in words
    assert "{{ 7*7 }}" in words
    # drawn by matplotlib too, where a dollar sign would start mathematics
    panel = page.panels(text, "tokens")[2]
    assert "<script>" in panel.element.findtext("title", "")
    assert panel.points(size="<b>100k")


def _many() -> report.Study:
    N = np.geomspace(5e7, 5e9, 40)
    sizes = {f"{n / 1e6:.0f}M": float(round(n)) for n in N}
    rows = builder.rows(sizes=sizes, budgets=(4e9,))
    return builder.study(rows=rows, curves=builder.curves(rows, records=60))


def _without_cpt() -> report.Study:
    arms = builder.ARMS[:2]
    rows = builder.rows(arms=arms)
    return builder.study(arms=arms, rows=rows, fits=(builder.fit(["scratch"]),))


def _isolated(**changes: Any) -> report.Study:
    fit = {**builder.fit(["scratch", "cpt", "cpt-replay"]), **changes}
    return builder.study(fits=(fit,), curves={})


def _invalid() -> report.Study:
    fit = builder.fit(["scratch", "cpt", "cpt-replay"])
    fit["parameters"]["gamma[cpt]"]["value"] = 0.5  # above beta: no compute-optimal size
    fit["allocation"]["cpt"] = {"G": None, "a": None, "b": None, "valid": False, "why": "no"}
    fit["draws"]["cpt"]["gamma"] = [0.5] * 200
    return builder.study(fits=(fit,), curves={})


def _holes() -> report.Study:
    rows = [dict(row) for row in builder.rows()]
    for place in range(0, len(rows), 3):
        rows[place]["loss_fr"] = None
    for place in range(0, len(rows), 4):
        rows[place].update(loss_en=float("nan"), D_source=None, C_source="")
    return builder.study(rows=tuple(rows[::2]), curves={})


ONE_SIZE = {"100k": builder.SIZES["100k"]}
DEGENERATE = {
    "nothing": lambda: report.Study(name="empty"),
    "arms only": lambda: report.Study(name="young", arms=builder.ARMS, corpora=("en", "fr")),
    "no fit": lambda: builder.study(fits=()),
    "no curves": lambda: builder.study(curves={}),
    "curves before observations": lambda: builder.study(
        rows=(), curves=builder.curves(builder.rows())
    ),
    "no draws": lambda: _isolated(draws=None),
    "null parameter": lambda: _isolated(parameters={"E": {"value": None}}),
    "no optimum": _invalid,
    "no CPT arm": _without_cpt,
    "one arm": lambda: builder.study(
        arms=builder.ARMS[1:2], rows=builder.rows(arms=builder.ARMS[1:2]), fits=()
    ),
    "one size": lambda: builder.study(rows=builder.rows(sizes=ONE_SIZE)),
    "one row": lambda: builder.study(rows=builder.rows()[:1]),
    "one budget": lambda: builder.study(rows=builder.rows(budgets=(4e6,))),
    "seeds": lambda: builder.study(rows=builder.rows(seeds=(0, 1)), curves={}),
    "missing cells": _holes,
    "40 sizes, 4 arms": _many,
}


@pytest.mark.parametrize("make", DEGENERATE.values(), ids=DEGENERATE)
def test_renders_whatever_there_is(make: Callable[[], report.Study]) -> None:
    text = report.render(make())
    words = " ".join(Outline(text).words)
    assert not re.search(r"\b(nan|None|inf)\b", words)
    for key in KEYS:
        for panel in page.panels(text, key):
            box = [float(part) for part in panel.element.get("viewBox", "").split()]
            for use in panel.element.iter("use"):
                # every marker is inside the drawing
                assert 0 <= float(use.get("x", "nan")) <= box[2]
                assert 0 <= float(use.get("y", "nan")) <= box[3]
    assert len(text.encode()) < 5_000_000


def test_an_empty_figure_says_why() -> None:
    text = report.render(report.Study(name="empty"))
    words = " ".join(Outline(text).words)
    assert "No observation yet." in words
    assert "There is no fit." in words
    assert "No arm of this study continues another one" in words


@pytest.mark.parametrize("module", ["matplotlib", "jinja2"])
def test_a_missing_library_is_named_with_its_mend(
    monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(errors.SpecError, match=rf"{module}: pip install 'scalingsweep\[fit\]'"):
        report.render(builder.study())
