"""Checkpoints in S3, in the format of torch.distributed.checkpoint (DCP), for any number of ranks.

A save copies the state to the CPU and goes on in a thread: DCP writes this rank's shard into a
temporary folder, from where it is uploaded; `.metadata` goes last, when all shards are there, and
its presence makes the checkpoint complete. A read fetches just the files that this rank's part of
the model lies in.
"""

import tempfile
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch.distributed as dist
from torch.distributed.checkpoint.filesystem import FileSystemReader, FileSystemWriter
from torch.distributed.checkpoint.state_dict_loader import load as dcp_load
from torch.distributed.checkpoint.state_dict_saver import save as dcp_save

from scalingsweep.api.trial import TrialSpec
from scalingsweep.store import Store
from scalingsweep_trainer.trial import itinerary, layout
from scalingsweep_trainer.trial.claim import Claim
from scalingsweep_trainer.trial.itinerary import Saved
from scalingsweep_trainer.trial.ranks import Ranks
from scalingsweep_trainer.trial.state import Snapshot


def found(store: Store, trial: str) -> list[Saved]:
    """All complete checkpoints of a trial, of every generation."""
    return sorted(saved for saved, names in _folders(store, trial).items() if _complete(names))


def load(store: Store, trial: str, saved: Saved, into: Snapshot, ranks: Ranks) -> None:
    """Read a checkpoint into tensors of the right form, in place; what `into` lacks is not read."""
    with tempfile.TemporaryDirectory(prefix="scalingsweep-") as folder:
        dcp_load(
            into,
            storage_reader=_Reader(store, layout.checkpoint(trial, saved), Path(folder)),
            process_group=ranks.control,
            no_dist=ranks.size == 1,
        )


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
        self._places = itinerary.kept(spec)
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
            dcp_save(
                snapshot,
                storage_writer=FileSystemWriter(folder, sync_files=False),
                process_group=self._ranks.background,
                no_dist=self._ranks.size == 1,
            )
            files = [file for file in Path(folder).iterdir() if file.name != layout.METADATA]
            for file in files:
                self._store.upload_file(key + file.name, file)
            if self._ranks.background is not None:
                dist.barrier(self._ranks.background)
            if self._claim is not None:
                self._claim.check()
                self._store.put(
                    key + layout.METADATA, (Path(folder) / layout.METADATA).read_bytes()
                )
                self._prune()

    def _prune(self) -> None:
        """Remove what nothing needs any more, of this generation and of those before it."""
        folders = _folders(self._store, self._trial)
        ours = {one: names for one, names in folders.items() if one.generation <= self._generation}
        complete = [one for one, names in ours.items() if _complete(names)]
        # whatever an earlier attempt was writing when it died will never be completed
        torn = [one for one in ours if one not in complete and one.generation < self._generation]
        old = itinerary.superfluous(complete, places=self._places, keep_last=self._keep_last)
        for one in old + torn:
            folder = layout.checkpoint(self._trial, one)
            # without its metadata it is no checkpoint from the first delete on
            for name in sorted(ours[one], key=lambda name: name != layout.METADATA):
                self._store.delete(folder + name)
        for one in torn:
            self._store.abort_multipart(layout.checkpoint(self._trial, one))


def _folders(store: Store, trial: str) -> dict[Saved, set[str]]:
    """The names of the objects of every checkpoint, complete or not."""
    folders: dict[Saved, set[str]] = {}
    for key in store.list(layout.generations(trial)):
        saved = layout.checkpoint_of(trial, key)
        if saved is not None:
            folders.setdefault(saved, set()).add(key.rpartition("/")[2])
    return folders


def _complete(names: set[str]) -> bool:
    return layout.METADATA in names


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
