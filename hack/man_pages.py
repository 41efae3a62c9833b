"""Manual pages (roff, the `man` macros) as paragraphs of prose. `demo_text` calls it.

Only what the Linux man-pages project and its translations use is understood; a bare machine has no
groff to do it properly.
"""

import re
import shlex

_JOINED = frozenset(["BR", "BI", "IB", "IR", "RB", "RI", "SB"])  # no spaces between arguments
_SPACED = frozenset(["B", "I", "SM"])
_NEW_PARAGRAPH = frozenset(["PP", "LP", "P", "TP", "TQ", "IP", "HP", "RS", "RE", "br", "sp"])
_VERBATIM = {"nf": "fi", "EX": "EE", "TS": "TE", "SY": "YS"}  # program text and tables
_NO_PROSE = frozenset(
    [
        *("SYNOPSIS", "LIBRARY", "BIBLIOTHÈQUE", "ATTRIBUTES", "ATTRIBUTS"),
        *("SEE ALSO", "VOIR AUSSI", "COLOPHON", "TRADUCTION"),
    ]
)
_CHARACTERS = {
    "aq": "'",
    "oq": "‘",
    "cq": "’",
    "lq": "“",
    "rq": "”",
    "dq": '"',
    "Fo": "«",
    "Fc": "»",
    "em": "—",
    "en": "–",
    "ti": "~",
    "ha": "^",
    "ga": "`",
    "rs": "\\",
    "bv": "|",
    "mu": "×",
    "+-": "±",
    "<=": "≤",
    ">=": "≥",
    "->": "→",
    "co": "©",
    "mc": "µ",
    "bu": "",
}
_ESCAPE = re.compile(
    r"\\(?:f(?:\[[^]]*\]|\(..|.)|s[-+]?\d|m\[[^]]*\]"  # fonts, sizes, colours: nothing to read
    r"|\[(?P<long>[^]]*)\]|\((?P<short>..)|(?P<one>.))"
)
_ONE = {"-": "-", "e": "\\", " ": " ", "~": " ", "0": " ", "'": "'", "`": "`", ".": ".", "\\": "\\"}


def paragraphs(page: str) -> list[str]:
    """The prose of one manual page: no synopsis, no program text, no tables, no references.

    A page in the other macro language, mdoc, gives nothing.
    """
    found: list[str] = []
    words: list[str] = []
    wanted, until = False, ""

    def end_paragraph() -> None:
        text = " ".join(" ".join(words).split())
        words.clear()
        if wanted and re.search(r"[^\W\d_]{2}", text):
            found.append(text)

    for line in page.replace("\\\n", "").splitlines():  # a backslash at its end continues a line
        macro, arguments = _split(line)
        if until:
            until = "" if macro == until else until
        elif macro in _VERBATIM:
            end_paragraph()
            until = _VERBATIM[macro]
        elif macro in {"SH", "SS"}:
            end_paragraph()
            heading = _plain(" ".join(arguments))
            wanted = heading not in _NO_PROSE if macro == "SH" else wanted
            words.append(heading)
            end_paragraph()
        elif macro in _NEW_PARAGRAPH or (macro is None and not line.strip()):
            end_paragraph()
        elif macro in _JOINED:
            words.append(_plain("".join(arguments)))
        elif macro in _SPACED:
            words.append(_plain(" ".join(arguments)))
        elif macro is None:
            words.append(_plain(line))
    end_paragraph()
    return found


def _split(line: str) -> tuple[str | None, list[str]]:
    """The macro of a control line and its arguments; None for a line of text."""
    if not line.startswith((".", "'")):
        return None, []
    name, _, rest = line[1:].lstrip().partition(" ")
    if name.startswith('\\"'):
        return "comment", []
    rest = re.sub(r'(^|\s)\\".*$', "", rest)
    lexer = shlex.shlex(rest.replace("\\ ", "\\~"), posix=True)
    lexer.whitespace_split, lexer.quotes, lexer.escape, lexer.commenters = True, '"', "", ""
    try:
        return name, list(lexer)
    except ValueError:  # a quotation mark that is not closed: roff closes it at the line's end
        return name, rest.replace('"', "").split()


def _plain(text: str) -> str:
    return _ESCAPE.sub(_character, re.sub(r'\\".*$', "", text))


def _character(match: re.Match[str]) -> str:
    named = match["long"] or match["short"]
    if named:
        return _CHARACTERS.get(named, "")
    return _ONE.get(match["one"] or "", "")
