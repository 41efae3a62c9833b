"""Golden losses: they fail when the trainer's numbers change under the same NUMERICS_VERSION.

If a change of the numbers is meant, raise NUMERICS_VERSION, so that trials get new ids and old
results stay what they are, and put into golden.json what the failure prints.
"""

import json
from pathlib import Path

import pytest

from scalingsweep.api.trial import NUMERICS_VERSION
from scalingsweep.store import Store
from support import s3, trials

GOLDEN = Path(__file__).parent / "golden.json"


def test_the_numbers_are_those_of_this_version(
    s3: s3.S3, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3.access.keys().items():
        monkeypatch.setenv(name, value)
    spec = trials.spec(trials.corpus(store), (20,))
    trials.train(store, spec, tmp_path)
    losses = [loss for _, loss in sorted(_by_step(store, spec.id).items())]
    found = {
        "numericsVersion": NUMERICS_VERSION,
        "losses": [round(loss, 6) for loss in losses],
        "validation": round(trials.result(store, spec)["loss"], 6),
    }
    golden = json.loads(GOLDEN.read_text())
    assert golden["numericsVersion"] == NUMERICS_VERSION, f"write the new numbers: {found}"
    # processors differ in the order of additions, which after 20 steps is a few in 10⁶
    assert found["losses"] == pytest.approx(golden["losses"], rel=2e-5), found
    assert found["validation"] == pytest.approx(golden["validation"], rel=2e-5), found


def _by_step(store: Store, trial: str) -> dict[int, float]:
    return {step: loss for (_, step), loss in trials.losses(store, trial).items()}
