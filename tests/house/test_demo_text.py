"""The demo's text is prose: navigation, program text and repetition stay out of it."""

import subprocess
import sys
from pathlib import Path

import pytest
from hack import demo_text, help_pages, man_pages

ROOT = Path(__file__).parent.parent.parent

HELP = """<html><head><title>Notes</title><script>var a = 1 < 2;</script></head><body>
<header><a><p>LibreOffice Help</p></a></header><aside><label>Contents</label></aside>
<div id="DisplayArea"><h1><a name="x"></a>Inserting <b>notes</b></h1>
<p>Notes are numbered
   automatically.<br>Press <span class="switchinline"><span hidden="true" class="MAC">Command</span>
<span hidden="true" id="default1">Ctrl</span></span>+F&nbsp;&amp; wait.</p>
<div class="howtoget"><p>Choose Insert - Note.</p></div><pre>print("no")</pre>
<table><tr><td><p>12</p></td><td><p>a cell</p></td></tr></table>
<div class="relatedtopics"><p>Related Topics</p></div></div>
<footer><p>Title is: Notes</p></footer></body></html>"""

MANUAL = r""".\" a comment
.TH open 2 "5 février 2023"
.SH NOM
open, creat \- Ouvrir un fichier
.SH SYNOPSIS
.nf
.B int open(const char *pathname);
.fi
.SH DESCRIPTION
L'appel \fBopen\fP() ouvre
.IR pathname ;
voir
.BR fork "(2) et " exec (3).  \" why
.PP
.TP
.B O_CREAT
Crée le fichier\ : un\[aq]e \(lqchose\(rq.
.EX
open("x");
.EE
.TS
a	b
.TE
.SH "VOIR AUSSI"
.BR close (2)
"""


def test_a_help_page_gives_its_prose_alone() -> None:
    assert help_pages.paragraphs(HELP) == [
        "Inserting notes",
        "Notes are numbered automatically.",
        "Press Ctrl+F & wait.",
        "a cell",
    ]


def test_a_manual_page_gives_its_prose_alone() -> None:
    assert man_pages.paragraphs(MANUAL) == [
        "NOM",
        "open, creat - Ouvrir un fichier",
        "DESCRIPTION",
        "L'appel open() ouvre pathname; voir fork(2) et exec(3).",
        "O_CREAT Crée le fichier : un'e “chose”.",
    ]


@pytest.mark.parametrize("page", ["", ".Dd today\n.Dt LS 1\n.Sh NAME\n.Nm ls\n", '.B "open\n.SH'])
def test_a_manual_page_that_is_none_gives_nothing(page: str) -> None:
    assert man_pages.paragraphs(page) == []


def _pages(language: str, **names: list[str]) -> demo_text.Pages:
    return demo_text.Pages(language=language, paragraphs=dict(names))


def test_clean_keeps_pairs_and_no_sentence_twice() -> None:
    quoted = "This very sentence stands on many pages."
    english, french = "An English sentence of some length. " * 9, "Une phrase assez longue. " * 13
    texts = demo_text.clean(
        _pages("en", a=["A", quoted, english, "1 of 2"], b=[quoted, english + "b"], c=[english]),
        _pages("fr", a=["A", quoted, french], b=[french + "b", "1 of 2"], d=[french]),
    )
    assert texts["en"] == {"a": f"A\n{quoted}\n{english}\n1 of 2\n", "b": f"{english}b\n"}
    assert texts["fr"] == {"a": f"A\n{french}\n", "b": f"{french}b\n1 of 2\n"}


def test_clean_drops_a_page_that_is_short_in_one_language() -> None:
    texts = demo_text.clean(_pages("en", a=["word " * 99]), _pages("fr", a=["mot"]))
    assert texts == {"en": {}, "fr": {}}


def test_summary_sees_a_missing_page(tmp_path: Path) -> None:
    versions = dict.fromkeys(sum(demo_text.PACKAGES.values(), ()), "1:2.3-4")
    page = "x" * 2_100 + "\n"
    of = {f"p/{index}": page for index in range(demo_text.FEWEST_PAGES)}
    demo_text.write({"en": of, "fr": of}, versions, tmp_path)
    assert "en 2000 pages, 4.2 MB" in demo_text.summary(tmp_path)
    (tmp_path / "fr/p/7.txt").unlink()
    assert not demo_text.summary(tmp_path)


def test_write_refuses_a_package_that_has_changed(tmp_path: Path) -> None:
    versions = dict.fromkeys(sum(demo_text.PACKAGES.values(), ()), "1")
    with pytest.raises(demo_text.DemoTextError, match="gave only 1 pages"):
        demo_text.write({"en": {"a": "x"}, "fr": {"a": "x"}}, versions, tmp_path)


def test_without_apt_one_line_says_how_to_bring_text(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hack.demo_text", str(tmp_path / "text")],
        cwd=ROOT, env={"PATH": str(tmp_path)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "--corpus en=FOLDER" in done.stderr
    assert not (tmp_path / "text").exists()


def test_a_folder_of_someone_elses_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(demo_text.DemoTextError, match="holds something else"):
        demo_text.make(tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "mine"
