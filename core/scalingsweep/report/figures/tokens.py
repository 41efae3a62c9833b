"""Loss against D, one panel per arm, one colour per size, with the fitted law."""

import numpy as np

from scalingsweep.report import cells, figure, law, numbers, palette
from scalingsweep.report.axis import Axis
from scalingsweep.report.panel import Panel
from scalingsweep.report.study import Arm, Study

KEY = "tokens"
TITLE = "Loss against training tokens"


def draw(study: Study) -> figure.Figure:
    """Each arm's loss on its own corpus."""
    arms = [arm for arm in study.arms if cells.with_loss(study, arm)]
    if not arms:
        return figure.Figure(key=KEY, title=TITLE, caption="", empty="No observation yet.")
    lines = any(law.of(study, arm.name) for arm in arms)
    caption = (
        "Validation loss of every observation, on the arm's own corpus, against D: the tokens of "
        "that corpus that the run was trained on. Darker is larger (in dark mode, brighter). "
    )
    if lines:
        caption += "Lines are the fitted law at each size's N, over the range of D that it has."
    legend = figure.size_keys(study)
    if lines:
        legend += (figure.Key(label="fitted law", line=True),)
    return figure.Figure(
        key=KEY,
        title=TITLE,
        caption=caption,
        legend=legend,
        panels=tuple(_panel(study, arm, _axes(study, arm, arms)) for arm in arms),
    )


def _axes(study: Study, arm: Arm, arms: list[Arm]) -> tuple[Axis, Axis]:
    """D is shared by all panels, the loss by the arms of one corpus: there they compare."""
    every = [row for one in arms for row in cells.with_loss(study, one)]
    same = [
        value
        for one in arms
        if one.corpus == arm.corpus
        for value in cells.column(cells.with_loss(study, one), f"loss_{arm.corpus}")
    ]
    x = Axis.over(cells.column(every, "D_target"), label="D, tokens", log=True)
    y = Axis.over(same, label=f"loss on {arm.corpus}, nats/token", text=numbers.loss)
    return x, y


def _panel(study: Study, arm: Arm, axes: tuple[Axis, Axis]) -> Panel:
    rows = cells.with_loss(study, arm)
    fitted = law.of(study, arm.name)
    panel = Panel(
        key=f"{KEY}-{figure.place(study, arm)}",
        title=arm.name,
        description=(
            f"Loss on {arm.corpus} of arm {arm.name} against tokens: {len(rows)} observations"
            f"{', with ' + law.label(fitted) if fitted else ''}."
        ),
        x=axes[0],
        y=axes[1],
    )
    series = cells.sizes(study)
    for label, some in cells.by_size(rows).items():
        one = series[label]
        tokens = cells.column(some, "D_target")
        if fitted and len(set(tokens)) > 1:
            D = np.geomspace(min(tokens), max(tokens), 60)
            N = cells.column(some, "N")[0]
            panel.line(D, fitted.surface.loss(N, D), colour=one.colour, kind="law", size=label)
        panel.points(
            tokens,
            cells.column(some, f"loss_{arm.corpus}"),
            colour=one.colour,
            marker=palette.marker(figure.place(study, arm)),
            arm=arm.name,
            size=label,
        )
    return panel
