"""Do 95 % intervals hold the truth? A short run; hack/coverage_study.py is the long one."""

import numpy as np
import pytest

from scalingsweep import fit
from support import studies


@pytest.mark.parametrize("sizes", [11, 5])
def test_intervals_cover_the_truth(sizes: int) -> None:
    """30 studies of each: four misses or more have a chance of 6 % at a true 95 %, five of 2 %."""
    rng = np.random.default_rng(11)
    studies_made, inside = 30, {"alpha": 0, "beta": 0}
    for k in range(studies_made):
        made = fit.fit(
            studies.wsd(studies.SCRATCH, sizes, rng), law="chinchilla", bootstrap=200, seed=k
        )
        for name, truth in (("alpha", 0.4), ("beta", 0.3)):
            estimate = made.parameters[name].estimate
            assert estimate.low is not None
            assert estimate.high is not None
            inside[name] += estimate.low <= truth <= estimate.high
    assert min(inside.values()) >= studies_made - 4, inside
