"""Contours of equal loss over compute and size, with the compute-optimal line and its band."""

import numpy as np

from scalingsweep import laws
from scalingsweep.report import cells, figure, law, numbers, palette
from scalingsweep.report.axis import Axis
from scalingsweep.report.panel import Panel
from scalingsweep.report.study import Arm, Row, Study

KEY = "isoloss"
TITLE = "Equal loss, and the compute-optimal size"


def draw(study: Study) -> figure.Figure:
    """One panel per arm that has a law."""
    found = [(arm, law.of(study, arm.name)) for arm in study.arms]
    fitted = [(arm, one) for arm, one in found if one and cells.with_loss(study, arm)]
    if not fitted:
        return figure.Figure(key=KEY, title=TITLE, caption="", empty="There is no fit.")
    rows = [row for arm, _ in fitted for row in cells.with_loss(study, arm)]
    N = cells.column(rows, "N")
    C = [laws.FLOPS_PER_PARAMETER_AND_TOKEN * n * d for n, d in zip(N, _tokens(rows), strict=True)]
    x = Axis.over(C, label="C = 6ND, FLOPs", log=True, text=numbers.power, pad=0.12)
    y = Axis.over(N, label="N, parameters", log=True, pad=0.25)
    banded = any(one.draws is not None for _, one in fitted)
    return figure.Figure(
        key=KEY,
        title=TITLE,
        caption=(
            "Contours are the fitted law’s loss in nats per token; markers the observations. The "
            "line is the size that reaches the least loss for its compute, the band its interval. "
            "Only near the markers is this interpolation."
        ),
        legend=(
            *figure.arm_keys(study, [arm for arm, _ in fitted]),
            figure.Key(label="compute-optimal N", line=True),
            *([figure.Key(label="its interval", area="band")] if banded else []),
        ),
        panels=tuple(_panel(study, arm, one, x, y) for arm, one in fitted),
    )


def _tokens(rows: list[Row]) -> list[float]:
    return cells.column(rows, "D_target")


def _panel(study: Study, arm: Arm, fitted: law.Law, x: Axis, y: Axis) -> Panel:
    at = figure.place(study, arm)
    rows = cells.with_loss(study, arm)
    N = np.asarray(cells.column(rows, "N"))
    measured = laws.flops(N, np.asarray(_tokens(rows)))
    best = fitted.surface.allocation()
    panel = Panel(
        key=f"{KEY}-{at}",
        title=arm.name if bool(best.valid) else f"{arm.name}: no compute-optimal size",
        description=(
            f"Contours of equal loss of arm {arm.name} over compute and parameters. "
            + (fitted.surface.why_no_allocation() or f"The best N grows as C to the {best.a:.3f}.")
        ),
        x=x,
        y=y,
    )
    C = np.geomspace(x.low, x.high, 80)
    sizes = np.geomspace(y.low, y.high, 80)
    grid = np.meshgrid(C, sizes)
    loss = fitted.surface.loss(grid[1], grid[0] / laws.FLOPS_PER_PARAMETER_AND_TOKEN / grid[1])
    panel.contours(C, sizes, loss, _levels(fitted, rows), arm=arm.name)
    if bool(best.valid):
        optimal, _ = best.split(C)
        if fitted.draws is not None:
            low, high = law.ends(fitted.fit, fitted.draws.allocation().split(C)[0])
            panel.band(C, low, high, colour=palette.arm(at), arm=arm.name)
        panel.line(C, optimal, colour=palette.arm(at), width=1.8, kind="optimum", arm=arm.name)
    panel.points(measured, N, colour=palette.arm(at), marker=palette.marker(at), arm=arm.name)
    return panel


def _levels(fitted: law.Law, rows: list[Row]) -> list[float]:
    """Five or so round levels over the losses that the arm has."""
    loss = fitted.surface.loss(np.asarray(cells.column(rows, "N")), np.asarray(_tokens(rows)))
    span = max(float(loss.max() - loss.min()), 1e-3)
    levels = Axis.over([float(loss.min()), float(loss.min()) + span], label="").ticks()
    step = levels[1] - levels[0] if len(levels) > 1 else span
    # one below the best and some above the worst: the corners of the panel are not bare
    return [levels[0] - step, *levels, *(levels[-1] + step * k for k in (1, 2, 4))]
