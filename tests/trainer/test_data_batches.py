"""What a trial reads: the same rows whatever the world size, the micro-batch and the breaks."""

import time
from pathlib import Path

import numpy as np
import pytest
import torch

from scalingsweep import order
from scalingsweep.api.shape import Shape
from scalingsweep.api.trial import NUMERICS_VERSION, CosineSchedule, Replay, TrialSpec
from scalingsweep.errors import DataError
from scalingsweep.store import Store
from scalingsweep_trainer.data import stream
from scalingsweep_trainer.data.batches import Batch, Batches, MicroBatch
from scalingsweep_trainer.trial import loop
from scalingsweep_trainer.trial.model import IGNORED
from support import token_shards

TARGET, SOURCE, TOKENIZER = "a" * 32, "b" * 32, "0" * 32
CONTEXT = 8
REPLAY = Replay(
    corpus=SOURCE,
    held_out="e" * 32,
    numerator=1,
    denominator=4,
    source_sequences=100,
    source_seed=3,
)


@pytest.fixture
def corpora(store: Store) -> Store:
    """A target of 500 sequences whose tokens are their positions; a source of 400, from 30,000."""
    token_shards.write(store, "corpora", TARGET, np.arange(500 * CONTEXT + 1), cuts=[999, 2500])
    token_shards.write(store, "corpora", SOURCE, np.arange(400 * CONTEXT + 1) + 30_000)
    return store


def spec(*, replay: Replay | None = REPLAY, batch: int = 10, seed: int = 0) -> TrialSpec:
    return TrialSpec(
        id="c" * 32,
        arm="cpt",
        size="tiny",
        seed=seed,
        shape=Shape(
            vocab_size=65_536, hidden_size=8, intermediate_size=8, layers=1, heads=1, kv_heads=1,
            context_length=CONTEXT,
        ),
        tokenizer=TOKENIZER,
        corpus=TARGET,
        held_out="d" * 32,
        replay=replay,
        batch_sequences=batch,
        schedule=CosineSchedule(type="cosine", peak=1e-3, warmup_steps=1),
        numerics_version=NUMERICS_VERSION,
        budgets=(batch * CONTEXT * 12,),
        validation=("d" * 32,),
    )  # fmt: skip


def read(
    made: stream.Stream, first: int, last: int, *, ledger: str = "", world: int = 1,
    rank: int = 0, micro_batch: int = 4, batch: int = 10,
) -> list[Batch]:  # fmt: skip
    with Batches(
        made, batch=batch, micro_batch=micro_batch, first=first, last=last, rank=rank,
        world=world, ledger=ledger,
    ) as batches:  # fmt: skip
        return list(batches)


def rows(batch: Batch) -> list[list[int]]:
    """The rows that count."""
    return [
        row.tolist()
        for micro in batch.micro_batches
        for row, counts in zip(micro.tokens, micro.counts, strict=True)
        if counts
    ]


def test_batches_are_the_documented_sequences(corpora: Store, tmp_path: Path) -> None:
    made = read(stream.of(spec(replay=None), corpora, tmp_path), 0, 12)
    found = [row for batch in made for row in rows(batch)]
    wanted = order.order(0, TARGET, np.arange(120), 500)
    assert found == [list(range(k * CONTEXT, k * CONTEXT + CONTEXT + 1)) for k in wanted.tolist()]
    assert [batch.step for batch in made] == list(range(12))
    assert [len(micro.tokens) for micro in made[0].micro_batches] == [4, 4, 2]


def test_replay_is_exact_and_the_sources_own(corpora: Store, tmp_path: Path) -> None:
    made = read(stream.of(spec(), corpora, tmp_path), 0, 80)
    found = [row for batch in made for row in rows(batch)]
    replayed = [row for row in found if row[0] >= 30_000]
    assert len(found) == 800
    assert len(replayed) == 200 == sum(batch.replayed for batch in made)
    for start in range(0, 800, 4):
        assert sum(row[0] >= 30_000 for row in found[start : start + 4]) == 1
    taken = order.order(3, SOURCE, np.arange(100), 400)  # what the source run consumed
    own = {(row[0] - 30_000) // CONTEXT for row in replayed}
    assert own == set(taken.tolist())
    plain = read(stream.of(spec(replay=None), corpora, tmp_path), 0, 50)
    targets = [row for row in found if row[0] < 30_000]
    assert targets[:500] == [row for batch in plain for row in rows(batch)]


@pytest.mark.parametrize("world", [2, 3, 4, 7])
@pytest.mark.parametrize("micro_batch", [1, 3, 10])
def test_neither_world_nor_micro_batch_changes_what_is_read(
    corpora: Store, tmp_path: Path, world: int, micro_batch: int
) -> None:
    made = stream.of(spec(), corpora, tmp_path)
    whole = read(made, 0, 4)
    ranks = [
        read(made, 0, 4, world=world, rank=rank, micro_batch=micro_batch) for rank in range(world)
    ]
    for step, batch in enumerate(whole):
        shares = [rank[step] for rank in ranks]
        assert [row for share in shares for row in rows(share)] == rows(batch)
        assert {share.ledger for share in shares} == {batch.ledger}
        shapes = {tuple(micro.tokens.shape for micro in share.micro_batches) for share in shares}
        assert len(shapes) == 1  # every rank runs as many forward passes, of the same sizes


def test_a_resumed_run_reads_on_where_it_was(corpora: Store, tmp_path: Path) -> None:
    made = stream.of(spec(), corpora, tmp_path)
    whole = read(made, 0, 9)
    first = read(made, 0, 5)
    second = read(made, 5, 9, ledger=first[-1].ledger)
    assert [rows(batch) for batch in first + second] == [rows(batch) for batch in whole]
    assert second[-1].ledger == whole[-1].ledger
    # the ledger tells runs apart that read something else, or in another order
    others = [
        read(stream.of(spec(seed=1), corpora, tmp_path), 0, 9)[-1].ledger,
        read(stream.of(spec(replay=None), corpora, tmp_path), 0, 9)[-1].ledger,
        read(made, 5, 9)[-1].ledger,
    ]
    assert len({whole[-1].ledger, *others}) == 4


def test_batches_are_read_ahead_and_waits_are_measured(corpora: Store, tmp_path: Path) -> None:
    made = stream.of(spec(), corpora, tmp_path)
    with Batches(made, batch=10, micro_batch=10, first=0, last=10**9) as batches:
        next(batches)
        time.sleep(0.3)  # meanwhile the thread fills its queue
        next(batches)
        assert 0 <= batches.waited < 0.1
        thread = batches._thread
    assert not thread.is_alive()
    batches.close()


def test_what_goes_wrong_in_the_thread_is_raised(corpora: Store, tmp_path: Path) -> None:
    made = stream.of(spec(), corpora, tmp_path)
    corpora.delete(f"corpora/{SOURCE}/shard-00000.bin")
    batches = Batches(made, batch=10, micro_batch=10, first=0, last=3)
    with pytest.raises(DataError, match="is gone"):
        next(batches)
    assert not batches._thread.is_alive()


def test_a_corpus_that_does_not_fit_the_trial_is_refused(store: Store, tmp_path: Path) -> None:
    token_shards.write(store, "corpora", TARGET, np.arange(999), tokenizer="1" * 32)
    with pytest.raises(DataError, match="was made with tokenizer 1111"):
        stream.of(spec(replay=None), store, tmp_path)
    token_shards.write(store, "corpora", TARGET, np.arange(CONTEXT))
    with pytest.raises(DataError, match="less than one sequence"):
        stream.of(spec(replay=None), store, tmp_path)


@pytest.mark.parametrize("rows", [1, 2])
def test_a_row_that_does_not_count_has_no_labels_and_keeps_its_inputs(rows: int) -> None:
    ids = np.arange(rows * 5).reshape(rows, 5)
    part = MicroBatch(tokens=ids.copy(), counts=np.arange(rows) < rows - 1)
    inputs, labels = loop.tensors(part, torch.device("cpu"))
    assert inputs.tolist() == ids[:, :-1].tolist()
    assert labels.tolist() == [*ids[:-1, 1:].tolist(), [IGNORED] * 4]
    assert part.tokens.tolist() == ids.tolist()
