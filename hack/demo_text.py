"""Real English and French text for the quickstart, from Debian packages. `make demo` calls it.

LibreOffice's help and the Linux manual are the same pages in both languages, under the same names.
Each page becomes one .txt under `OUT/en/` and one under `OUT/fr/` with the same relative name, so
that `groupBy: file` keeps a page and its translation on the same side of the validation split.

Only Python's standard library, apt-get and dpkg-deb are used; no root, and nothing is installed.
"""

import argparse
import dataclasses
import gzip
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from hack import help_pages, man_pages

LANGUAGES = ("en", "fr")
PACKAGES = {
    "en": ("libreoffice-help-en-us", "manpages", "manpages-dev"),
    "fr": ("libreoffice-help-fr", "manpages-fr", "manpages-fr-dev"),
}
HELP = {"en": "usr/share/libreoffice/help/en-US/text", "fr": "usr/share/libreoffice/help/fr/text"}
MANUAL = {"en": "usr/share/man", "fr": "usr/share/man/fr"}
SECTIONS = ("man1", "man2", "man3", "man4", "man5", "man7", "man8")

FEWEST_PAGES = 2_000
FEWEST_BYTES = 4_000_000
"""Per language. Less than the packages have held for years: below it their layout has changed."""
SHORTEST_PAGE = 300
"""Characters; a shorter page is a list of links."""
LOST = (
    "other text will do: any two folders of .txt files, as examples/quickstart/README.md shows "
    "(scalingsweep run examples/quickstart/sweep.yaml --embedded --corpus en=FOLDER "
    "--corpus fr=FOLDER)"
)


class DemoTextError(Exception):
    """No text could be had; the message says what to do."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Pages:
    """One language: name without ending → paragraphs."""

    language: str
    paragraphs: dict[str, list[str]]


def fetch(folder: pathlib.Path) -> dict[str, str]:
    """Download the packages and unpack them into `folder`/unpacked; package → version.

    Raises:
        DemoTextError: with what to do instead.
    """
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise DemoTextError(f"this machine has no {tool}; {LOST}")
    names = [name for language in LANGUAGES for name in PACKAGES[language]]
    # apt drops root's rights for a download and then cannot write here
    apt = ["apt-get", *(["-o", "APT::Sandbox::User=root"] if os.geteuid() == 0 else [])]
    if _run([*apt, "download", *names], folder).returncode:
        apt += _own_index(folder)
        if _run([*apt, "update"], folder).returncode == 0:
            _run([*apt, "download", *names], folder)
    return {name: _unpack(name, folder) for name in names}


def _own_index(folder: pathlib.Path) -> list[str]:
    """Options that give apt an index of its own: the machine's may be missing, and is not ours."""
    for part in ("lists/partial", "cache/archives/partial"):
        (folder / part).mkdir(parents=True)
    return ["-o", f"Dir::State::Lists={folder}/lists", "-o", f"Dir::Cache={folder}/cache"]


def _unpack(name: str, folder: pathlib.Path) -> str:
    found = sorted(folder.glob(f"{name}_*.deb"))
    if not found:
        raise DemoTextError(
            f"apt-get cannot download {name} (`apt-get update` may tell why); {LOST}"
        )
    if _run(["dpkg-deb", "-x", str(found[0]), "unpacked"], folder).returncode:
        raise DemoTextError(f"dpkg-deb cannot unpack {found[0].name}; {LOST}")
    return _run(["dpkg-deb", "-f", str(found[0]), "Version"], folder).stdout.strip()


def _run(command: list[str], folder: pathlib.Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def read(unpacked: pathlib.Path, language: str) -> Pages:
    """The pages of one language, those of the manual under `manual/`."""
    pages: dict[str, list[str]] = {}
    root = unpacked / HELP[language]
    for file in root.rglob("*.html"):
        name = file.relative_to(root).with_suffix("").as_posix()
        pages[f"help/{name}"] = help_pages.paragraphs(file.read_text("utf-8"))
    root = unpacked / MANUAL[language]
    for section in SECTIONS:
        for file in (root / section).glob("*.gz"):
            if not file.is_symlink():  # the same page under another name
                page = gzip.decompress(file.read_bytes()).decode("utf-8", "replace")
                pages[f"manual/{section}/{file.stem}"] = man_pages.paragraphs(page)
    return Pages(language=language, paragraphs=pages)


def clean(source: Pages, target: Pages) -> dict[str, dict[str, str]]:
    """Language → name → text, of the pages that have enough prose in both languages.

    Pages quote one another, and translators leave some lines as they were. So a sentence is kept
    only where it first stands, and not in the target where the source has it anywhere.
    """
    names = sorted(source.paragraphs.keys() & target.paragraphs.keys())
    untranslated = {
        line for name in names for line in source.paragraphs[name] if _is_sentence(line)
    }
    texts = {
        source.language: _without(set(), source, names),
        target.language: _without(untranslated, target, names),
    }
    enough = [n for n in names if all(len(of[n]) >= SHORTEST_PAGE for of in texts.values())]
    return {language: {name: of[name] for name in enough} for language, of in texts.items()}


def _without(seen: set[str], pages: Pages, names: list[str]) -> dict[str, str]:
    texts = {}
    for name in names:
        kept = []
        for line in pages.paragraphs[name]:
            if line not in seen:
                kept.append(line)
            if _is_sentence(line):
                seen.add(line)
        texts[name] = "\n".join(kept) + "\n"
    return texts


def _is_sentence(line: str) -> bool:
    return line.count(" ") >= 4


def write(texts: dict[str, dict[str, str]], versions: dict[str, str], out: pathlib.Path) -> None:
    """Write all pages and, last, the README that says what they are.

    Raises:
        DemoTextError: when there is less text than the packages are known to hold.
    """
    rows = []
    for language, of in texts.items():
        size = sum(len(text.encode()) for text in of.values())
        packages = ", ".join(f"{name} {versions[name]}" for name in PACKAGES[language])
        if len(of) < FEWEST_PAGES or size < FEWEST_BYTES:
            raise DemoTextError(
                f"{packages} gave only {len(of)} pages and {size:,} bytes: their layout must have "
                f"changed; {LOST}"
            )
        rows.append(f"| {language} | {packages} | {len(of)} | {size} |")
        for name, text in of.items():
            file = out / language / f"{name}.txt"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, "utf-8")
    (out / "README.md").write_text(_README.format(rows="\n".join(rows)), "utf-8")


_README = """\
# Text of the quickstart
Written by hack/demo_text.py from Debian packages. `help/` is LibreOffice's help, licensed under the
Mozilla Public License 2.0 (copyright: LibreOffice contributors, and Oracle and/or its affiliates).
`manual/` is from the Linux man-pages project and its French translation: free, each page under the
licence that it names in its source (GPL, BSD, MIT or the Linux man-pages' own).

| language | packages | pages | bytes |
|---|---|---|---|
{rows}
"""
_ROW = re.compile(r"^\| (\w+) \| (.+) \| (\d+) \| (\d+) \|$", re.MULTILINE)


def summary(out: pathlib.Path) -> str:
    """What lies in `out`, for people; nothing where it is not whole."""
    readme = out / "README.md"
    if not readme.is_file():
        return ""
    said = {}
    for language, packages, count, size in _ROW.findall(readme.read_text("utf-8")):
        files = list((out / language).rglob("*.txt"))
        if (len(files), sum(file.stat().st_size for file in files)) != (int(count), int(size)):
            return ""
        said[language] = f"{language} {count} pages, {int(size) / 1e6:.1f} MB ({packages})"
    return f"text in {out}: " + "; ".join(said.values()) if set(said) == set(LANGUAGES) else ""


def make(out: pathlib.Path) -> None:
    """Fetch, clean and write the text to `out`, whole or not at all.

    Raises:
        DemoTextError: with what to do instead.
    """
    if out.exists() and any(out.iterdir()) and not (out / "README.md").is_file():
        raise DemoTextError(f"{out} holds something else: give another folder")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".demo-text-") as scratch:
        folder = pathlib.Path(scratch).resolve()
        versions = fetch(folder)
        source, target = (read(folder / "unpacked", language) for language in LANGUAGES)
        write(clean(source, target), versions, folder / "out")
        shutil.rmtree(out, ignore_errors=True)
        (folder / "out").rename(out)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("out", type=pathlib.Path, help="the folder to write en/ and fr/ to")
    out: pathlib.Path = parser.parse_args(arguments).out
    try:
        if not summary(out):
            make(out)
    except DemoTextError as error:
        print(f"demo text: {error}", file=sys.stderr)
        return 1
    print(summary(out))
    return 0


if __name__ == "__main__":
    sys.exit(main())
