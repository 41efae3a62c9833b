"""The real command in a process of its own, as a user runs it."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

_PROGRAM = Path(sys.executable).parent / "scalingsweep"


def run(
    *arguments: str,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    timeout: float = 120,
) -> subprocess.CompletedProcess[str]:
    """Run `scalingsweep` without a terminal; it must end in time."""
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "_SCALINGSWEEP"))}
    return subprocess.run(
        [str(_PROGRAM), *arguments],
        cwd=cwd,
        env={**plain, **(environment or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
