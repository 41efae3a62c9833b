"""Build the two images from their Dockerfiles.

`__main__` and `hack.e2e` call it. A second build takes what has not changed from buildah's
storage: after an edit of the project only the wheel's layer is new.
"""

import tempfile
import time
from pathlib import Path

from hack.images import base, buildah, registry

ROOT = Path(__file__).resolve().parents[2]
REFERENCES = {
    "operator": "localhost/scalingsweep/operator:dev",
    "worker": "localhost/scalingsweep/worker:dev",
}


def build(builder: buildah.Buildah, name: str) -> str:
    """Build one, and answer with its reference.

    Args:
        builder: whose storage it goes to.
        name: a folder of images/.

    Raises:
        ClusterError: buildah failed.
    """
    began = time.monotonic()
    bottom = base.ensure(builder)
    cache = registry.uv_cache()
    cache.mkdir(parents=True, exist_ok=True)
    reference = REFERENCES[name]
    with tempfile.TemporaryDirectory(dir=builder.folder) as folder:
        builder.show(
            "build",
            "--layers",
            "--quiet",
            f"--build-arg=BASE={bottom}",
            f"--file={ROOT / 'images' / name / 'Dockerfile'}",
            f"--tag={reference}",
            f"--volume={cache}:{registry.UV_CACHE}",
            *registry.secrets(Path(folder)),
            str(ROOT),
        )
    print(f"{reference}: {time.monotonic() - began:.0f} s", flush=True)
    return reference
