"""The spec that a study on this machine has trained by: what may still be edited follows from it.

`run` asks before it starts anything, and the commands that read a study ask too: they find its
results by ids that they compute from the manifest as it is now.
"""

import json
import os

from scalingsweep import edits
from scalingsweep.api.sweep import SweepSpec
from scalingsweep.errors import DataError, DiskFull, SpecError, is_full
from scalingsweep.world import Job
from scalingsweep_cli.local.folder import Folder
from scalingsweep_cli.local.journal import Journal, work_of


def check(folder: Folder, spec: SweepSpec) -> None:
    """Refuse a spec that the study cannot go on with.

    Args:
        folder: the study's.
        spec: as it would be run; its storage is None where the embedded server is used.

    Raises:
        SpecError: naming the field and the mend.
    """
    former = _read(folder)
    error = edits.refused(former, spec) if former is not None else None
    if error is not None:
        raise error


def settle(folder: Folder, spec: SweepSpec, record: Journal) -> None:
    """Check a spec that is about to be run, and write it down.

    Until a trial has been started anything may be mended; what is written is the newest spec.

    Raises:
        SpecError: as `check`, or the folder cannot be written.
        DiskFull: there is no room for it.
    """
    if any(not isinstance(work_of(entry), Job) for entry in record.entries.values()):
        check(folder, spec)
    draft = folder.applied.with_suffix(".part")
    try:
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(spec.to_wire(), file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(folder.applied)
    except OSError as error:
        if is_full(error):
            raise DiskFull(folder.applied) from None
        raise SpecError(str(folder.applied), f"cannot be written ({error.strerror})") from None


def _read(folder: Folder) -> SweepSpec | None:
    try:
        return SweepSpec.from_wire(json.loads(folder.applied.read_text()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, SpecError):
        raise DataError(
            str(folder.applied),
            "is no spec of ours: remove it, and nothing tells any more what must stay as it was",
        ) from None
