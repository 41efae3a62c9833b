"""A plan on a screen: totals, arms, sizes, text, and what the grid can tell.

`scalingsweep plan` prints it from core's preview; all numbers are computed there.
"""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from scalingsweep import quantity
from scalingsweep.design import Verdict
from scalingsweep.plan import Trial
from scalingsweep.preview import GroupVerdict, Preview
from scalingsweep_cli import screen
from scalingsweep_cli.text import Available, size


def to_json(seen: Preview, text: Sequence[Available]) -> dict[str, Any]:
    """The preview's object, with the text that is there beside the text that is needed."""
    value = seen.to_json()
    for corpus, there in zip(value["corpora"], text, strict=True):
        corpus["available"] = {
            "files": there.files,
            "bytes": there.bytes,
            "mostTokens": there.most_tokens,
            "tokens": there.tokens,
        }
    value["warnings"] += [there.warning for there in text if there.warning]
    return value


def show(out: Console, seen: Preview, text: Sequence[Available], name: str) -> None:
    """Print the whole plan."""
    plan = seen.plan
    out.print(
        f"{name}: {_count(len(plan.trials), 'trial')}, "
        f"{_count(len(plan.observations), 'observation')}",
        style="bold",
        soft_wrap=True,
    )
    out.print(_totals(seen))
    screen.heading(out, "Arms")
    out.print(_arms(seen))
    screen.heading(
        out, "Sizes (steps of the longest run; memory of a rank, one sequence at a time)"
    )
    out.print(_sizes(seen))
    screen.heading(out, "Text (unique tokens that the longest run takes)")
    out.print(_text(text))
    if any(there.tokens is None for there in text):
        screen.note(
            out, "Tokens are counted when the text is prepared; a token has a byte or more."
        )
    screen.heading(out, "What the grid can tell")
    _verdicts(out, seen)
    told = {verdict.text for verdict in seen.identifiability}
    warnings = [words for words in seen.warnings if words not in told]
    warnings += [there.warning for there in text if there.warning]
    if warnings:
        screen.heading(out, "Warnings")
    for words in warnings:
        screen.warning(out, words)
    if seen.refusal:
        screen.heading(out, "`scalingsweep run` refuses this grid")
        screen.warning(out, seen.refusal)


def _totals(seen: Preview) -> Table:
    made = Table.grid(padding=(0, 2, 0, 0))
    made.add_column(no_wrap=True)
    made.add_column(justify="right", no_wrap=True)
    made.add_column()
    made.add_row("FLOPs", _flops(seen.plan.flops), "Σ 6 N D over the observations")
    made.add_row("trained", _flops(seen.plan.flops_trained), "trunks shared by their branches")
    made.add_row("GPU-hours", _hours(seen.gpu_hours), _device(seen))
    made.add_row("storage", size(seen.storage), "checkpoints that stay")
    return made


def _device(seen: Preview) -> str:
    if seen.gpu_hours is None:
        precision = seen.plan.spec.training.precision
        return f"no {precision} peak is known of {seen.device}: name another accelerator"
    who = "assumed (none is named)" if seen.device_is_default else "as the manifest says"
    return f"{seen.device}, {who}; {seen.mfu:.0%} MFU, assumed"


def _arms(seen: Preview) -> Table:
    rows = []
    for arm in seen.plan.spec.arms:
        trials = [trial for trial in seen.plan.trials if trial.key.arm == arm.name]
        replay = f"{arm.replay.ratio:g} {arm.replay.corpus}" if arm.replay else "–"
        rows.append(
            (arm.name, arm.corpus, _start(trials), replay, _budgets(trials), f"{len(trials)}")
        )
    return screen.table(("arm", "corpus", "starts from", "replay", "D", "trials"), rows, text=5)


def _start(trials: Sequence[Trial]) -> str:
    first = trials[0]
    if first.source is not None:
        stable = " trunk" if first.source.checkpoint == "stable" else ""
        return f"{first.source.key.arm}{stable}"
    return "a checkpoint" if first.arm.init else "scratch"


def _budgets(trials: Sequence[Trial]) -> str:
    tokens = sorted({D for trial in trials for D in trial.budgets})
    least, most = quantity.label(tokens[0]), quantity.label(tokens[-1])
    return least if least == most else f"{least} … {most}"


def _sizes(seen: Preview) -> Table:
    rows = [
        (
            row.label,
            quantity.label(row.N),
            f"{row.layers}×{row.hidden_size}×{row.heads}",
            quantity.label(row.batch_tokens),
            f"{row.learning_rate:.3g}",
            f"{row.warmup_steps}",
            f"{row.steps}",
            size(row.memory),
        )
        for row in seen.sizes
    ]
    columns = ("size", "N", "L×width×heads", "batch", "rate", "warm-up", "steps", "memory")
    return screen.table(columns, rows)


def _text(text: Sequence[Available]) -> Table:
    made = screen.table(
        ("corpus", "needed", "passes", "there"),
        [
            (
                there.need.corpus,
                quantity.label(there.need.tokens) if there.need.tokens else "–",
                f"≤ {there.need.max_epochs:g}",
                there.words,
            )
            for there in text
        ],
    )
    made.columns[-1].justify, made.columns[-1].overflow = "left", "fold"
    made.columns[-1].no_wrap = False
    return made


def _verdicts(out: Console, seen: Preview) -> None:
    for verdict in seen.identifiability:
        words = _sentence(verdict)
        if verdict.verdict == Verdict.IDENTIFIED:
            screen.note(out, words, mark="✓", style="green")
        elif verdict.group.wanted:
            screen.warning(out, words)
        else:
            screen.note(out, words)
        for arm in dict.fromkeys(point.arm for point in verdict.mend):
            runs = [_run(point.N, point.D) for point in verdict.mend if point.arm == arm]
            screen.note(out, f"runs of {arm} that would mend it: {'; '.join(runs)}", mark="  +")


def _sentence(verdict: GroupVerdict) -> str:
    """What one law will be like in one group of arms."""
    arms, law = ", ".join(verdict.group.arms), f"the {verdict.law} law"
    if verdict.verdict == Verdict.DEFICIENT:
        return f"{arms}: this grid cannot identify {', '.join(verdict.unidentified)} of {law}"
    how = "loose" if verdict.verdict == Verdict.LOOSE else "identified"
    widths = [f"{name} ± {width:.2g}" for name, width in verdict.half_widths.items() if width]
    return f"{arms}: {law} will be {how}: {', '.join(widths)} (95 %)"


def _run(N: float, D: float) -> str:
    return f"N = {quantity.label(round(N))} with D = {quantity.label(round(D))}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _flops(value: float) -> str:
    return f"{value:.3g}".replace("e+", "e")


def _hours(value: float | None) -> str:
    if value is None:
        return "unknown"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
