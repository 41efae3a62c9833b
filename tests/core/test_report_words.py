"""The headline says what the rows say, and the page says what it does not know."""

import numpy as np
import pytest

from scalingsweep import report
from scalingsweep.report import equal, law, numbers, tables, words
from support import study as builder

SCRATCH, CPT = builder.ARMS[1:3]


def scaled(factor: float) -> report.Study:
    """A study in which CPT's loss at D is that of scratch at factor × D, exactly."""
    rows = []
    for row in builder.rows(arms=(SCRATCH, CPT)):
        at = row["D"] * (factor if row["arm"] == "cpt" else 1.0)
        loss = 2.0 + 500.0 / row["N"] ** 0.4 - 0.3 * np.log(at / 1e6)  # straight in log D
        rows.append({**row, "loss_fr": loss})
    return builder.study(arms=(SCRATCH, CPT), rows=tuple(rows), curves={}, fits=())


@pytest.mark.parametrize(
    ("factor", "figure", "of"), [(1.5, "33", "fewer fr tokens"), (0.5, "100", "more fr tokens")]
)
def test_the_headline_recovers_a_known_saving(factor: float, figure: str, of: str) -> None:
    study = scaled(factor)
    for point in equal.points(study, SCRATCH, CPT):
        assert point.tokens_saved == pytest.approx(1 - 1 / factor)
    (claim,) = words.claims(study)
    assert claim.figure.startswith(figure)
    assert claim.of.startswith(of)
    assert "104k to 807k parameters" in " ".join(claim.sentences)
    assert "no interval" in " ".join(claim.sentences)


def test_a_constant_saving_neither_grows_nor_shrinks() -> None:
    (claim,) = words.claims(scaled(1.5))
    assert any("stays within half a point" in sentence for sentence in claim.sentences)


def test_runs_that_do_not_overlap_give_a_bound_and_no_number() -> None:
    (claim,) = words.claims(scaled(100.0))
    assert claim.figure.startswith("≥ 88")  # 1M of CPT against 8M from scratch: 87.5 %
    assert "was not measured" in " ".join(claim.sentences)


def test_the_interval_is_that_of_the_resampled_laws() -> None:
    study = builder.study(curves={})
    claim = words.claims(study)[0]
    points = equal.points(study, SCRATCH, CPT)
    N, D = (np.array([getattr(p, name) for p in points]) for name in ("N", "D_scratch"))
    draws = study.fits[0]["draws"]
    shares = []
    for k in range(200):
        theirs, ours = ({r: draws[arm][r][k] for r in draws[arm]} for arm in ("scratch", "cpt"))
        loss = theirs["E"] + theirs["A"] / N ** theirs["alpha"]
        loss += theirs["B"] / D ** theirs["beta"] / N ** theirs["gamma"]
        left = loss - ours["E"] - ours["A"] / N ** ours["alpha"]
        needed = (ours["B"] / left / N ** ours["gamma"]) ** (1 / ours["beta"])
        shares.append(np.median(1 - needed / D))
    low, high = np.quantile(shares, [0.025, 0.975])
    assert f"{numbers.percent(low, 1)} to {numbers.percent(high, 1)}" in claim.interval


def test_what_is_not_identified_is_said_and_tabled() -> None:
    study = builder.study(curves={})
    said = words.unidentified(study)
    assert "source: no law was fitted." in said
    assert "cpt: the grid does not identify γ." in said
    rows = tables.parameters(study).rows
    assert {row[-1] for row in rows if row[0].startswith("γ")} == {"no"}
    assert {row[-1] for row in rows if not row[0].startswith("γ")} == {"yes"}


def test_a_parameter_at_its_bound_and_a_missing_optimum_are_said() -> None:
    fit = builder.fit(["scratch"])
    fit["parameters"]["beta"].update(atBound=True)
    fit["parameters"]["gamma"]["value"] = 0.5
    said = " ".join(words.unidentified(builder.study(fits=(fit,), curves={})))
    assert "β (at its bound)" in said
    assert "no compute-optimal size" in said


def test_missing_cells_and_warnings_are_on_the_page() -> None:
    text = report.render(builder.study(curves={}))
    assert "cpt, 800k, seed 0, 16M tokens: its trial has not run" in text
    assert "fewer than 1,000" in text
    assert "4 clusters are few" in text


def test_gamma_is_told_as_a_difference_with_its_interval() -> None:
    fit = builder.fit(["scratch", "cpt", "cpt-replay"])
    fit["contrasts"] = {"gamma[cpt]-gamma[scratch]": {"value": 0.015, "low": -0.01, "high": 0.04}}
    said = words.gamma(builder.study(fits=(fit,), curves={}))
    assert "a difference of 0.01500 (interval −0.01000 to 0.04000)" in said[0]
    assert "Only such a difference" in said[-1]


def test_a_rejected_joint_fit_gives_way_to_single_ones() -> None:
    joint, single = builder.fit(["scratch", "cpt"]), builder.fit(["scratch"])
    joint["sharing"]["verdict"] = "rejected"
    single["parameters"]["E"]["value"] = 1.5
    study = builder.study(fits=(joint, single), curves={})
    chosen = law.of(study, "scratch")
    assert chosen is not None
    assert chosen.surface.E == 1.5


def test_forgetting_is_in_the_headline() -> None:
    claims = words.claims(builder.study(curves={}))
    assert "Its loss on en rose by a median 1.3" in " ".join(claims[0].sentences)
    assert "Its loss on en rose by a median 0.0" in " ".join(claims[1].sentences)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (numbers.count(1_250_000_000), "1.25B"),
        (numbers.count(999_700), "1M"),
        (numbers.count(104_448), "104k"),
        (numbers.count(512), "512"),
        (numbers.count(None), "–"),
        (numbers.power(6.02e22), "6.02 × 10²²"),
        (numbers.power(1e19), "10¹⁹"),
        (numbers.power(1.2e-4), "1.2 × 10⁻⁴"),
        (numbers.loss(float("nan")), "–"),
        (numbers.loss(3.14159), "3.1416"),
        (numbers.percent(-0.004), "0\u202f%"),
        (numbers.percent(-0.25), "−25\u202f%"),
        (numbers.coefficient(0.34731), "0.34731"),
        (numbers.coefficient(2143.4), "2143.4"),
        (numbers.coefficient(-0.02), "−0.02000"),
        (numbers.coefficient(0.4, 0.3999999, 0.4000001), "0.40000000"),
        (numbers.coefficient(4.2e39), "4.2 × 10³⁹"),
        (numbers.interval(0.316, 0.372), "0.31600 to 0.37200"),
        (numbers.interval(0.1, None), "0.10000 to unbounded"),
        (numbers.interval(None, None), "–"),
        (numbers.duration(3_725), "1 h 2 min"),
        (numbers.duration(42), "42 s"),
        (words.listed(["a"]), "a"),
        (words.listed(["a", "b", "c"]), "a, b and c"),
        (words.listed([]), ""),
    ],
)
def test_numbers_and_lists_read_well(text: str, expected: str) -> None:
    assert text == expected
