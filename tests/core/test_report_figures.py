"""Every figure shows the data of observations.csv: read out of the page, compared with the rows."""

import json
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from scalingsweep import fit, report
from scalingsweep.report.study import Row
from support import page
from support import study as builder

# the SVG keeps thousandths of a unit for markers, hundredths for lines, on some 280 units
MARKERS, LINES = 2e-4, 2e-3
CORPUS = {arm.name: arm.corpus for arm in builder.ARMS}


@pytest.fixture(scope="module")
def study() -> report.Study:
    return builder.study()


@pytest.fixture(scope="module")
def html(study: report.Study) -> str:
    return report.render(study)


def same(
    plotted: Sequence[tuple[float, ...]],
    expected: Sequence[tuple[float, ...]],
    rel: float = MARKERS,
    floor: float = 0.0,
) -> None:
    """Both lists hold the same points, in any order."""
    assert len(plotted) == len(expected)
    for got, want in zip(sorted(plotted), sorted(expected), strict=True):
        assert got == pytest.approx(want, rel=rel, abs=floor)


def of(study: report.Study, arm: str, **columns: Any) -> list[Row]:
    wanted = {"arm": arm, **columns}
    return [row for row in study.rows if wanted.items() <= row.items()]


def own(row: Row) -> float:
    return float(row[f"loss_{CORPUS[row['arm']]}"])


def test_loss_against_tokens_shows_every_row_in_its_arm_and_size(
    study: report.Study, html: str
) -> None:
    panels = page.panels(html, "tokens")
    assert len(panels) == 4
    for panel, arm in zip(panels, builder.ARMS, strict=True):
        for size in builder.SIZES:
            expected = [(row["D_target"], own(row)) for row in of(study, arm.name, size=size)]
            same(panel.points(arm=arm.name, size=size), expected)


def test_loss_against_tokens_draws_the_fitted_law(html: str) -> None:
    panel = page.panels(html, "tokens")[2]
    for size, N in builder.SIZES.items():
        curve = panel.points("line", kind="law", size=size)
        assert len(curve) == 60
        for D, loss in curve:
            assert loss == pytest.approx(
                1.9 + 60 / N**0.33 + 65 / (D**0.285 * N**-0.005), rel=LINES
            )


def test_loss_against_parameters_shows_every_row_once(study: report.Study, html: str) -> None:
    panels = page.panels(html, "parameters")
    assert len(panels) == 1 + len(builder.BUDGETS)  # English has one budget, French four
    for arm in builder.ARMS:
        plotted = [point for panel in panels for point in panel.points(arm=arm.name)]
        same(plotted, [(row["N"], own(row)) for row in of(study, arm.name)])


def test_a_panel_of_loss_against_parameters_holds_one_budget(
    study: report.Study, html: str
) -> None:
    panel = page.panels(html, "parameters")[1]
    for arm in ("scratch", "cpt", "cpt-replay"):
        expected = [(row["N"], own(row)) for row in of(study, arm) if row["D"] == 1_000_000]
        same(panel.points(arm=arm), expected)


@pytest.mark.parametrize(
    ("rule", "title"),
    [(lambda N: 20 * N, "fr: D = 20 N"), (lambda N: 1e17 / N / 6, "fr: C = 10¹⁷ FLOPs")],
)
def test_budgets_are_told_by_the_rule_that_they_were_given_by(
    rule: Callable[[float], float], title: str
) -> None:
    rows = tuple(
        {**row, "D": rule(row["N"]) * k, "D_target": rule(row["N"]) * k}
        for row in builder.rows(budgets=(1e6,))
        for k in (1, 4)
        if row["arm"] in {"scratch", "cpt"}
    )
    html = report.render(builder.study(rows=rows, curves={}))
    panels = page.panels(html, "parameters")
    assert len(panels) == 2
    assert panels[0].element.findtext("title") == title
    assert [len(panel.of("line", kind="law")) for panel in panels] == [2, 2]


def test_isoloss_shows_compute_and_size_of_every_fitted_row(study: report.Study, html: str) -> None:
    panels = page.panels(html, "isoloss")
    for panel, arm in zip(panels, ("scratch", "cpt", "cpt-replay"), strict=True):
        rows = of(study, arm)
        same(panel.points(arm=arm), [(6 * r["N"] * r["D_target"], r["N"]) for r in rows])


def test_isoloss_line_is_the_best_size_for_its_compute(html: str) -> None:
    panel = page.panels(html, "isoloss")[1]
    surface = builder.CPT
    line = [(C, N) for C, N in panel.points("line", kind="optimum") if N > 1e5]
    assert len(line) > 20
    for C, N in line[::10]:
        best = surface.loss(N, C / 6 / N)
        for other in (0.8 * N, 1.25 * N):
            assert surface.loss(other, C / 6 / other) > best
    assert len(panel.of("band")) == 1
    assert panel.of("contour")


def test_savings_show_the_pairs_of_runs_that_the_rows_hold(study: report.Study, html: str) -> None:
    for place, arm in enumerate(("cpt", "cpt-replay")):
        tokens, flops = page.panels(html, "savings")[2 * place : 2 * place + 2]
        expected = _pairs(study, arm)
        assert len(expected) >= 8
        same(tokens.points(arm=arm), [(D, 1 - d / D) for _, D, d in expected], floor=1e-4)
        dearer = 1 / 0.9 if arm == "cpt-replay" else 1
        points = [(6 * N * D, 1 - d * dearer / D) for N, D, d in expected]
        same(flops.points(arm=arm), points, floor=1e-4)


def _pairs(study: report.Study, arm: str) -> list[tuple[float, float, float]]:
    """(N, D from scratch, D of CPT) at equal loss, by numpy's own interpolation of log D."""
    found = []
    for size, N in builder.SIZES.items():
        runs = [
            sorted((own(row), math.log(row["D_target"])) for row in of(study, name, size=size))
            for name in ("scratch", arm)
        ]
        losses, logs = zip(*(zip(*run, strict=True) for run in runs), strict=True)
        for loss in {*losses[0], *losses[1]}:
            if all(min(some) <= loss <= max(some) for some in losses):
                D = [math.exp(np.interp(loss, losses[k], logs[k])) for k in (0, 1)]
                found.append((N, D[0], D[1]))
    return found


def test_savings_curve_is_solid_only_where_both_runs_were_measured(
    study: report.Study, html: str
) -> None:
    panel = page.panels(html, "savings")[0]
    for size, N in builder.SIZES.items():
        solid, dashed = panel.of("line", kind="law", size=size)
        low, high = (f([r["D"] for r in of(study, "cpt", size=size)]) for f in (min, max))
        for D, share in solid.points:
            assert 1e6 * (1 - LINES) <= D <= 8e6 * (1 + LINES)
            assert low * 0.99 <= D * (1 - share) <= high * 1.01
            # equal loss is what the curve is about
            wanted = builder.FRENCH.loss(N, D)
            assert builder.CPT.loss(N, D * (1 - share)) == pytest.approx(wanted, rel=LINES)
        assert dashed.points
    ends = sorted(D for D, _ in panel.points("domain"))
    assert (ends[0], ends[-1]) == pytest.approx((1e6, 8e6), rel=LINES)


def test_training_curves_are_means_of_all_records(study: report.Study, html: str) -> None:
    """Cut at the middles between two points, the records have these means."""
    panels = dict(zip(CORPUS, page.panels(html, "curves"), strict=True))
    for (arm, size, seed, branch), records in study.curves.items():
        (line,) = panels[arm].of("line", kind="training", size=size, seed=seed, branch=branch)
        tokens = np.array([record["tokens"] for record in records])
        losses = np.array([record["loss"] for record in records])
        drawn = np.array(line.points)
        assert 5 <= len(drawn) <= 60 * np.log10(tokens[-1] / tokens[0]) + 2
        own = np.abs(np.log(tokens[:, None] / drawn[:, 0])).argmin(axis=1)
        counts = np.bincount(own, minlength=len(drawn))
        assert counts.sum() == len(records)
        means = np.bincount(own, losses, minlength=len(drawn)) / counts
        # a record at an edge may belong to the neighbour: noise of 0.8 % and the slope between two
        assert means == pytest.approx(drawn[:, 1], rel=0.03)
        assert np.average(drawn[:, 1], weights=counts) == pytest.approx(losses.mean(), rel=2e-3)


def test_training_curves_carry_the_validation_losses(study: report.Study, html: str) -> None:
    for panel, arm in zip(page.panels(html, "curves"), CORPUS, strict=True):
        same(panel.points(), [(row["D"], own(row)) for row in of(study, arm)])


def test_forgetting_shows_the_source_corpus_and_where_it_started(
    study: report.Study, html: str
) -> None:
    panels = page.panels(html, "forgetting")
    for panel, arm in zip(panels, ("cpt", "cpt-replay"), strict=False):
        same(panel.points(), [(row["D"], row["loss_en"]) for row in of(study, arm)])
        for size in builder.SIZES:
            (start,) = of(study, "source", size=size)
            level = panel.points("level", size=size)
            assert [loss for _, loss in level] == pytest.approx([start["loss_en"]] * 2, rel=LINES)


def test_forgetting_against_replay_shows_the_rise_of_the_longest_runs(
    study: report.Study, html: str
) -> None:
    panel = page.panels(html, "forgetting")[2]
    expected = []
    for arm, ratio in (("cpt", 0.0), ("cpt-replay", 0.1)):
        for size in builder.SIZES:
            (start,) = of(study, "source", size=size)
            (end,) = of(study, arm, size=size, D=8_000_000)
            expected.append((ratio, end["loss_en"] - start["loss_en"]))
    same([(round(x, 6), y) for x, y in panel.points()], expected, floor=5e-4)


def test_residuals_are_the_distance_of_each_row_from_its_law(
    study: report.Study, html: str
) -> None:
    against_D, against_N = page.panels(html, "residuals")
    for arm, surface in (("scratch", builder.FRENCH), ("cpt", builder.CPT)):
        rows = of(study, arm)
        left = [math.log(own(r) / surface.loss(r["N"], r["D_target"])) for r in rows]
        xs = [row["D_target"] for row in rows], [row["N"] for row in rows]
        for panel, x in zip((against_D, against_N), xs, strict=True):
            same(panel.points(arm=arm), list(zip(x, left, strict=True)), floor=1e-5)


def test_a_fit_of_these_rows_is_drawn_through_them() -> None:
    """The seam to the real fitter: fit.json as it writes it, and resamples as bands."""
    rows = [row for row in builder.rows() if row["arm"] in {"scratch", "cpt"}]
    fitted = fit.fit(
        fit.Table.of(
            N=[row["N"] for row in rows],
            D=[row["D_target"] for row in rows],
            loss=[row["loss_fr"] for row in rows],
            arm=[row["arm"] for row in rows],
            cluster=[(row["size"], row["seed"]) for row in rows],
        ),
        law="extended",
        bootstrap=100,
        corpus="fr",
    )
    draws = {
        arm: {
            role: np.broadcast_to(getattr(fitted.surfaces(arm), role), 100).tolist()
            for role in fitted.law.roles
        }
        for arm in fitted.arms
    }
    written = json.loads(json.dumps({**fitted.to_json(), "draws": draws}))
    html = report.render(builder.study(rows=tuple(rows), fits=(written,), curves={}))
    for panel, arm in zip(page.panels(html, "tokens"), ("scratch", "cpt"), strict=True):
        for size, N in builder.SIZES.items():
            for D, loss in panel.points("line", kind="law", size=size)[::20]:
                assert loss == pytest.approx(float(fitted.surface(arm).loss(N, D)), rel=LINES)
    assert all(panel.of("band") for panel in page.panels(html, "isoloss"))
    assert page.panels(html, "savings")[0].of("band")
    residuals = [left for _, left in page.panels(html, "residuals")[0].points()]
    assert max(abs(left) for left in residuals) < 5 * builder.NOISE


def test_a_changed_row_moves_its_marker(study: report.Study, html: str) -> None:
    """Guards the guard: the comparison above sees a change of a thousandth."""
    changed = [dict(row) for row in study.rows]
    changed[10]["loss_fr"] *= 1.001
    before = page.panels(html, "tokens")[1].points()
    after = page.panels(report.render(builder.study(rows=tuple(changed))), "tokens")[1].points()
    with pytest.raises(AssertionError):
        same(after, before)
