"""LibreOffice's help pages (HTML) as paragraphs of prose. `demo_text` calls it."""

import html.parser
import re

_VOID = frozenset(
    [
        "area",
        "base",
        "br",
        "col",
        "embed",
        "hr",
        "img",
        "input",
        "link",
        "meta",
        "source",
        "track",
        "wbr",
    ],
)
_BLOCKS = frozenset(
    [
        "br",
        "dd",
        "div",
        "dl",
        "dt",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "hr",
        "li",
        "ol",
        "p",
        "table",
        "td",
        "th",
        "tr",
        "ul",
    ],
)
_NO_PROSE = frozenset(
    ["aside", "button", "footer", "head", "header", "nav", "noscript", "pre", "script", "style"]
)
_NO_PROSE_CLASSES = frozenset(
    [
        "howtoget",  # menu paths
        "relatedtopics",  # titles of other pages
        "noteicon",
        "code",
        "codeintable",
        "smathcode",
        "MAC",  # the same words once more, with a Mac's names of keys
    ]
)


def paragraphs(page: str) -> list[str]:
    """The prose of one help page in HTML: no navigation, no menu paths, no program text."""
    parser = _Page()
    parser.feed(page)
    parser.close()
    return parser.paragraphs


class _Page(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._open: list[tuple[str, bool, bool]] = []  # tag, whether it is kept, whether a switch
        self._words: list[str] = []
        self.paragraphs: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _BLOCKS:
            self._end_paragraph()
        if tag in _VOID:
            return
        given = {name: value or "" for name, value in attrs}
        classes = set(given.get("class", "").split())
        _, kept, in_switch = self._open[-1] if self._open else ("", True, False)
        if tag in _NO_PROSE or classes & _NO_PROSE_CLASSES:
            kept = False
        if in_switch and not given.get("id", "").startswith("default"):
            kept = False  # `switchinline` has the same words for several systems: one is enough
        self._open.append((tag, kept, "switchinline" in classes))

    def handle_endtag(self, tag: str) -> None:
        if tag in _BLOCKS:
            self._end_paragraph()
        if any(tag == opened for opened, _, _ in self._open):
            while self._open.pop()[0] != tag:
                pass

    def handle_data(self, data: str) -> None:
        if not self._open or self._open[-1][1]:
            self._words.append(data)

    def close(self) -> None:
        super().close()
        self._end_paragraph()

    def _end_paragraph(self) -> None:
        text = " ".join("".join(self._words).split())
        self._words.clear()
        if re.search(r"[^\W\d_]{2}", text):  # a word; not a cell of numbers
            self.paragraphs.append(text)
