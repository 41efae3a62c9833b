"""Training loss over tokens, one panel per arm, with the final validation losses on top."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from scalingsweep.report import cells, figure, numbers, palette
from scalingsweep.report.axis import Axis
from scalingsweep.report.panel import Panel
from scalingsweep.report.study import Arm, Study

KEY = "curves"
TITLE = "Training loss"
_A_DECADE = 60
"""Points in a tenfold of tokens. Single batches of a small run scatter by more than the sizes lie
apart, and a decay is a twentieth of the axis: drawn one by one they were black bars."""
_ALL_POINTS = 40_000
"""Of all curves together, about 0.6 MB of page."""
_LEAST = 5
"""Points in a tenfold, however many curves there are."""


def draw(study: Study) -> figure.Figure:
    """Every trunk and branch."""
    curves = {key: _thin(_read(records), study) for key, records in study.curves.items()}
    curves = {key: points for key, points in curves.items() if points}
    if not curves:
        empty = "No step records were given, so there are no training curves to show."
        return figure.Figure(key=KEY, title=TITLE, caption="", empty=empty)
    named = {key[0] for key in curves}
    arms = [arm for arm in study.arms if arm.name in named]
    x = Axis.over((p[0] for ps in curves.values() for p in ps), label="tokens", log=True, pad=0.03)
    rows = [row for arm in arms for row in cells.with_loss(study, arm)]
    finals = [v for arm in arms for v in cells.column(rows, f"loss_{arm.corpus}")]
    losses = [p[1] for ps in curves.values() for p in ps] + finals
    y = Axis.over(losses, label="loss, nats/token", log=True, text=numbers.loss)
    panels = []
    for arm in arms:
        mine = {key[1:]: points for key, points in curves.items() if key[0] == arm.name}
        panels.append(_panel(study, arm, mine, (x, y)))
    return figure.Figure(
        key=KEY,
        title=TITLE,
        caption=(
            "Loss on the training batches, trunk and decays, each point the mean of the batches "
            f"in a stretch of tokens, at most {_A_DECADE} in a tenfold; both axes are logarithmic. "
            "Markers are the validation losses of the observations."
        ),
        legend=(*figure.size_keys(study), figure.Key(label="training batches", line=True)),
        panels=tuple(panels),
    )


def _panel(
    study: Study,
    arm: Arm,
    curves: Mapping[tuple[str, int, str], Sequence[tuple[float, float]]],
    axes: tuple[Axis, Axis],
) -> Panel:
    panel = Panel(
        key=f"{KEY}-{figure.place(study, arm)}",
        title=arm.name,
        description=f"Training loss of arm {arm.name} over tokens, {len(curves)} curves.",
        x=axes[0],
        y=axes[1],
    )
    series = cells.sizes(study)
    for (size, seed, branch), points in curves.items():
        panel.line(
            *zip(*points, strict=True),
            colour=series[str(size)].colour,
            width=0.9 if branch == "trunk" else 0.7,
            alpha=0.85,
            kind="training",
            arm=arm.name,
            size=size,
            seed=seed,
            branch=branch,
        )
    for label, rows in cells.by_size(cells.with_loss(study, arm)).items():
        panel.points(
            # a curve runs over all tokens of a run, replayed ones too
            [cells.number(row, "D") or 1.0 for row in rows],
            cells.column(rows, f"loss_{arm.corpus}"),
            colour=series[label].colour,
            marker=palette.marker(figure.place(study, arm)),
            arm=arm.name,
            size=label,
        )
    return panel


def _read(records: Sequence[Mapping[str, Any]]) -> list[tuple[float, float]]:
    """(tokens, loss) of the training records; evaluation records have no `loss`."""
    points = []
    for record in records:
        tokens, loss = (numbers.finite(record.get(name)) for name in ("tokens", "loss"))
        if tokens is not None and loss is not None and tokens > 0 and loss > 0:
            points.append((tokens, loss))
    return points


def _thin(points: list[tuple[float, float]], study: Study) -> list[tuple[float, float]]:
    """The mean of the points in every even stretch of log tokens."""
    if not points:
        return []
    tokens, losses = np.array(points).T
    span = max(1.0, float(np.log10(tokens[-1] / tokens[0])))
    most = _ALL_POINTS / max(len(study.curves), 1) / span
    stretch = np.floor(np.log10(tokens) * max(_LEAST, min(_A_DECADE, most)))
    starts = np.flatnonzero(np.diff(stretch, prepend=stretch[0] - 1))
    counts = np.diff(starts, append=len(tokens))
    means = [np.add.reduceat(values, starts) / counts for values in (tokens, losses)]
    return list(zip(*(mean.tolist() for mean in means), strict=True))
