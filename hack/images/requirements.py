"""Print what pyproject.toml asks for, with one extra: `requirements.py pyproject.toml EXTRA`.

The Dockerfiles call it, before anything is installed: the standard library must do. pip and uv
install a project's requirements only together with the project, whose every change would then
make the layer of dependencies anew.
"""

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def wanted(project: dict[str, Any], extra: str) -> Iterator[str]:
    """The extra's requirements; those of our own extras among them are resolved."""
    for requirement in project["optional-dependencies"][extra]:
        ours = re.fullmatch(rf"{project['name']}\[([\w,]+)\]", requirement)
        if ours is None:
            yield requirement
            continue
        for other in ours[1].split(","):
            yield from wanted(project, other)


if __name__ == "__main__":
    described = tomllib.loads(Path(sys.argv[1]).read_text())["project"]
    print("\n".join([*described["dependencies"], *wanted(described, sys.argv[2])]))
