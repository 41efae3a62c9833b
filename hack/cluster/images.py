"""One-layer images from programs on this machine, without a builder or a base image.

A static Go binary needs nothing else in its image; a Debian program needs the shared libraries that
`ldd` names. `cluster` makes the images of its own pods so and imports them into the node's
containerd; the images that users get have Dockerfiles instead.
"""

import hashlib
import io
import json
import platform
import re
import subprocess
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from hack.cluster.sandbox import Sandbox

_NOBODY = "65534:65534"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def write(
    archive: Path, reference: str, programs: Mapping[str, Path], *, entrypoint: Sequence[str] = ()
) -> Path:
    """Write an image as a docker-archive.

    Args:
        archive: the file.
        reference: the image's name and tag.
        programs: where each program is in the image (absolute), and on this machine; shared
            libraries come with them, at their own places.
        entrypoint: what a container runs that says nothing else.
    """
    layer = _layer({**_libraries(programs.values()), **programs})
    machine = platform.machine()
    config = {
        "architecture": _ARCHITECTURES.get(machine, machine),
        "os": "linux",
        "config": {"User": _NOBODY, "Entrypoint": list(entrypoint), "Env": ["PATH=/usr/bin:/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }
    described = json.dumps(config).encode()
    name = f"{hashlib.sha256(described).hexdigest()}.json"
    manifest = [{"Config": name, "RepoTags": [reference], "Layers": ["layer.tar"]}]
    parts = {name: described, "layer.tar": layer, "manifest.json": json.dumps(manifest).encode()}
    with tarfile.open(archive, "w") as tar:
        for part, content in parts.items():
            tar.addfile(_entry(part, size=len(content)), io.BytesIO(content))
    return archive


def load(inside: Sandbox, archive: Path) -> None:
    """Import an archive, of docker or OCI, into the node's containerd, where kubelet finds it."""
    inside.run("ctr", "--namespace=k8s.io", "images", "import", "-", given=archive)


def _layer(files: Mapping[str, Path]) -> bytes:
    buffer = io.BytesIO()
    folders = {str(parent) for place in files for parent in Path(place).parents} - {"/"}
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for folder in sorted(folders):
            tar.addfile(_entry(folder, kind=tarfile.DIRTYPE))
        temporary = _entry("/tmp", kind=tarfile.DIRTYPE)  # noqa: S108  a place in the image
        temporary.mode = 0o1777
        tar.addfile(temporary)
        for place, file in sorted(files.items()):
            content = file.read_bytes()
            tar.addfile(_entry(place, size=len(content)), io.BytesIO(content))
    return buffer.getvalue()


def _entry(name: str, *, size: int = 0, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name.removeprefix("/"))
    entry.size, entry.type, entry.mode = size, kind, 0o755
    return entry


def _libraries(programs: Iterable[Path]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for program in programs:
        said = subprocess.run(["ldd", program], capture_output=True, text=True, check=False)
        if said.returncode == 0:  # it fails on a static program
            places = re.findall(r"(/\S+) \(0x", said.stdout)
            found.update({place: Path(place) for place in places})
    return found
