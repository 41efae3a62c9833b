"""SIGKILL at random moments, then the same command again: as if nothing had been."""

import itertools
from collections import Counter
from pathlib import Path

import pytest

from support import chaos


def _undisturbed(folder: Path, text: Path, **changes: int) -> tuple[chaos.Study, chaos.Kept]:
    study = chaos.make(folder, text, **changes)
    assert study.run() == 0, study.said()
    return study, chaos.kept(study)


def _same(study: chaos.Study, whole: chaos.Study, kept: chaos.Kept) -> None:
    assert study.table == whole.table
    found = chaos.kept(study)
    assert found.ledgers == kept.ledgers
    assert found.results == kept.results
    assert found.retrained == []
    assert found.uploads == 0
    assert chaos.started_after_done(study) == []
    assert study.leftovers() == []
    assert list((study.home / "tmp").iterdir()) == []


pytestmark = pytest.mark.e2e  # minutes each


def test_a_few_kills(tmp_path: Path, text: Path) -> None:
    whole, kept = _undisturbed(tmp_path / "whole", text, sizes=1, arms=2)
    killed = chaos.make(tmp_path / "killed", text, sizes=1, arms=2)
    with killed.store() as store:  # as a prepare leaves it that is killed in a large shard
        key = f"{store.location.prefix}/corpora/{'0' * 32}/shard-00000.bin"
        store._client.create_multipart_upload(Bucket=store.location.bucket, Key=key)
    killer = chaos.under_fire(killed, seed=4, kills=5)
    print(killer.kills)
    assert len(killer.kills) >= 5
    _same(killed, whole, kept)


def test_fifty_kills(tmp_path: Path, text: Path) -> None:
    """A study may be finished before its share of kills has come: then another one is killed."""
    whole, kept = _undisturbed(tmp_path / "whole", text)
    kills: Counter[str] = Counter()
    for round_ in itertools.count():
        killed = chaos.make(tmp_path / f"killed{round_}", text)
        kills.update(chaos.under_fire(killed, seed=round_, kills=60 - kills.total()).kills)
        _same(killed, whole, kept)
        if kills.total() >= 50:
            break
    assert set(chaos.MOMENTS) == set(kills), "each kind of moment must have come"
    print(dict(kills), "in", round_ + 1, "studies")
