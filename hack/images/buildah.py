"""buildah with a storage of our own: `base`, `build` and `deliver` call it.

chroot isolation needs neither runc nor a network of its own, and so works inside containers too.
"""

import os
import shutil
import subprocess
from pathlib import Path

from hack.cluster import binaries
from hack.cluster.errors import ClusterError
from hack.cluster.sandbox import run


class Buildah:
    """One storage of images."""

    def __init__(self) -> None:
        """Make its folder."""
        self.folder = binaries.cache().parent / "images"
        self.folder.mkdir(parents=True, exist_ok=True)

    def has(self, reference: str) -> bool:
        """Whether an image of this name is there."""
        return bool(self("images", "--quiet", "--filter", f"reference={reference}").strip())

    def identity(self, reference: str) -> str:
        """Its id: the digest of its configuration, the same wherever it is imported."""
        return self("inspect", "--type=image", "--format={{.FromImageID}}", reference).strip()

    def layer(self, archive: Path, reference: str) -> None:
        """An image of one layer from a root file system."""
        container = self("from", "scratch").strip()
        try:
            self("add", "--quiet", container, str(archive), "/")
            self("commit", "--quiet", container, reference)
        finally:
            self("rm", container)

    def __call__(self, *arguments: str) -> str:
        """Run it, and answer what it printed."""
        return run(*self._command(), *arguments)

    def show(self, *arguments: str) -> None:
        """Run it, and let it print as it works.

        Raises:
            ClusterError: it failed.
        """
        done = subprocess.run([*self._command(), *arguments], check=False)
        if done.returncode:
            raise ClusterError(f"buildah {arguments[0]} failed: see above")

    def _command(self) -> tuple[str, ...]:
        return (
            *("env", "BUILDAH_ISOLATION=chroot", f"TMPDIR={self.folder}", "buildah"),
            f"--root={self.folder / 'storage'}",
            f"--runroot={self.folder / 'run'}",
            "--storage-driver=overlay",
        )


_PACKAGES = ("buildah", "mmdebstrap")


def ensure() -> None:
    """Install what is missing.

    Raises:
        ClusterError: it cannot be had here.
    """
    missing = [name for name in _PACKAGES if shutil.which(name) is None]
    if os.geteuid() != 0:
        raise ClusterError("images are built as root, who alone may make the files of others")
    if not missing:
        return
    if shutil.which("apt-get") is None:
        raise ClusterError(f"images need {' and '.join(missing)}: install them")
    apt = ("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet", "--yes")
    run(*apt, "update")
    run(*apt, "install", "--no-install-recommends", *missing)
