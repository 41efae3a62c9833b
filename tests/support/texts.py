"""Real text that every machine with Python has: the standard library's prose and its code.

Two bodies of text about the same things: `en` is the documentation, `py` the source, a file for
each module under the same name, so that `groupBy: file` has something to hold together.
"""

import importlib
import inspect
import sys
import warnings
from pathlib import Path
from types import ModuleType

_LEAST = 200
# these open windows or browsers when imported, or print
_LOUD = {"antigravity", "this", "idlelib", "tkinter", "turtledemo", "turtle"}


def write(folder: Path) -> Path:
    """Write `en/` and `py/` into a folder, and give the folder back."""
    for name in ("en", "py"):
        (folder / name).mkdir(parents=True)
    for name in sorted(sys.stdlib_module_names - _LOUD):
        if name.startswith("_"):
            continue
        try:
            with warnings.catch_warnings():  # old modules speak up when they are looked at
                warnings.simplefilter("ignore")
                module = importlib.import_module(name)
                code = inspect.getsource(module)
                prose = _prose(module)
        except (ImportError, OSError, TypeError):
            continue
        if len(prose) >= _LEAST:
            (folder / "en" / f"{name}.txt").write_text(prose, encoding="utf-8")
            (folder / "py" / f"{name}.txt").write_text(code, encoding="utf-8")
    return folder


def _prose(module: ModuleType) -> str:
    parts = [module.__doc__ or ""]
    for _, value in sorted(vars(module).items()):
        text = getattr(value, "__doc__", None)
        if isinstance(text, str) and inspect.getmodule(value) is module:
            parts.append(text)
    return "\n\n".join(parts)
