"""Kernel settings that a kubelet changes for the whole machine, and that `down` puts back.

They have no namespace. `cluster` records them before the kubelet starts.
"""

import json
from pathlib import Path

_SYSCTL = Path("/proc/sys")
_CHANGED = (  # pkg/kubelet/cm and pkg/util/sysctl of Kubernetes
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)


def record(file: Path) -> None:
    """Write down what they are."""
    draft = file.with_suffix(".part")
    draft.write_text(json.dumps(settings()))
    draft.replace(file)


def restore(file: Path) -> None:
    """Make them what they were, if that is on record."""
    if file.exists():
        for name, value in json.loads(file.read_text()).items():
            (_SYSCTL / name).write_text(value)


def settings() -> dict[str, str]:
    """What they are now."""
    present = [name for name in _CHANGED if (_SYSCTL / name).exists()]
    return {name: (_SYSCTL / name).read_text().strip() for name in present}
