"""The kinds of object that the operator touches, as an API server addresses them."""

import dataclasses
from typing import Any

Object = dict[str, Any]
"""An object as the API server's JSON gives it."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One kind."""

    group: str
    """Empty for the core group."""
    version: str
    kind: str
    plural: str

    @property
    def api_version(self) -> str:
        """As objects carry it."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None, name: str = "", subresource: str = "") -> str:
        """Where the API server has it.

        Args:
            namespace: None for all namespaces (lists and watches only).
            name: empty for the collection.
            subresource: as `status`.
        """
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        space = f"/namespaces/{namespace}" if namespace is not None else ""
        tail = "".join(f"/{part}" for part in (name, subresource) if part)
        return f"{root}{space}/{self.plural}{tail}"


SWEEPS = Resource(
    group="scalingsweep.dev", version="v1alpha1", kind="ScalingSweep", plural="scalingsweeps"
)
TRIALS = Resource(
    group="scalingsweep.dev", version="v1alpha1", kind="ScalingTrial", plural="scalingtrials"
)
PYTORCH_JOBS = Resource(group="kubeflow.org", version="v1", kind="PyTorchJob", plural="pytorchjobs")
JOBS = Resource(group="batch", version="v1", kind="Job", plural="jobs")
PODS = Resource(group="", version="v1", kind="Pod", plural="pods")
EVENTS = Resource(group="events.k8s.io", version="v1", kind="Event", plural="events")
LEASES = Resource(group="coordination.k8s.io", version="v1", kind="Lease", plural="leases")
