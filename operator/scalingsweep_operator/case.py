"""One look at one sweep: everything that was read, and what was decided from it.

`reconcile` fills it; `act` carries it out and `summary` makes the status from it.
"""

import dataclasses
from collections.abc import Mapping

from scalingsweep.api.prepared import Prepared
from scalingsweep.api.trial import TrialSpec
from scalingsweep.plan import Key
from scalingsweep.world import Decision, Observed
from scalingsweep_operator.gather import Gathered
from scalingsweep_operator.orders import Order
from scalingsweep_operator.studies import Study
from scalingsweep_operator.trials import Trial
from scalingsweep_operator.work import JobAttempt


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One look at one sweep, with what was decided."""

    namespace: str
    image: str
    """The worker's, where the manifest names none."""
    study: Study
    gathered: Gathered
    trials: Mapping[str, Trial]
    attempts: tuple[JobAttempt, ...]
    found: Prepared | None
    specs: Mapping[Key, TrialSpec]
    observed: Observed
    decision: Decision
    now: float

    @property
    def order(self) -> Order:
        """What all objects that it makes have in common."""
        return Order(
            sweep=self.gathered.sweep, study=self.study, image=self.image, found=self.found
        )

    @property
    def generation(self) -> int:
        """Of the spec that was looked at."""
        return int(self.gathered.sweep["metadata"]["generation"])

    @property
    def sweep(self) -> str:
        """Its name."""
        return str(self.gathered.sweep["metadata"]["name"])
