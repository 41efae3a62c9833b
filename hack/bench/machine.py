"""The machine that a figure was measured on, to stand beside it."""

import os
import platform
from importlib import metadata
from pathlib import Path


def facts() -> dict[str, str]:
    """Processor, cores, memory, load and the versions that matter."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "processor": _line("/proc/cpuinfo", "model name") or platform.processor() or "unknown",
        "cores": str(cores),
        "memory": _line("/proc/meminfo", "MemTotal") or "unknown",
        "load": " ".join(f"{load:.2f}" for load in os.getloadavg()),
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "packages": ", ".join(
            f"{name} {metadata.version(name)}"
            for name in ("torch", "transformers", "numpy", "scipy")
        ),
    }


def _line(path: str, name: str) -> str | None:
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return None
    values = [line.partition(":")[2].strip() for line in lines if line.startswith(name)]
    return values[0] if values else None
