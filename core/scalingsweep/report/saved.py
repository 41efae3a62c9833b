"""What the two laws say CPT saves at equal loss, with the band of their resamples.

The savings figure draws it, the headline quotes it. A joint fit's resamples belong together sample
by sample; those of two separate fits are independent of each other and are paired as they come.
"""

from dataclasses import dataclass

import numpy as np

from scalingsweep import laws
from scalingsweep.laws import Floats
from scalingsweep.report import law
from scalingsweep.report.study import Arm, Study


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """The laws of a from-scratch arm and of the CPT arm that is compared with it."""

    scratch: law.Law
    cpt: law.Law

    def needed(self, N: Floats, D: Floats) -> Floats:
        """The D with which CPT reaches the loss of D tokens from scratch; NaN where it cannot."""
        return _needed(self.scratch.surface, self.cpt.surface, N, D)

    def draws(self, N: Floats, D: Floats) -> Floats | None:
        """Shares of the tokens that are saved, (samples, points), or None without resamples."""
        theirs, ours = self.scratch.draws, self.cpt.draws
        if theirs is None or ours is None:
            return None
        if len(np.asarray(theirs.E)) != len(np.asarray(ours.E)):
            return None
        return 1 - _needed(theirs, ours, N, D) / D

    def ends(self, values: Floats) -> tuple[Floats, Floats]:
        """The interval of resampled savings, at the level of CPT's fit.

        A resample in which CPT never reaches the loss counts as an endless cost, not as no answer.
        """
        return law.ends(self.cpt.fit, np.where(np.isfinite(values), values, -1e9))


def pair(study: Study, scratch: Arm, cpt: Arm) -> Pair | None:
    """Both arms' laws, out of one joint fit if there is one; None if either has none."""
    of_cpt = law.of(study, cpt.name)
    if of_cpt is None:
        return None
    of_scratch = law.read(of_cpt.fit, scratch.name) if scratch.name in of_cpt.fit["arms"] else None
    of_scratch = of_scratch or law.of(study, scratch.name)
    return Pair(scratch=of_scratch, cpt=of_cpt) if of_scratch else None


def _needed(theirs: laws.Surface, ours: laws.Surface, N: Floats, D: Floats) -> Floats:
    return ours.tokens_for(theirs.loss(N, D), N)
