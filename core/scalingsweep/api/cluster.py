"""What the API server is told beside a type: rules in CEL, and how a list merges.

Wire types declare it under their fields; hack/crds.py writes it into crds/. A rule stands beside
the Python that says the same (here, or in `check` where it compares fields of the whole spec), so
that `kubectl apply` and the command refuse the same manifests.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One expression that must be true of the value that carries it (`self`)."""

    cel: str
    """The expression."""
    message: str
    """The mend, as the Python check words it."""
    at: str = ""
    """The field below `self` that is to blame, as `.init.budget`; lists cannot be entered."""
    says: str = ""
    """An expression that makes a better message, with the names that the author wrote."""

    def to_wire(self) -> dict[str, str]:
        """One item of x-kubernetes-validations."""
        value = {"rule": self.cel, "message": self.message}
        if self.says:
            value["messageExpression"] = self.says
        if self.at:
            value["fieldPath"] = self.at
        return value


def exactly_one(fields: Sequence[str]) -> Rule:
    """Exactly one of these fields is given."""
    given = ", ".join(f"has(self.{field})" for field in fields)
    return Rule(
        cel=f"[{given}].filter(given, given).size() == 1",
        message=f"give exactly one of {', '.join(fields)}",
    )


def rules(*given: Rule) -> dict[str, Any]:
    """A field's `json_schema_extra` with rules for it alone."""
    return {"x-kubernetes-validations": [rule.to_wire() for rule in given]}


S3_URI = Rule(
    cel="!has(self.uri) || self.uri.startsWith('s3://')",
    message="must be an s3:// address on a cluster, whose pods see no folder of yours",
    at=".uri",
)
"""Of an address that may be a folder on one machine: the one kind of rule without a Python twin."""

THREE_DECIMALS = Rule(
    cel="self * 1000.0 - double(int(self * 1000.0 + 0.5)) < 0.000001"
    " && self * 1000.0 - double(int(self * 1000.0 + 0.5)) > -0.000001",
    message="has more than three decimals",
)
"""Of a share that must be a fraction of at most a thousand."""

_FIXED = (
    "cannot change: put it back, as it was written, or name the study anew in metadata.name: "
    "studies in one storage prefix share equal trials"
)


def fixed(*fields: str) -> tuple[Rule, ...]:
    """No edit may change, add or remove these fields (`edits` says the same on one machine)."""
    return tuple(
        Rule(
            cel=f"has(self.{field}) == has(oldSelf.{field}) && "
            f"(!has(self.{field}) || self.{field} == oldSelf.{field})",
            message=_FIXED,
            at=f".{field}",
        )
        for field in fields
    )


BY_NAME: dict[str, Any] = {
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["name"],
}
"""`json_schema_extra` of a list whose items have distinct names and merge by them."""

EACH_ONCE: dict[str, Any] = {"x-kubernetes-list-type": "set"}
"""`json_schema_extra` of a list that holds no value twice."""

NO_DEFAULT: dict[str, Any] = {"default": None}
"""`json_schema_extra` of a field whose default depends on another: the API server must not fill it
in, for then nobody could tell that it was left out."""
