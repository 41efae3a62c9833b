"""A part of the demo's English and French text, in the bucket and in a folder: the same pages.

`stage` copies it; the same study on one machine reads the folder.
"""

import concurrent.futures
import hashlib
import shutil
from pathlib import Path

from hack import demo_text

from scalingsweep.store import Store

PREFIX = "text"
_BYTES = 1_600_000
"""Of each language: far more than 200k tokens of a small vocabulary need."""


def make(folder: Path, source: Path) -> Path:
    """Lay out the pages, each in both languages under one name, and answer with the folder.

    Args:
        folder: takes `en/` and `fr/`; what is there stays.
        source: the whole of the demo's text; fetched when it is not there.
    """
    if not source.exists():
        demo_text.make(source)
    if folder.exists():
        return folder
    draft = folder.with_suffix(".draft")
    shutil.rmtree(draft, ignore_errors=True)
    taken = dict.fromkeys(demo_text.LANGUAGES, 0)
    pages = (page.relative_to(source / "en") for page in (source / "en").rglob("*.txt"))
    for name in sorted(pages, key=_anyhow):
        if not (source / "fr" / name).exists():
            continue
        for language in taken:
            target = draft / language / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / language / name, target)
            taken[language] += target.stat().st_size
        if min(taken.values()) >= _BYTES:
            break
    draft.replace(folder)
    return folder


def upload(folder: Path, store: Store) -> int:
    """Copy it into a bucket, and answer how many objects that are."""
    files = sorted(folder.rglob("*.txt"))
    keys = [f"{file.relative_to(folder)}" for file in files]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for _ in pool.map(lambda key, file: store.put(key, file.read_bytes()), keys, files):
            pass
    return len(files)


def _anyhow(name: Path) -> bytes:
    """An order that mixes help and manual, the same everywhere."""
    return hashlib.sha256(str(name).encode()).digest()
