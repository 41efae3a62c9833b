"""`python -m hack.cluster up|down|status|api-up|api-down|kueue|tools`; see the package."""

import argparse
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from hack.cluster import binaries, foreign, kueue
from hack.cluster.api import Api
from hack.cluster.cluster import BINARIES, state, the_one
from hack.cluster.errors import ClusterError
from hack.cluster.kubectl import Kubectl


def main() -> int:
    """Run one of the commands."""
    parser = argparse.ArgumentParser(prog="hack.cluster", description=__doc__)
    parser.add_argument("command", choices=_COMMANDS)
    chosen = parser.parse_args().command
    try:
        return _COMMANDS[chosen]()
    except ClusterError as error:
        print(error, file=sys.stderr)
    except subprocess.CalledProcessError as error:
        print(f"{' '.join(map(str, error.cmd))} failed: see above", file=sys.stderr)
    return 1


def _up() -> int:
    given = _given()
    if given is not None:
        print(foreign.check(given))
        return 0
    cluster = the_one()
    cluster.up()
    print(f"export KUBECONFIG={cluster.kubeconfig}")
    return 0


def _down() -> int:
    if _given() is None:
        the_one().down()
    return 0


def _status() -> int:
    given = _given()
    if given is not None:
        print(foreign.check(given))
        return 0
    up = the_one().is_up()
    print("up" if up else "down")
    return 0 if up else 1


def _api_up() -> int:
    api = Api(state() / "api", die_with_us=False)
    api.start()
    print(f"export KUBECONFIG={api.kubeconfig}")
    return 0


def _api_down() -> int:
    Api(state() / "api", die_with_us=False).stop()
    return 0


def _kueue() -> int:
    cluster = the_one()
    kueue.install(cluster.inside, Kubectl(cluster.kubeconfig), cluster.folder / "kueue")
    return 0


def _tools() -> int:
    binaries.ensure([*BINARIES, "helm"])
    return 0


def _given() -> Path | None:
    """Another cluster's kubeconfig, if the user named one; ours does not count."""
    named = os.environ.get("KUBECONFIG", "")
    ours = the_one().kubeconfig
    return Path(named) if named and Path(named).resolve() != ours else None


_COMMANDS: dict[str, Callable[[], int]] = {
    "up": _up,
    "down": _down,
    "status": _status,
    "api-up": _api_up,
    "api-down": _api_down,
    "kueue": _kueue,
    "tools": _tools,
}

if __name__ == "__main__":
    sys.exit(main())
