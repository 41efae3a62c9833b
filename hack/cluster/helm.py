"""The built Helm on one kubeconfig: how `hack.e2e` and tests install the chart."""

import os
import subprocess
from pathlib import Path

from hack.cluster import binaries
from hack.cluster.errors import ClusterError

CHART = Path(__file__).resolve().parents[2] / "charts" / "scalingsweep"
_TARGET = f"--kube-version={binaries.version('kubernetes')}"


class Helm:
    """`helm("install", "ss", CHART)` answers what Helm printed."""

    def __init__(self, kubeconfig: Path) -> None:
        """Name the kubeconfig; its folder takes what Helm keeps on disk."""
        self._environment = {
            **os.environ,
            "KUBECONFIG": str(kubeconfig),
            **{
                f"HELM_{kind}_HOME": str(kubeconfig.parent / "helm" / kind.lower())
                for kind in ("CACHE", "CONFIG", "DATA")
            },
        }

    def __call__(self, *arguments: str | Path) -> str:
        """Run it.

        Raises:
            ClusterError: it failed; the message is what it said.
        """
        done = run(*arguments, environment=self._environment)
        if done.returncode:
            raise ClusterError(f"helm {arguments[0]}: {(done.stderr or done.stdout).strip()}")
        return done.stdout


def template(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The chart's objects as a cluster of our version would be given them, or why not."""
    return run("template", "ss", CHART, _TARGET, *arguments)


def run(
    *arguments: str | Path, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run it without a cluster."""
    return subprocess.run(
        [binaries.path("helm"), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
