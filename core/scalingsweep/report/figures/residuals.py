"""What the law leaves over: log L − log L̂ of every fitted observation, against D and N."""

import numpy as np

from scalingsweep.report import cells, figure, law, numbers, palette
from scalingsweep.report.axis import Axis
from scalingsweep.report.panel import Panel
from scalingsweep.report.study import Study

KEY = "residuals"
TITLE = "Residuals of the fit"


def draw(study: Study) -> figure.Figure:
    """Both panels hold every arm that has a law."""
    found = {arm.name: law.of(study, arm.name) for arm in study.arms}
    arms = [arm for arm in study.arms if found[arm.name] and cells.with_loss(study, arm)]
    if not arms:
        return figure.Figure(key=KEY, title=TITLE, caption="", empty="There is no fit.")
    points = {}
    for arm in arms:
        rows = cells.with_loss(study, arm)
        N, D = (np.asarray(cells.column(rows, name)) for name in ("N", "D_target"))
        fitted = found[arm.name]
        assert fitted is not None
        left = np.log(cells.column(rows, f"loss_{arm.corpus}")) - np.log(fitted.surface.loss(N, D))
        points[arm.name] = (N, D, left)
    y = Axis.over(
        [float(v) for _, _, left in points.values() for v in left] + [0.0],
        label="log L − log of the law",
        text=numbers.percent,
        pad=0.1,
    )
    panels = []
    for place, (name, label) in enumerate((("D", "D, tokens"), ("N", "N, parameters"))):
        x = Axis.over(
            [float(v) for three in points.values() for v in three[1 - place]],
            label=label,
            log=True,
        )
        panel = Panel(
            key=f"{KEY}-{place}",
            title=f"against {name}",
            description=f"Relative residuals of the fitted laws against {label}, per arm.",
            x=x,
            y=y,
        )
        panel.level(0.0)
        for arm in arms:
            at = figure.place(study, arm)
            N, D, left = points[arm.name]
            panel.points(
                D if name == "D" else N,
                left,
                colour=palette.arm(at),
                marker=palette.marker(at),
                arm=arm.name,
            )
        panels.append(panel)
    return figure.Figure(
        key=KEY,
        title=TITLE,
        caption=(
            "Relative distance of each observation from its arm's law. A slope or an arch here is "
            "something that the law does not describe, and its intervals do not cover."
        ),
        legend=figure.arm_keys(study, arms),
        panels=tuple(panels),
    )
