"""Reading a manifest as `kubectl` reads it, so that both back ends see the same study.

kubectl turns YAML into JSON with rules that differ from PyYAML's: `1e24` is a number, `1:30` and
dates are text, a bare `no` is false, and a key given twice is refused. The command reads files
through here; the operator gets its JSON from the API server.
"""

import re
from typing import Any

import yaml

from scalingsweep import check
from scalingsweep.api.sweep import API_VERSION, ScalingSweep
from scalingsweep.errors import SpecError

MAX_BYTES = 1_000_000
"""More than etcd takes for one object (1.5 MB as JSON) is no manifest."""


class _Loader(yaml.SafeLoader):
    """YAML 1.1 as go-yaml resolves it."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} is not text: quote it", key_node.start_mark
                )
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} is given twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


def _float(loader: _Loader, node: yaml.ScalarNode) -> float:
    return float(loader.construct_scalar(node).replace("_", ""))


_RULES = (
    (
        "tag:yaml.org,2002:bool",
        r"(?:y|Y|yes|Yes|YES|n|N|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF)",
    ),
    ("tag:yaml.org,2002:null", r"(?:~|null|Null|NULL|)"),
    ("tag:yaml.org,2002:int", r"[-+]?(?:0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|0|[1-9][0-9_]*)"),
    (
        "tag:yaml.org,2002:float",
        r"[-+]?(?:\.[0-9]+|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9]+)?",
    ),
    ("tag:yaml.org,2002:merge", r"<<"),
)
_Loader.yaml_implicit_resolvers = {}  # none of PyYAML's own
for _tag, _pattern in _RULES:
    _Loader.add_implicit_resolver(_tag, re.compile(f"^{_pattern}$"), None)
_Loader.add_constructor("tag:yaml.org,2002:float", _float)
_Loader.bool_values = {
    **yaml.SafeLoader.bool_values,
    "y": True,
    "n": False,
}


def parse(text: str, where: str = "manifest") -> ScalingSweep:
    """The sweep that a manifest describes, checked in itself and across its fields.

    Args:
        text: the YAML (or JSON) of one ScalingSweep.
        where: the file's name, for errors.

    Raises:
        SpecError: naming the field (or the line) and the mend.
    """
    if len(text) > MAX_BYTES:
        raise SpecError(where, f"has over {MAX_BYTES:,} characters: that is no manifest")
    try:
        documents = [document for document in yaml.load_all(text, _Loader) if document is not None]
    except (yaml.YAMLError, RecursionError) as error:
        raise SpecError(where, f"is no YAML: {_one_line(error)}") from None
    if len(documents) != 1:
        raise SpecError(where, f"holds {len(documents)} documents; one ScalingSweep is needed")
    (value,) = documents
    if not isinstance(value, dict) or value.get("kind") != "ScalingSweep":
        raise SpecError(
            where,
            f"is no ScalingSweep: kind: ScalingSweep and apiVersion: {API_VERSION} are missing",
        )
    sweep = ScalingSweep.from_wire(value)
    check.spec(sweep.spec)
    return sweep


def _one_line(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).partition("\n")[0]
    return f"{problem} (line {mark.line + 1})" if mark else str(problem)
