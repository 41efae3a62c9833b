"""Loss against N, one panel per corpus and budget, arms side by side, with their fitted laws."""

import numpy as np

from scalingsweep.report import cells, figure, law, numbers, palette
from scalingsweep.report.axis import Axis
from scalingsweep.report.panel import Panel
from scalingsweep.report.study import Arm, Row, Study

KEY = "parameters"
TITLE = "Loss against model size"
_MOST_PANELS = 8
"""More budgets than this share one panel, without laws."""


def draw(study: Study) -> figure.Figure:
    """The arms of each corpus, compared at equal budgets."""
    arms = [arm for arm in study.arms if cells.with_loss(study, arm)]
    if not arms:
        return figure.Figure(key=KEY, title=TITLE, caption="", empty="No observation yet.")
    panels: list[Panel] = []
    for corpus in dict.fromkeys(arm.corpus for arm in arms):
        panels += _of_corpus(study, corpus, [arm for arm in arms if arm.corpus == corpus], panels)
    return figure.Figure(
        key=KEY,
        title=TITLE,
        caption=(
            "The same observations against N, arms of one corpus together, one panel per budget. "
            "Lines, where there is a fit, are each arm's law along its observations."
        ),
        legend=figure.arm_keys(study, arms),
        panels=tuple(panels),
    )


def _of_corpus(study: Study, corpus: str, arms: list[Arm], before: list[Panel]) -> list[Panel]:
    rows = [row for arm in arms for row in cells.with_loss(study, arm)]
    groups = cells.budgets(rows)
    merged = len(groups) > _MOST_PANELS
    if merged:
        groups = [cells.Budget(label="all budgets", rows=tuple(rows))]
    x = Axis.over(cells.column(rows, "N"), label="N, parameters", log=True)
    y = Axis.over(
        cells.column(rows, f"loss_{corpus}"),
        label=f"loss on {corpus}, nats/token",
        text=numbers.loss,
    )
    panels: list[Panel] = []
    for group in groups:
        panel = Panel(
            key=f"{KEY}-{len(before) + len(panels)}",
            title=f"{corpus}: {group.label}",
            description=f"Loss on {corpus} against parameters at {group.label}, per arm.",
            x=x,
            y=y,
        )
        for arm in arms:
            mine = [row for row in group.rows if row.get("arm") == arm.name]
            _arm(study, panel, arm, mine, with_law=not merged)
        panels.append(panel)
    return panels


def _arm(study: Study, panel: Panel, arm: Arm, rows: list[Row], *, with_law: bool) -> None:
    at = figure.place(study, arm)
    fitted = law.of(study, arm.name)
    ordered = sorted(rows, key=lambda row: cells.column([row], "N"))
    N, D = cells.column(ordered, "N"), cells.column(ordered, "D_target")
    if fitted and with_law and len(set(N)) > 1:
        grid = np.geomspace(N[0], N[-1], 60)
        along = np.exp(np.interp(np.log(grid), np.log(N), np.log(D)))
        loss = fitted.surface.loss(grid, along)
        panel.line(grid, loss, colour=palette.arm(at), kind="law", arm=arm.name)
    panel.points(
        N,
        cells.column(ordered, f"loss_{arm.corpus}"),
        colour=palette.arm(at),
        marker=palette.marker(at),
        arm=arm.name,
    )
