"""`python -m hack.e2e`: set the cluster of `make cluster-up` up for a study; see the package."""

import sys

from hack.cluster import cluster
from hack.cluster.errors import ClusterError
from hack.e2e import places, stage


def main() -> int:
    """Prepare it, and say what comes next."""
    one = cluster.the_one()
    try:
        one.up()
        stage.prepare(one)
    except ClusterError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"export KUBECONFIG={one.kubeconfig}")
    print(f"kubectl --namespace {places.SWEEPS} apply -f {stage.EXAMPLE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
