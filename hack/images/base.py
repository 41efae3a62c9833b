"""The base image: a minimal Debian with Python, from this machine's own apt sources.

`build` calls it once; the Dockerfiles name another base for those who have a registry of images.
"""

import tempfile
from pathlib import Path

from hack.cluster.errors import ClusterError
from hack.cluster.sandbox import run
from hack.images.buildah import Buildah

REFERENCE = "localhost/scalingsweep/debian"
_PACKAGES = ("python3-venv", "ca-certificates")
_LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*")
_SOURCES = Path("/etc/apt")


def ensure(buildah: Buildah) -> str:
    """Make it unless it is there, in 25 seconds, and answer with its reference."""
    reference = f"{REFERENCE}:{_release()}"
    if not buildah.has(reference):
        with tempfile.TemporaryDirectory(dir=buildah.folder) as folder:
            archive = Path(folder) / "debian.tar"
            _bootstrap(archive)
            buildah.layer(archive, reference)
    return reference


def _bootstrap(archive: Path) -> None:
    run(
        "mmdebstrap",
        "--variant=minbase",
        f"--include={','.join(_PACKAGES)}",
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in _LEFT_OUT),
        _release(),
        str(archive),
        *_sources(),
    )


def _sources() -> list[str]:
    found = [*_SOURCES.glob("sources.list"), *sorted((_SOURCES / "sources.list.d").glob("*"))]
    lists = [file for file in found if file.suffix in {".list", ".sources"}]
    debian = [str(file) for file in lists if "/debian" in file.read_text()]
    if not debian:
        raise ClusterError("the base image is made from Debian's packages: no apt source names any")
    return debian


def _release() -> str:
    """The name of this machine's Debian, as `bookworm`."""
    for line in Path("/etc/os-release").read_text().splitlines():
        key, _, value = line.partition("=")
        if key == "VERSION_CODENAME":
            return value.strip('"')
    raise ClusterError("/etc/os-release names no release: images are built on Debian")
