"""The last words of a run: what was fitted, what went wrong, and where everything is."""

from pathlib import Path

from rich.console import Console

from scalingsweep.api.outcome import FitSummary, FittedParameter
from scalingsweep.errors import DiskFull, TransientError, is_full
from scalingsweep.store import Store
from scalingsweep.world import Phase
from scalingsweep_cli import screen
from scalingsweep_cli.local import words
from scalingsweep_cli.local.runner import End
from scalingsweep_cli.local.study import Study

FILES = ("observations.csv", "fit.json", "report.html")


def fetch(study: Study, store: Store) -> Path:
    """Copy the results out of S3, beside the journal.

    Returns:
        The report's path.

    Raises:
        TransientError: the storage does not answer, or the disk cannot be written.
    """
    metadata = study.sweep.metadata
    for name in FILES:
        data = store.get(f"sweeps/{metadata.namespace}/{metadata.name}/{name}")
        _write(study.folder.home / name, data)
    return study.folder.home / "report.html"


def _write(path: Path, data: bytes) -> None:
    draft = path.with_name(f".{path.name}.part")
    try:
        draft.write_bytes(data)
        draft.chmod(0o600)
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        if is_full(error):
            raise DiskFull(path) from None
        raise TransientError(
            f"{path}: cannot be written ({error.strerror}): mend that and run the same again"
        ) from None


def say(out: Console, study: Study, end: End, report: Path | None, again: str) -> None:
    """Print the end of a run; the report's path is the last line."""
    if end.interrupted:
        screen.note(out, f"stopped; everything so far is kept in {study.folder.root}")
        screen.note(out, f"to go on: {again}")
        return
    for failure in end.failures:
        screen.warning(out, words.failure(failure))
    if end.phase is Phase.COMPLETE and end.summary is not None:
        _laws(out, end.summary)
    screen.note(out, end.reason)
    if report is not None:
        out.print(str(report), soft_wrap=True)


def _laws(out: Console, summary: FitSummary) -> None:
    for law in summary.laws:
        screen.heading(out, f"{law.name}: {', '.join(law.arms)}")
        rows = [_row(parameter) for parameter in law.parameters]
        out.print(screen.table(("", "value", "95 % interval"), rows))
    for text in summary.warnings:
        screen.warning(out, text)


def _row(parameter: FittedParameter) -> tuple[str, str, str]:
    interval = (
        ""
        if parameter.low is None and parameter.high is None
        else f"{_number(parameter.low)} … {_number(parameter.high)}"
    )
    return parameter.name, f"{parameter.value:.4g}", interval


def _number(value: float | None) -> str:
    return "?" if value is None else f"{value:.4g}"
