"""A pod template merged over another as `kubectl patch` does it: strategically. `pods` calls it.

Maps merge key by key, null removes a key, and lists of things that have names merge by them. Three
ways differ. `tolerations` are added, for a list that replaced ours would lose the one that GPUs
need. Volumes and variables of one name are replaced whole, as `kubectl apply` comes to do with its
$retainKeys: halves of two sources make a volume that nobody asked for. And directives (`$patch`
and the like) are refused, for with them a template could take out what it cannot write.

Templates are untrusted: podTemplate has no schema of its own. A type that is wrong where we have to
look is a SpecError that names the field; all else the API server judges (a dry-run create).
"""

import copy
from typing import Any

from scalingsweep.errors import SpecError
from scalingsweep_operator.resources import Object

DEEPEST = 32
"""Levels of a template; Kubernetes' own pods have about ten."""

_CONTAINER = {
    "env": "name",
    "ports": "containerPort",
    "volumeMounts": "mountPath",
    "volumeDevices": "devicePath",
}
_KEYS = {
    "spec.volumes": "name",
    "spec.imagePullSecrets": "name",
    "spec.topologySpreadConstraints": "topologyKey",
    "spec.hostAliases": "ip",
    "spec.resourceClaims": "name",
    "spec.schedulingGates": "name",
    **{
        f"spec.{kind}{tail}": key
        for kind in ("containers", "initContainers")
        for tail, key in {"": "name", **{f"[].{f}": k for f, k in _CONTAINER.items()}}.items()
    },
}
"""Key by which the items of a list are the same, by the list's path (patchMergeKey of core/v1)."""
_WHOLE = frozenset(
    {"spec.volumes", "spec.containers[].env", "spec.initContainers[].env", "spec.hostAliases"}
)
_ADDED = frozenset({"spec.tolerations"})
_STANDS = frozenset({"", "spec", "metadata", "metadata.labels", "metadata.annotations"})
"""Maps that null does not remove: what they hold of ours must stay."""


def merge(base: Object, patch: Any, at: str) -> Object:
    """`patch` over `base`, neither of which is changed.

    Args:
        base: a pod template.
        patch: what the user wrote over it.
        at: the path of `patch` in what the user wrote, as `spec.podTemplate`.

    Raises:
        SpecError: it cannot be merged, with the field.
    """
    _plain(patch, at, 0)
    return _map(base, patch, at, "")


def _map(base: Object, patch: Any, at: str, path: str) -> Object:
    if not isinstance(patch, dict):
        raise SpecError(at, "must be an object")
    merged = dict(base)
    for key, value in patch.items():
        inner = f"{path}.{key}".lstrip(".")
        if value is not None:
            merged[key] = _value(merged.get(key), value, f"{at}.{key}", inner)
        elif inner in _KEYS or inner in _ADDED or inner in _STANDS:
            raise SpecError(f"{at}.{key}", "is empty: leave it out, or say what is in it")
        else:
            merged.pop(key, None)
    return merged


def _value(base: Any, patch: Any, at: str, path: str) -> Any:
    if path in _ADDED:
        added = [item for item in _list(patch, at) if item not in (base or [])]
        return [*(base or []), *added]
    if path in _KEYS:
        return _named(base or [], _list(patch, at), at, path)
    if isinstance(base, dict):
        return _map(base, patch, at, path)
    if isinstance(base, list):
        return copy.deepcopy(_list(patch, at))
    if base is not None and isinstance(patch, dict | list):
        raise SpecError(at, "must be a single value")
    # a map that is new may hold lists with keys: their items are looked at all the same
    return _map({}, patch, at, path) if isinstance(patch, dict) else copy.deepcopy(patch)


def _named(base: list[Object], patch: list[Any], at: str, path: str) -> list[Object]:
    """Items of equal key are merged where they stand; new ones follow."""
    key = _KEYS[path]
    merged = {item[key]: item for item in base}
    seen = set()
    for index, item in enumerate(patch):
        place = f"{at}[{index}]"
        if not isinstance(item, dict):
            raise SpecError(place, "must be an object")
        name = item.get(key)
        if not isinstance(name, str | int) or isinstance(name, bool) or name == "":
            raise SpecError(f"{place}.{key}", "is required: items of this list merge by it")
        if name in seen:
            raise SpecError(f"{place}.{key}", "stands twice in the list")
        seen.add(name)
        under = {} if path in _WHOLE else merged.get(name, {})
        # the API server finds items by name too, and so does a reader
        merged[name] = _map(under, item, f"{at}[{label(name)}]", f"{path}[]")
    return list(merged.values())


def label(name: object) -> str:
    """An item's name for a message, whatever it holds."""
    text = str(name) if isinstance(name, str | int) else ""
    return "".join(c for c in text[:253] if c.isprintable())


def _list(value: Any, at: str) -> list[Any]:
    if not isinstance(value, list):
        raise SpecError(at, "must be a list")
    return value


def _plain(value: Any, at: str, depth: int) -> None:
    """No directives, and no deeper than anything that Kubernetes knows."""
    if depth > DEEPEST:
        raise SpecError(at, f"is nested deeper than {DEEPEST} levels")
    if isinstance(value, dict):
        for key, item in value.items():
            if not key or len(key) > 512 or not key.isprintable():
                raise SpecError(at, "has a key that no field, label or annotation can have")
            if key.startswith("$"):
                raise SpecError(f"{at}.{key}", "is a directive: write only fields of a pod")
            _plain(item, f"{at}.{key}", depth + 1)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _plain(item, f"{at}[{index}]", depth + 1)
