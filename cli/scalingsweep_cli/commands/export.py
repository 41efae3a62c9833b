"""`scalingsweep export`: a trained model of the study as a Hugging Face checkpoint."""

import json
from collections.abc import Sequence
from pathlib import Path

import click

from scalingsweep import quantity
from scalingsweep.errors import SpecError
from scalingsweep.plan import Plan, Trial
from scalingsweep_cli import kept


@click.command("export")
@click.argument("manifest", metavar="SWEEP.yaml", type=click.Path(path_type=Path))
@click.argument("target", metavar="FOLDER", type=click.Path(path_type=Path))
@click.option(
    "--trial", "name", metavar="ARM/SIZE[/SEED]", required=True, help="Whose model, as cpt/125M."
)
@click.option("--tokens", metavar="D", help="Which budget, as 2M.  [default: the longest]")
@click.option("--embedded", is_flag=True, help="The sweep was run with --embedded.")
def command(*, manifest: Path, target: Path, name: str, tokens: str | None, embedded: bool) -> None:
    """Write the decayed model of a trial at D into FOLDER: safetensors, config and tokenizer.

    \b
    scalingsweep export sweep.yaml --trial cpt/125M --tokens 2M cpt-125M
    python -c 'from transformers import AutoModelForCausalLM as M; M.from_pretrained("cpt-125M")'

    It is the very model whose losses stand in observations.csv at that D.

    Writes FOLDER, which must be new or empty.
    """  # noqa: D301 - \b is click's mark for lines that are kept
    found = kept.find(manifest, embedded=embedded)
    trial, D = chosen(found.study.plan, name, tokens)
    _refuse_full(target)
    with kept.opened(found) as at:
        order = {"trial": found.specs[trial.key].id, "tokens": D, "target": str(target.resolve())}
        at.work("export", {"SCALINGSWEEP_EXPORT": json.dumps(order)})
    click.echo(f"{target}: {trial.key} at D = {quantity.label(D)}")


def chosen(plan: Plan, name: str, tokens: str | None) -> tuple[Trial, int]:
    """The trial and the D that are meant.

    Args:
        plan: the study's.
        name: `ARM/SIZE[/SEED]`; the seed is needed where there are several.
        tokens: a budget as the user writes it, before it was rounded to whole steps; None: the
            longest.

    Raises:
        SpecError: there is none such; names those that there are.
    """
    parts = name.split("/")
    trials = [trial for trial in plan.trials if _parts(trial)[: len(parts)] == parts]
    if len(parts) not in {2, 3} or not trials:
        known = dict.fromkeys("/".join(_parts(trial)) for trial in plan.trials)
        raise SpecError("--trial", f"there is no {name!r}; there are {_few(list(known))}")
    seeds = sorted({trial.key.seed for trial in trials})
    if len(seeds) > 1:
        listed = ", ".join(map(str, seeds))
        raise SpecError("--trial", f"{name} was trained with seeds {listed}: name one, as {name}/0")
    budgets = {D: trial for trial in trials for D in trial.budgets}
    D = max(budgets) if tokens is None else _budget(list(budgets.items()), name, tokens)
    return budgets[D], D


def _budget(budgets: Sequence[tuple[int, Trial]], name: str, tokens: str) -> int:
    try:
        wanted = quantity.parse(tokens)
    except ValueError as error:
        raise SpecError("--tokens", str(error)) from None
    for D, trial in budgets:
        if abs(D - wanted) <= trial.size.step_tokens / 2:
            return D
    listed = ", ".join(str(D) for D, _ in budgets)
    raise SpecError("--tokens", f"{name} has no model at {tokens}; it has {listed}")


def _parts(trial: Trial) -> list[str]:
    return [trial.key.arm, trial.key.size, str(trial.key.seed)]


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def _refuse_full(target: Path) -> None:
    if target.is_file():
        raise SpecError(str(target), "is a file: name a new folder")
    if target.is_dir() and any(target.iterdir()):
        raise SpecError(str(target), "is a folder that holds something: name a new one")
