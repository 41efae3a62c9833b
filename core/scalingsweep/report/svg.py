"""Make matplotlib's SVG fit to stand inside a page.

Called by `panel`. Takes what would reach out of the figure (doctype, metadata, ids that clash, a
global style element) and gives what a page and its reader need: classes in place of style
attributes (so that a strict content security policy holds), colours as CSS variables, text as
text, a title and a description, and data attributes from which the plotted numbers can be read.
"""

import re
from collections.abc import Mapping

# what is parsed is matplotlib's own output of a moment ago, not a stranger's document
from xml.etree import ElementTree as ET

from scalingsweep.report import palette

_SVG = "http://www.w3.org/2000/svg"
_XLINK = "{http://www.w3.org/1999/xlink}href"
_DECIMALS = re.compile(r"-?\d+\.\d+")
_COLOUR = re.compile(r"#fe[0-9a-f]{4}")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


class Styles:
    """The style attributes of all figures of a page, each turned into one class, in order."""

    def __init__(self) -> None:
        self._classes: dict[str, str] = {}

    def class_of(self, style: str) -> str:
        """The class that stands for this declaration list."""
        return self._classes.setdefault(style, f"s{len(self._classes)}")

    def css(self) -> str:
        """One rule per class."""
        return "".join(f".{name}{{{style}}}\n" for style, name in self._classes.items())


def clean(text: str) -> str:
    """The text without characters that XML cannot carry."""
    return _CONTROL.sub("�", text)


def embed(
    source: str,
    *,
    prefix: str,
    title: str,
    description: str,
    axes: Mapping[str, str],
    series: Mapping[str, Mapping[str, str]],
    styles: Styles,
) -> str:
    """Matplotlib's SVG document as an element of a page.

    Args:
        source: the document.
        prefix: put before every id, unique on the page.
        title: the accessible name.
        description: the accessible description.
        axes: data attributes of the whole figure (how data become coordinates).
        series: data attributes of each group, by its gid.
        styles: where the page's classes are kept.
    """
    root = ET.fromstring(source)  # noqa: S314  # our own output, see above
    for child in list(root):
        if child.tag == f"{{{_SVG}}}metadata":
            root.remove(child)
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag == f"{{{_SVG}}}style":
                parent.remove(child)
    for node in root.iter():
        _tidy(node, prefix, styles)
        node.attrib.update(
            {f"data-{key}": clean(text) for key, text in series.get(_gid(node, prefix), {}).items()}
        )
    for size in ("width", "height", "version"):
        root.attrib.pop(size, None)
    root.attrib.update({f"data-{key}": text for key, text in axes.items()})
    names = {"title": clean(title), "desc": clean(description)}
    root.set("role", "img")
    root.set("aria-labelledby", " ".join(f"{prefix}-{tag}" for tag in names))
    for place, (tag, text) in enumerate(names.items()):
        node = ET.Element(f"{{{_SVG}}}{tag}", {"id": f"{prefix}-{tag}"})
        node.text = text
        root.insert(place, node)
    return _serialise(root)


def _gid(node: ET.Element, prefix: str) -> str:
    return node.get("id", "").removeprefix(f"{prefix}-")


def _tidy(node: ET.Element, prefix: str, styles: Styles) -> None:
    if "id" in node.attrib:
        node.set("id", f"{prefix}-{node.get('id')}")
    if _XLINK in node.attrib:
        node.set("href", f"#{prefix}-{node.attrib.pop(_XLINK).removeprefix('#')}")
    if "clip-path" in node.attrib:
        node.set("clip-path", node.get("clip-path", "").replace("url(#", f"url(#{prefix}-"))
    if "d" in node.attrib:
        node.set("d", _short(" ".join(node.get("d", "").split()), 2))
    for key in ("x", "y"):
        if key in node.attrib:
            node.set(key, _short(node.get(key, ""), 3))
    if "style" in node.attrib:
        node.set("class", styles.class_of(_declarations(node.attrib.pop("style"))))
    # an indentation of matplotlib's, worth a tenth of the page
    if node.tag != f"{{{_SVG}}}text" and not (node.text or "").strip():
        node.text = None
    if not (node.tail or "").strip():
        node.tail = None


def _declarations(style: str) -> str:
    """Variables for sentinels, and the page's own typeface for matplotlib's."""
    kept = (part.strip() for part in style.split(";") if part.strip() and "font-family" not in part)
    return _COLOUR.sub(_variable, ";".join(kept))


def _variable(found: re.Match[str]) -> str:
    place = int(found[0][1:], 16) - int(palette.sentinel(palette.names()[0])[1:], 16)
    return f"var(--{palette.names()[place]})"


def _short(numbers: str, decimals: int) -> str:
    def shorten(found: re.Match[str]) -> str:
        text = f"{float(found[0]):.{decimals}f}".rstrip("0").rstrip(".")
        return "0" if text == "-0" else text

    return _DECIMALS.sub(shorten, numbers)


def _serialise(root: ET.Element) -> str:
    # HTML puts the element into SVG's namespace by its name; prefixes would be plain text to it
    for node in root.iter():
        node.tag = node.tag.removeprefix(f"{{{_SVG}}}")
    return ET.tostring(root, encoding="unicode")
