"""`python -m hack.images [--load] [--push REGISTRY] [operator] [worker]`; see the package."""

import argparse
import sys

from hack.cluster import cluster
from hack.cluster.errors import ClusterError
from hack.images import build, buildah, deliver, push


def main() -> int:
    """Build what is named, or both."""
    parser = argparse.ArgumentParser(prog="hack.images", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="IMAGE", help="operator, worker; both by default"
    )
    parser.add_argument("--load", action="store_true", help="into the cluster of make cluster-up")
    parser.add_argument("--push", metavar="REGISTRY", help="to REGISTRY/operator, REGISTRY/worker")
    given = parser.parse_args()
    try:
        buildah.ensure()
        builder = buildah.Buildah()
        for name in given.names or list(build.REFERENCES):
            reference = build.build(builder, name)
            if given.load:
                deliver.deliver(builder, cluster.the_one(), reference)
            if given.push:
                push.push(builder, name, given.push)
    except ClusterError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
