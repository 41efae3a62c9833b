"""What of the cluster comes from Debian: containerd, runc, CNI plugins, nftables, iproute2.

`cluster` asks for what is missing on this machine, before it changes anything. Packages stay
installed afterwards.
"""

import shutil
from pathlib import Path

from hack.cluster.errors import ClusterError
from hack.cluster.sandbox import run

CNI_PLUGINS = Path("/usr/lib/cni")
_PACKAGES = {
    "containerd": "containerd",
    "runc": "runc",
    str(CNI_PLUGINS / "ptp"): "containernetworking-plugins",
    "nft": "nftables",
    "ip": "iproute2",
}


def ensure() -> None:
    """Install what is missing.

    Raises:
        ClusterError: there is no apt-get here, or it cannot.
    """
    packages = [package for command, package in _PACKAGES.items() if shutil.which(command) is None]
    if not packages:
        return
    if shutil.which("apt-get") is None:
        raise ClusterError(f"a node needs {', '.join(packages)}: install them")
    apt = ("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet", "--yes")
    run(*apt, "update")
    run(*apt, "install", "--no-install-recommends", *packages)
