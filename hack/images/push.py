"""Push a built image to a registry, under the name that the chart asks for by default.

`hack.images --push` calls it. Whoever needs credentials says `buildah login REGISTRY` first: they
stay in buildah's own file.
"""

import re

from hack.images import build
from hack.images.buildah import Buildah

_CHART = build.ROOT / "charts" / "scalingsweep" / "Chart.yaml"


def push(builder: Buildah, name: str, prefix: str) -> str:
    """Push one, and answer with its name there.

    Args:
        builder: whose storage it is in.
        name: a folder of images/.
        prefix: the registry, with a path or without one.

    Raises:
        ClusterError: the registry does not take it.
    """
    there = destination(name, prefix)
    builder.show("push", build.REFERENCES[name], f"docker://{there}")
    print(f"pushed {there}", flush=True)
    return there


def destination(name: str, prefix: str) -> str:
    """What an image is called there; its tag is the chart's appVersion."""
    found = re.search(r"^appVersion: (\S+)$", _CHART.read_text("utf-8"), re.MULTILINE)
    assert found is not None, "the chart names its appVersion"
    return f"{prefix.rstrip('/')}/{name}:{found[1]}"
