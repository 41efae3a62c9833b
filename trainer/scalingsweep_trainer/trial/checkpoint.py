"""Checkpoints in S3, in the format of torch.distributed.checkpoint (DCP), for any number of ranks.

A save copies the state to the CPU and goes on in a thread: DCP writes this rank's shard into a
temporary folder, from where it is uploaded; `.metadata` goes last, when all shards are there, and
its presence makes the checkpoint complete. A read fetches just the files that this rank's part of
the model lies in.

An attempt can be stopped for hours between its last look at the claim and the write of `.metadata`,
and be let go when its successor has removed the shards. So `.metadata` is written with
If-None-Match, and whoever removes another attempt's checkpoint first puts an empty one in its
place, which stays: that checkpoint can never be completed any more.
"""

import tempfile
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch.distributed as dist
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.filesystem import FileSystemReader, FileSystemWriter
from torch.distributed.checkpoint.state_dict_loader import load as dcp_load
from torch.distributed.checkpoint.state_dict_saver import save as dcp_save

from scalingsweep.api.trial import TrialSpec
from scalingsweep.store import Store
from scalingsweep_trainer import drill, endings
from scalingsweep_trainer.trial import itinerary, layout
from scalingsweep_trainer.trial.claim import Claim
from scalingsweep_trainer.trial.itinerary import Saved
from scalingsweep_trainer.trial.ranks import Ranks
from scalingsweep_trainer.trial.state import Snapshot

_VOID = b""
"""The metadata of a checkpoint that is none."""


def found(store: Store, trial: str) -> list[Saved]:
    """All complete checkpoints of a trial, of every generation."""
    return sorted(saved for saved, names in _folders(store, trial).items() if _complete(names))


def load(store: Store, trial: str, saved: Saved, into: Snapshot, ranks: Ranks) -> None:
    """Read a checkpoint into tensors of the right form, in place; what `into` lacks is not read."""
    with tempfile.TemporaryDirectory(prefix="scalingsweep-") as folder, _unwrapped():
        dcp_load(
            into,
            storage_reader=_Reader(store, layout.checkpoint(trial, saved), Path(folder)),
            process_group=ranks.control,
            no_dist=ranks.size == 1,
        )


def settle(store: Store, trial: str, generation: int) -> None:
    """Put an end to what older attempts were writing when they died or were stopped.

    Called by rank 0 between its claim and its first look at what there is, so that what it sees
    complete then is all of theirs that ever will be.
    """

    def older(key: str) -> bool:
        saved = layout.checkpoint_of(trial, key)
        return saved is not None and saved.generation < generation

    store.abort_multipart(layout.generations(trial), older)
    for saved, names in _folders(store, trial).items():
        torn = not _complete(names) and saved.generation < generation
        if torn and _bury(store, trial, saved):
            _remove(store, trial, saved, names)


class Checkpoints:
    """The checkpoints that this attempt writes. One write at a time goes on in the background."""

    def __init__(
        self,
        store: Store,
        spec: TrialSpec,
        ranks: Ranks,
        *,
        generation: int,
        claim: Claim | None,
        keep_last: int,
    ) -> None:
        """Nothing is read or written yet.

        Args:
            store: where.
            spec: the trial, with every budget that it ever had: their checkpoints stay.
            ranks: all of them save together.
            generation: the claim's.
            claim: the claim itself, on rank 0.
            keep_last: resumable checkpoints that stay.
        """
        self._store = store
        self._trial = spec.id
        self._spec = spec
        self._ranks = ranks
        self._generation = generation
        self._claim = claim
        self._keep_last = keep_last
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint")
        self._writing: Future[None] | None = None
        self._written: set[Saved] = set()

    def save(self, snapshot: Snapshot, branch: str, step: int) -> Saved:
        """Start to write; waits for the write before. A collective.

        Raises:
            Superseded: a newer claim exists (now, or from `wait`).
        """
        saved = Saved(step=step, generation=self._generation, branch=branch)
        self.wait()
        if saved not in self._written:
            self._written.add(saved)
            self._writing = self._thread.submit(self._write, saved, snapshot)
            drill.meet(step)
        return saved

    def wait(self) -> None:
        """Wait until the last checkpoint is complete, and raise what stopped it."""
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()

    def close(self) -> None:
        """End the thread; a write that goes on is finished first."""
        self._thread.shutdown()

    def _write(self, saved: Saved, snapshot: Snapshot) -> None:
        key = layout.checkpoint(self._trial, saved)
        if self._claim is not None:
            self._claim.check()
        with tempfile.TemporaryDirectory(prefix="scalingsweep-") as folder:
            with _unwrapped():
                dcp_save(
                    snapshot,
                    storage_writer=FileSystemWriter(folder, sync_files=False),
                    process_group=self._ranks.background,
                    no_dist=self._ranks.size == 1,
                )
            files = [file for file in Path(folder).iterdir() if file.name != layout.METADATA]
            for file in files:
                self._store.upload_file(key + file.name, file)
            drill.at("save", saved.step)
            if self._ranks.background is not None:
                dist.barrier(self._ranks.background)
            if self._claim is not None:
                self._claim.check()
                drill.at("commit", saved.step)
                metadata = (Path(folder) / layout.METADATA).read_bytes()
                if not self._store.put_if_absent(key + layout.METADATA, metadata):
                    raise endings.Superseded("a newer attempt has closed this checkpoint")
                self._prune(self._claim)

    def _prune(self, claim: Claim) -> None:
        """Remove what nothing needs any more, of this generation and of those before it."""
        folders = _folders(self._store, self._trial)
        ours = {one: names for one, names in folders.items() if one.generation <= self._generation}
        complete = [one for one, names in ours.items() if _complete(names)]
        # a branch that somebody began is a budget that somebody asked for
        begun = {int(one.branch) for one in folders if one.branch != itinerary.TRUNK}
        budgets = tuple(sorted(begun | set(self._spec.budgets)))
        places = itinerary.kept(self._spec.model_copy(update={"budgets": budgets}))
        for one in itinerary.superfluous(complete, places=places, keep_last=self._keep_last):
            claim.check()
            # without its metadata it is no checkpoint from here on
            if one.generation == self._generation:
                self._store.delete(layout.checkpoint(self._trial, one) + layout.METADATA)
            else:
                self._store.put(layout.checkpoint(self._trial, one) + layout.METADATA, _VOID)
            _remove(self._store, self._trial, one, ours[one])


@contextmanager
def _unwrapped() -> Iterator[None]:
    """Raise what went wrong at the first rank that tells.

    DCP's own exception is no Exception: whoever gives an error its class would not see it.
    """
    try:
        yield
    except CheckpointException as error:
        raise error.failures[min(error.failures)][0] from None


def _bury(store: Store, trial: str, saved: Saved) -> bool:
    """Make an incomplete checkpoint one that stays so; False if it was completed just before."""
    key = layout.checkpoint(trial, saved) + layout.METADATA
    return store.put_if_absent(key, _VOID) or not store.get(key)


def _remove(store: Store, trial: str, saved: Saved, names: Collection[str]) -> None:
    """Delete a checkpoint's shards."""
    for name in names:
        if name != layout.METADATA:
            store.delete(layout.checkpoint(trial, saved) + name)


def _folders(store: Store, trial: str) -> dict[Saved, dict[str, int]]:
    """The names and bytes of the objects of every checkpoint, complete or not."""
    folders: dict[Saved, dict[str, int]] = {}
    for key, size in store.sizes(layout.generations(trial)).items():
        saved = layout.checkpoint_of(trial, key)
        if saved is not None:
            folders.setdefault(saved, {})[key.rpartition("/")[2]] = size
    return folders


def _complete(names: Mapping[str, int]) -> bool:
    return names.get(layout.METADATA, 0) > len(_VOID)


class _Reader(FileSystemReader):
    """DCP's reader of a folder, which fetches a file from S3 when it is first wanted."""

    def __init__(self, store: Store, key: str, folder: Path) -> None:
        super().__init__(folder)
        self._store = store
        self._key = key
        self._folder = folder

    def read_metadata(self, *args: Any, **kwargs: Any) -> Any:
        self._fetch(layout.METADATA)
        return super().read_metadata(*args, **kwargs)

    def read_data(self, plan: Any, planner: Any) -> Any:
        for item in plan.items:
            self._fetch(self.storage_data[item.storage_index].relative_path)
        return super().read_data(plan, planner)

    def _fetch(self, name: str) -> None:
        path = self._folder / name
        if not path.exists():
            self._store.download_file(self._key + name, path)
