"""The cluster's programs, built once from pinned Go modules into the user's cache.

One folder of `hack/tools` is one module: its `tool` lines name the programs, its `require` line
the version. Programs are kept under `<cache>/scalingsweep/tools/<module>-<version>-<digest>/`,
where the digest covers the module's files and the way of building, so another pin or flag is
another folder and nothing is ever stale. `make tools` and everything that starts a program call it.
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from hack.cluster import toolchain

_TOOLS = Path(__file__).resolve().parent.parent / "tools"
_BUILD = ("build", "-trimpath", "-buildvcs=false")
_STRIP = "-s -w"


@dataclass(frozen=True, slots=True, kw_only=True)
class Binary:
    """One program."""

    name: str
    module: str
    """Folder of hack/tools."""
    package: str
    """What is built: a `tool` of that module, or the module itself."""
    stamp: str = ""
    """Linker flags that carry the version, with {version}, {major} and {minor}."""
    data: str = ""
    """A folder of the package's module that is kept beside the program."""


def _kubernetes(name: str) -> Binary:
    version = "k8s.io/component-base/version"  # unset, it reads v0.0.0-master+$Format, which Kueue
    stamp = (  # and kubectl refuse
        f"-X {version}.gitVersion={{version}} "
        f"-X {version}.gitMajor={{major}} -X {version}.gitMinor={{minor}}"
    )
    package = f"k8s.io/kubernetes/cmd/{name}"
    return Binary(name=name, module="kubernetes", package=package, stamp=stamp)


_ALL = (
    Binary(name="etcd", module="etcd", package="go.etcd.io/etcd/server/v3"),
    _kubernetes("kube-apiserver"),
    _kubernetes("kube-controller-manager"),
    _kubernetes("kubectl"),
    _kubernetes("kube-scheduler"),
    _kubernetes("kubelet"),
    _kubernetes("kube-proxy"),
    Binary(name="pause", module="pause", package="scalingsweep.dev/hack/tools/pause"),
    Binary(name="coredns", module="coredns", package="scalingsweep.dev/hack/tools/coredns"),
    Binary(
        name="training-operator",
        module="training-operator",
        package="github.com/kubeflow/training-operator/cmd/training-operator.v1",
        data="manifests",
    ),
    Binary(
        name="kueue",
        module="kueue",
        package="sigs.k8s.io/kueue/cmd/kueue",
        data="config",
    ),
    Binary(
        name="helm",
        module="helm",
        package="helm.sh/helm/v3/cmd/helm",
        stamp="-X helm.sh/helm/v3/internal/version.version={version}",
    ),
)
BY_NAME = {binary.name: binary for binary in _ALL}
API_LAYER = ("etcd", "kube-apiserver", "kube-controller-manager", "kubectl")


def path(name: str) -> Path:
    """Where a program is; it is built when it is not there yet."""
    ensure([name])
    return _place(BY_NAME[name])


def data(name: str) -> Path:
    """The folder that is kept beside a program."""
    ensure([name])
    return _data_place(BY_NAME[name])


def missing(names: Iterable[str]) -> list[str]:
    """Those that are not built yet."""
    return [name for name in names if not _place(BY_NAME[name]).exists()]


def ensure(names: Iterable[str]) -> None:
    """Build what is missing, one after another; processes that ask for the same one wait.

    Raises:
        ClusterError: there is no Go, and none can be had.
        subprocess.CalledProcessError: a build failed; what Go said is on stderr.
    """
    wanted = missing(names)
    if not wanted:
        return
    with toolchain.go(_TOOLS / "kubernetes") as go:
        for name in wanted:
            _build(go, BY_NAME[name])


def version(module: str) -> str:
    """The version that a module of hack/tools pins, like `v1.36.3`; empty for one of our own."""
    text = (_TOOLS / module / "go.mod").read_text()
    tools = re.findall(r"^(?:tool )?\s*(\S+)$", text, re.MULTILINE)
    required = re.findall(r"^(?:require )?\s*(\S+) (v\S+)(.*)$", text, re.MULTILINE)
    roots = [
        (root, pinned)
        for root, pinned, comment in required
        if "indirect" not in comment  # what a program of ours is made of
        or any(f"{tool}/".startswith(f"{root}/") for tool in tools)
    ]
    return max(roots, key=lambda entry: len(entry[0]))[1] if roots else ""


def _build(go: Path, binary: Binary) -> None:
    place = _place(binary)
    place.parent.mkdir(parents=True, exist_ok=True)
    with (place.parent / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if place.exists():
            return
        began = time.monotonic()
        print(f"building {binary.name} (once; up to minutes) …", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(dir=place.parent) as folder:
            made = Path(folder) / binary.name
            if binary.data:
                _keep_data(go, binary, Path(folder) / "data")
            subprocess.run(
                [go, *_BUILD, f"-ldflags={_flags(binary)}", "-o", made, binary.package],
                cwd=_TOOLS / binary.module,
                env={**os.environ, "CGO_ENABLED": "0"},  # static: it runs in an empty image
                check=True,
            )
            made.replace(place)
        print(f"  {binary.name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)


def _keep_data(go: Path, binary: Binary, draft: Path) -> None:
    root = subprocess.run(
        [go, "list", "-f", "{{.Module.Dir}}", binary.package],
        cwd=_TOOLS / binary.module,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    # Go's module cache is read-only, and a copy that keeps its modes could not be removed
    copy = ["cp", "-R", "--no-preserve=mode", str(Path(root) / binary.data), str(draft)]
    subprocess.run(copy, check=True)
    shutil.rmtree(_data_place(binary), ignore_errors=True)  # of a build that was broken off
    draft.replace(_data_place(binary))


def _flags(binary: Binary) -> str:
    pinned = version(binary.module)
    major, _, rest = pinned.removeprefix("v").partition(".")
    stamp = binary.stamp.format(version=pinned, major=major, minor=rest.partition(".")[0])
    return f"{_STRIP} {stamp}".strip()


def _place(binary: Binary) -> Path:
    folder = _TOOLS / binary.module
    digest = hashlib.sha256()
    for file in sorted(folder.iterdir()):
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    digest.update(repr((_BUILD, _STRIP, binary.stamp, binary.data)).encode())
    parts = [binary.module, version(binary.module), digest.hexdigest()[:12]]
    return cache() / "-".join(filter(None, parts)) / binary.name


def _data_place(binary: Binary) -> Path:
    return _place(binary).parent / binary.data


def cache() -> Path:
    """Where they are kept."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base).resolve() / "scalingsweep" / "tools"
