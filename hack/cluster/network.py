"""The cluster's network: one link to this machine that lets replies out, and nothing else.

The machine (its kubectl, its tests) reaches the node's address over a pair of virtual interfaces.
From inside no connection can be opened to the machine or beyond it: what a pod tries is refused at
once. `cluster` calls it, after `sandbox` and before the first process.
"""

from pathlib import Path

from hack.cluster import sandbox
from hack.cluster.errors import ClusterError

# 198.18.0.0/15 is set aside for benchmarks of networks (RFC 2544): no real network has it
HOST = "198.18.0.1"
NODE = "198.18.0.2"
_NOBODY = "198.18.0.3"
_LENGTH = 29
PODS = "10.244.0.0/24"
OUTSIDE = "scalingsweep"
_INSIDE = "eth0"

# What leaves is dropped at the last hook; the two before it only see to it that whoever tries hears
# so at once. What the node itself sends to a Service still shows the old interface at the output
# hook, though its address is a pod's by then.
_RULES = f"""
table inet scalingsweep {{
  chain refuse {{
    ct state established,related accept
    reject
  }}
  chain output {{
    type filter hook output priority filter;
    oifname "{_INSIDE}" ip daddr != {PODS} jump refuse
  }}
  chain forward {{
    type filter hook forward priority filter;
    oifname "{_INSIDE}" jump refuse
  }}
  chain postrouting {{
    type filter hook postrouting priority filter;
    oifname "{_INSIDE}" ct state != {{ established, related }} drop
  }}
}}
"""


def create(inside: sandbox.Sandbox) -> None:
    """Link the sandbox to this machine.

    Raises:
        ClusterError: an interface cannot be made, or the firewall's rules not be loaded.
    """
    inside.run("ip", "link", "set", "lo", "up")
    inside.run("nft", "--file", "-", given=_RULES)  # first: there is never a moment without them
    sandbox.run(
        *("ip", "link", "add", OUTSIDE, "type", "veth"),
        *("peer", "name", _INSIDE, "netns", str(inside.pid)),
    )
    sandbox.run("ip", "address", "add", f"{HOST}/{_LENGTH}", "dev", OUTSIDE)
    sandbox.run("ip", "link", "set", OUTSIDE, "up")
    inside.run("ip", "address", "add", f"{NODE}/{_LENGTH}", "dev", _INSIDE)
    inside.run("ip", "link", "set", _INSIDE, "up")
    # kubelet and others look for a default route to learn which address is theirs
    inside.run("ip", "route", "add", "default", "via", _NOBODY, "dev", _INSIDE)
    inside.run("sysctl", "--quiet", "--write", "net.ipv4.ip_forward=1")


def destroy() -> None:
    """Remove the link at once; the kernel does it too, but some time after the last process.

    Raises:
        ClusterError: it cannot be removed.
    """
    link = Path("/sys/class/net") / OUTSIDE
    try:
        if link.exists():
            sandbox.run("ip", "link", "delete", OUTSIDE)
    except ClusterError:
        if link.exists():  # the kernel was not quicker
            raise
