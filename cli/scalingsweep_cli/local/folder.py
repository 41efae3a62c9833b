"""Where one machine keeps what it knows of a study: `.scalingsweep/` beside the manifest.

    lock                     held by the one runner of this folder
    s3/                      the embedded server's data, credentials and log
    cache/                   downloaded shards, shared by attempts
    sweeps/<name>/journal.jsonl
                  applied.json   the spec it was run with: what may be edited
                  logs/      what each attempt printed
                  outcomes/  what each attempt said of itself at its end
                  tmp/       what each attempt works with; removed when it is over
                  observations.csv, fit.json, report.html

All of it is for its owner's eyes alone (0700): the server's credentials are among it.
"""

from dataclasses import dataclass
from pathlib import Path

from scalingsweep.errors import DiskFull, SpecError, is_full

NAME = ".scalingsweep"


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """The data folder of one sweep."""

    root: Path
    """`.scalingsweep`, absolute."""
    sweep: str
    """Name of the sweep."""

    @classmethod
    def beside(cls, manifest: Path, sweep: str) -> "Folder":
        """The folder of a manifest's sweep; nothing is made yet."""
        return cls(root=manifest.resolve().parent / NAME, sweep=sweep)

    @property
    def base(self) -> Path:
        """The manifest's own folder, from which relative corpora are found."""
        return self.root.parent

    @property
    def lock(self) -> Path:
        """The lock file."""
        return self.root / "lock"

    @property
    def s3(self) -> Path:
        """The embedded server's folder."""
        return self.root / "s3"

    @property
    def cache(self) -> Path:
        """Downloaded shards."""
        return self.root / "cache"

    @property
    def home(self) -> Path:
        """What belongs to this sweep alone."""
        return self.root / "sweeps" / self.sweep

    @property
    def journal(self) -> Path:
        """The record of attempts."""
        return self.home / "journal.jsonl"

    @property
    def applied(self) -> Path:
        """The spec of the last run."""
        return self.home / "applied.json"

    def log(self, work: str, number: int) -> Path:
        """Log of one attempt."""
        return self.home / "logs" / f"{_file_name(work)}-a{number}.log"

    def outcome(self, work: str, number: int) -> Path:
        """Outcome of one attempt."""
        return self.home / "outcomes" / f"{_file_name(work)}-a{number}.json"

    def scratch(self, work: str, number: int) -> Path:
        """Temporary files of one attempt: a killed one removes none, and text can be large."""
        return self.scratches / f"{_file_name(work)}-a{number}"

    @property
    def scratches(self) -> Path:
        """The temporary files of all attempts."""
        return self.home / "tmp"

    def make(self) -> None:
        """Make the folders.

        Raises:
            SpecError: one cannot be written.
            DiskFull: there is no room for one.
        """
        for path in (
            self.root,
            self.cache,
            self.root / "sweeps",
            self.home,
            self.home / "logs",
            self.home / "outcomes",
            self.scratches,
        ):
            try:
                path.mkdir(mode=0o700, exist_ok=True)
            except OSError as error:
                if is_full(error):
                    raise DiskFull(path) from None
                raise SpecError(str(path), f"cannot be made ({error.strerror})") from None


def _file_name(work: str) -> str:
    # names and labels hold no comma, so that different work has different files
    return work.replace("/", ",")
