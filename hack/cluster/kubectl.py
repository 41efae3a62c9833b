"""The built kubectl on one kubeconfig: how this package, and tests, talk to an API server."""

import json
import subprocess
from pathlib import Path
from typing import Any

from hack.cluster import binaries
from hack.cluster.errors import ClusterError


class Kubectl:
    """`kubectl("get", "nodes")` answers what kubectl printed."""

    def __init__(self, kubeconfig: Path, *, ours: bool = True) -> None:
        """Name the kubeconfig.

        Args:
            kubeconfig: the file.
            ours: its folder may take what kubectl remembers of the server, and goes with it.
        """
        self.kubeconfig = kubeconfig
        cache = [f"--cache-dir={kubeconfig.parent / 'kubectl-cache'}"] if ours else []
        self._command: tuple[str | Path, ...] = (
            binaries.path("kubectl"),
            f"--kubeconfig={kubeconfig}",
            *cache,
        )

    def __call__(self, *arguments: str, given: Any = None) -> str:
        """Run it; `given` is an object (or several, in a list) for `-f -`.

        Raises:
            ClusterError: it failed; the message is what it said.
        """
        done = self._run(arguments, given)
        if done.returncode:
            raise ClusterError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def get(self, *arguments: str) -> Any:
        """`kubectl get … --output=json`, parsed."""
        return json.loads(self("get", *arguments, "--output=json"))

    def apply(self, *objects: dict[str, Any]) -> None:
        """Apply server-side."""
        self("apply", "--server-side", "-f", "-", given=list(objects))

    def succeeds(self, *arguments: str) -> bool:
        """Whether it can do that now."""
        return self._run(arguments).returncode == 0

    def _run(
        self, arguments: tuple[str, ...], given: Any = None
    ) -> subprocess.CompletedProcess[str]:
        objects = given if isinstance(given, list) else [given]
        return subprocess.run(
            [*self._command, *arguments],
            input=None if given is None else "\n---\n".join(json.dumps(each) for each in objects),
            capture_output=True,
            text=True,
            check=False,
        )
