"""Every example is planned here; the quickstart is run by `make demo`."""

import itertools
from pathlib import Path

import pytest

from scalingsweep import manifest, plan

ROOT = Path(__file__).parent.parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*/sweep.yaml"))


def _plan(name: str) -> plan.Plan:
    file = ROOT / "examples" / name / "sweep.yaml"
    return plan.make(manifest.parse(file.read_text("utf-8"), str(file)).spec)


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.parent.name)
def test_an_example_has_a_page_and_a_plan(file: Path) -> None:
    assert (file.parent / "README.md").is_file()
    assert _plan(file.parent.name).trials


def test_the_readme_shows_a_manifest_that_plans() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    (shown,) = [part.partition("```")[0] for part in readme.split("```yaml\n")[1:]]
    assert len(plan.make(manifest.parse(shown, "README.md").spec).trials) == 12


def test_the_quickstart_is_large_enough_to_tell_exponents() -> None:
    planned = _plan("quickstart")
    sizes = [size.N for size in planned.sizes]
    assert len(sizes) >= 4
    assert max(sizes) >= 8 * min(sizes)
    for arm in ("scratch", "cpt", "cpt-replay"):
        for trial in (trial for trial in planned.trials if trial.key.arm == arm):
            assert len(trial.budgets) >= 3
            assert max(trial.budgets) >= 7.99 * min(trial.budgets)  # 8, but for whole steps


def test_the_quickstart_compares_scratch_with_cpt_with_and_without_replay() -> None:
    arms = {trial.arm.name: trial.arm for trial in _plan("quickstart").trials}
    assert list(arms) == ["source", "scratch", "cpt", "cpt-replay"]
    assert arms["cpt"].init == arms["cpt-replay"].init
    assert arms["cpt"].replay is None
    assert arms["cpt-replay"].replay is not None


def test_zheng2024_is_the_published_study() -> None:
    planned = _plan("zheng2024")
    assert len(planned.trials) == 3 * 42
    assert planned.flops == pytest.approx(6.03e22, rel=2e-3)
    for trial, D in planned.observations:
        N, step = trial.size.N, trial.size.step_tokens
        assert abs(D - 20 * N) <= step / 2
        assert trial.size.warmup_steps == pytest.approx(N / step, abs=0.5)
    batches = [size.step_tokens for size in planned.sizes]
    assert [round(batch / 1e6) for batch, _ in itertools.groupby(batches)] == [1, 2, 4]
