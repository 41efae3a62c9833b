"""Writes crds/ into the Helm chart, as templates: `make generate` runs it, `make verify` checks it.

Helm's own folder for definitions never upgrades them. As templates they are upgraded with the
chart; that they stay when it is uninstalled, and with them every sweep, the annotation tells Helm.
"""

import pathlib

from hack import crds

OUT = crds.OUT.parent / "charts" / "scalingsweep" / "templates" / "crds"
_KEEP = 'metadata:\n  annotations:\n    "helm.sh/resource-policy": keep\n'


def text(kind: crds.Resource) -> str:
    """A definition as a template."""
    plain = crds.text(kind)
    assert "{{" not in plain, "a template would read it"
    kept = plain.replace("metadata:\n", _KEEP, 1)
    return f"{{{{- if .Values.crds.install }}}}\n{kept}{{{{- end }}}}\n"


def main() -> None:
    """Write both files."""
    OUT.mkdir(parents=True, exist_ok=True)
    for kind in crds.RESOURCES:
        file: pathlib.Path = OUT / f"{kind.plural}.yaml"
        file.write_text(text(kind), encoding="utf-8")


if __name__ == "__main__":
    main()
