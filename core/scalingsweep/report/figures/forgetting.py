"""What continual pre-training costs on the source's corpus, and what replay saves of it."""

from typing import Any

from scalingsweep.report import cells, figure, numbers, palette
from scalingsweep.report.axis import Axis
from scalingsweep.report.panel import Panel
from scalingsweep.report.study import Arm, Row, Study

KEY = "forgetting"
TITLE = "Forgetting against replay"


def draw(study: Study) -> figure.Figure:
    """One panel per CPT arm, then the rise of the source's loss against the replay ratio."""
    arms = [arm for arm in study.arms if cells.with_loss(study, arm, corpus_of(study, arm))]
    arms = [arm for arm in arms if arm.source is not None]
    if not arms:
        empty = "No arm continues another one, so nothing can be forgotten."
        if any(arm.source for arm in study.arms):
            empty = "No CPT arm has been evaluated on its source’s corpus yet."
        return figure.Figure(key=KEY, title=TITLE, caption="", empty=empty)
    risen = [rises(study, arm) for arm in arms]
    panels = [_panel(study, arm, arms) for arm in arms]
    if any(risen):
        panels.append(_against_replay(study, arms, risen))
    return figure.Figure(
        key=KEY,
        title=TITLE,
        caption=(
            "Loss of each CPT arm on its source’s corpus against the tokens of its own training; "
            "dashed, the source’s own loss at the end of its training, where CPT started. "
            "The last panel shows how far that loss has risen at each size’s longest run, against "
            "the share of replayed tokens."
        ),
        legend=(
            *figure.size_keys(study),
            figure.Key(label="the source’s own loss", line=True, dash="dashed"),
        ),
        panels=tuple(panels),
    )


def corpus_of(study: Study, arm: Arm) -> str:
    """The corpus that a CPT arm may forget: its source's."""
    source = study.arm(arm.source or "")
    return source.corpus if source else (arm.replay_corpus or arm.corpus)


def before(study: Study, arm: Arm, row: Row) -> float | None:
    """The source's final loss on its corpus, of the same size and seed and of D_source tokens.

    A source with several budgets has several; the one whose D the row started from is meant.
    """
    corpus = corpus_of(study, arm)
    own = [
        one
        for one in cells.of(study, arm.source or "")
        if cells.size(one) == cells.size(row) and cells.number(one, f"loss_{corpus}") is not None
    ]
    same = [one for one in own if one.get("seed") == row.get("seed")] or own
    D_source = cells.number(row, "D_source")
    if D_source is not None:
        same = [one for one in same if abs((cells.number(one, "D") or 0) / D_source - 1) < 1e-6]
    return cells.number(same[-1], f"loss_{corpus}") if same else None


def rises(study: Study, arm: Arm) -> list[tuple[Row, float]]:
    """Each size's and seed's longest run, and how much its source's loss has risen."""
    corpus = corpus_of(study, arm)
    longest: dict[tuple[str, str], Row] = {}
    for row in cells.with_loss(study, arm, corpus):
        key = cells.size(row), str(row.get("seed"))
        if key not in longest or (cells.D(row) or 0) > (cells.D(longest[key]) or 0):
            longest[key] = row
    found = []
    for row in longest.values():
        start, end = before(study, arm, row), cells.number(row, f"loss_{corpus}")
        if start is not None and end is not None:
            found.append((row, end - start))
    return found


def _panel(study: Study, arm: Arm, arms: list[Arm]) -> Panel:
    corpus = corpus_of(study, arm)
    alike = [one for one in arms if corpus_of(study, one) == corpus]
    rows = [row for one in alike for row in cells.with_loss(study, one, corpus)]
    starts = [before(study, one, row) for one in alike for row in cells.with_loss(study, one)]
    x = Axis.over([cells.number(r, "D") or 1 for r in rows], label="D, tokens", log=True)
    y = Axis.over(
        cells.column(rows, f"loss_{corpus}") + [value for value in starts if value is not None],
        label=f"loss on {corpus}, nats/token",
        text=numbers.loss,
    )
    mine = cells.with_loss(study, arm, corpus)
    ratio = numbers.percent(arm.replay_ratio) if arm.replay_ratio else "no"
    panel = Panel(
        key=f"{KEY}-{figure.place(study, arm)}",
        title=f"{arm.name}, {ratio} replay",
        description=f"Loss on {corpus} of arm {arm.name} against tokens, {len(mine)} observations.",
        x=x,
        y=y,
    )
    series = cells.sizes(study)
    for label, some in cells.by_size(mine).items():
        start = before(study, arm, some[0])
        if start is not None:
            panel.level(start, colour=series[label].colour, dash="dashed", size=label)
        for seed, seeded in _by_seed(some).items():
            tokens = [cells.number(row, "D") or 1 for row in seeded]
            losses = cells.column(seeded, f"loss_{corpus}")
            what: dict[str, Any] = {
                "colour": series[label].colour,
                "arm": arm.name,
                "size": label,
                "seed": seed,
            }
            panel.line(tokens, losses, kind="guide", width=0.8, alpha=0.6, **what)
            marker = palette.marker(figure.place(study, arm))
            panel.points(tokens, losses, marker=marker, **what)
    return panel


def _by_seed(rows: list[Row]) -> dict[str, list[Row]]:
    grouped: dict[str, list[Row]] = {}
    for row in sorted(rows, key=lambda row: cells.D(row) or 0):
        grouped.setdefault(str(row.get("seed")), []).append(row)
    return grouped


def _against_replay(study: Study, arms: list[Arm], risen: list[list[tuple[Row, float]]]) -> Panel:
    every = [rise for some in risen for _, rise in some]
    ratios = [arm.replay_ratio or 0.0 for arm in arms]
    panel = Panel(
        key=f"{KEY}-replay",
        title="rise against replay",
        description="Rise of the loss on the source's corpus against the share of replay.",
        x=Axis.over([0.0, *ratios], label="replayed share", text=numbers.percent, pad=0.1),
        y=Axis.over([0.0, *every], label="rise of the loss, nats/token", text=numbers.loss),
    )
    panel.level(0.0)
    series = cells.sizes(study)
    for arm, some in zip(arms, risen, strict=True):
        for row, rise in some:
            panel.points(
                [arm.replay_ratio or 0.0],
                [rise],
                colour=series[cells.size(row)].colour,
                marker=palette.marker(figure.place(study, arm)),
                arm=arm.name,
                size=cells.size(row),
            )
    return panel
