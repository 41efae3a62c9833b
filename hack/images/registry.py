"""How this machine reaches Python's package registry, as secrets of a build.

Whatever pip and uv are told here (an index, a proxy, a certificate authority) the build is told,
and no layer remembers it. `build` calls it.
"""

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

UV_CACHE = "/machine/uv-cache"
"""Where a build sees this machine's own cache of wheels."""
_CERTIFICATES = "/run/secrets/certificates"
_PREFIXES = ("PIP_", "UV_")
_NAMES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
# places on this machine, which a build does not see
_PLACES = ("PIP_CERT", "PIP_FIND_LINKS", "PIP_CACHE_DIR", "UV_CACHE_DIR", "UV_PYTHON")


def secrets(folder: Path) -> list[str]:
    """Write them to a folder, and answer with buildah's options."""
    settings = folder / "registry"
    settings.write_text("".join(f"{name}={shlex.quote(v)}\n" for name, v in _settings().items()))
    options = [f"--secret=id=registry,src={settings}"]
    if certificates() is not None:
        options.append(f"--secret=id=certificates,src={certificates()}")
    return options


def uv_cache() -> Path:
    """This machine's cache of wheels, where uv keeps it."""
    named = os.environ.get("UV_CACHE_DIR")
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(named) if named else Path(base) / "uv"


def certificates() -> Path | None:
    """The bundle that pip verifies the registry against."""
    told = {**_pip(), **os.environ}.get("PIP_CERT") or os.environ.get("SSL_CERT_FILE")
    return Path(told).resolve() if told else None


def _settings() -> dict[str, str]:
    told = {**_pip(), **_given(os.environ)}
    index = told.get("PIP_INDEX_URL")
    settings = {name: value for name, value in told.items() if name not in _PLACES}
    if index:
        settings.setdefault("UV_DEFAULT_INDEX", index)
    if certificates() is not None:
        settings |= {"PIP_CERT": _CERTIFICATES, "SSL_CERT_FILE": _CERTIFICATES}
    return {**settings, "UV_CACHE_DIR": UV_CACHE}


def _given(environment: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in environment.items()
        if name.startswith(_PREFIXES) or name in _NAMES
    }


def _pip() -> dict[str, str]:
    """pip's files of settings, as its environment would say them."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    found = {}
    for line in said.splitlines():
        key, _, value = line.partition("=")
        section, _, name = key.partition(".")
        if section in {"global", "install"}:
            found["PIP_" + name.upper().replace("-", "_")] = value.strip("'")
    return found
