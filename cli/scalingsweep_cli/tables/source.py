"""What `scalingsweep results` reads: studies by their manifests, and observations.csv files."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scalingsweep import observations, store
from scalingsweep.errors import DataError, SpecError
from scalingsweep_cli import files, kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One study, or one table."""

    name: str
    """What it is called in a comparison."""
    path: Path
    rows: Sequence[observations.Row]
    corpora: tuple[str, ...]
    """Those whose losses the rows have."""
    missing: tuple[str, ...] = ()
    """Planned observations that are not there, in words."""
    fits: Sequence[Mapping[str, Any]] = ()
    """Of fit.json; none where nothing is fitted yet."""
    validation: Mapping[str, str] = field(default_factory=dict)
    """Corpus → digest of its held-out text. Empty for a table: it does not say."""
    tokenizer: str = ""


def read(path: Path, *, embedded: bool) -> Source:
    """Read a manifest's study from its storage, or a table with the fit.json beside it.

    Raises:
        SpecError: the file, or what it names, is not there or is none of ours.
    """
    return _table(path) if path.suffix.lower() == ".csv" else _study(path, embedded=embedded)


def named(sources: Sequence[Source]) -> list[Source]:
    """The sources under names of which no two are alike.

    Raises:
        SpecError: one is given twice.
    """
    import dataclasses

    paths = [source.path.resolve() for source in sources]
    for path in paths:
        if paths.count(path) > 1:
            raise SpecError(str(path), "is given twice: name each study once")
    names = [source.name for source in sources]
    return [
        dataclasses.replace(source, name=str(source.path))
        if names.count(source.name) > 1
        else source
        for source in sources
    ]


def _study(path: Path, *, embedded: bool) -> Source:
    found = kept.find(path, embedded=embedded)
    with kept.opened(found) as study:
        rows, missing = study.rows()
        try:
            fits = study.store.get_json(f"{found.address}/fit.json")["fits"]
        except store.Missing:
            fits = []
    return Source(
        name=found.study.sweep.metadata.name,
        path=path,
        rows=rows,
        corpora=tuple(corpus.name for corpus in found.prepared.corpora),
        missing=tuple(missing),
        fits=fits,
        validation={corpus.name: corpus.validation for corpus in found.prepared.corpora},
        tokenizer=found.prepared.tokenizer,
    )


def _table(path: Path) -> Source:
    rows, corpora = observations.from_csv(files.text(path), str(path))
    whole = path.resolve()
    return Source(
        name=whole.parent.name if path.stem == "observations" else path.stem,
        path=path,
        rows=rows,
        corpora=corpora,
        fits=_fits(path.with_name("fit.json")),
    )


def _fits(path: Path) -> Sequence[Mapping[str, Any]]:
    if not path.exists():
        return []
    try:
        fits = json.loads(files.text(path))["fits"]
        assert all(isinstance(fit["parameters"], dict) for fit in fits)
    except (ValueError, KeyError, TypeError, AssertionError):
        raise DataError(str(path), "is no fit.json of ours: remove or mend it") from None
    made: Sequence[Mapping[str, Any]] = fits
    return made
