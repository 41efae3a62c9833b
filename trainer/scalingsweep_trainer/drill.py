"""Faults on demand, for tests alone: a preemption, a kill, a full device at a named point.

SCALINGSWEEP_FAULT holds `KIND@POINT`, `KIND@POINT:STEP`, and after a `#` the one rank that it is
for: `term@save`, `nan@step:7`, `hang@step:5#1`. Unless it is set nothing here does anything; a
control plane passes no such variable on, so that none reaches a study by accident.

Kinds: `term` (SIGTERM to this process), `kill` (SIGKILL), `freeze` (SIGSTOP), `hang` (this thread
waits for ever, deaf), `nan` (a weight becomes NaN), or a class of outcome, as an error of its kind.
Points: `start` (before anything heavy is imported), `claim`, `load`, `step` and `update` (with the
number of updates done), `branch`, `save` (shards are uploaded, the checkpoint is not complete),
`commit` (the same, and the last look at the claim lies behind),
`decayed` (before a finished model is evaluated), `evaluation` (each pass), `results`, `prepare` and
`fit` (amid these).
"""

import os
import re
import signal
import threading
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from scalingsweep.api.outcome import Class
from scalingsweep.errors import DataError, SpecError, TransientError
from scalingsweep_trainer import endings

if TYPE_CHECKING:
    import torch

VARIABLE = "SCALINGSWEEP_FAULT"

_FORM = re.compile(r"(?P<kind>\w+)@(?P<point>[a-z]+)(:(?P<step>\d+))?(#(?P<rank>\d+))?")
_SIGNALS = {"term": signal.SIGTERM, "kill": signal.SIGKILL, "freeze": signal.SIGSTOP}
_WORDS = "injected by a test"
_MET = "save"
"""The point of the checkpoint's thread that the training thread can wait for."""
_struck = threading.Event()


def at(point: str, step: int | None = None) -> bool:
    """The process has come to a point; whatever is asked for happens here.

    Args:
        point: its name.
        step: updates done, where there are any.

    Returns:
        Whether the caller is to make a number none (`nan`): only it holds one.

    Raises:
        SpecError: the variable is set to what is no fault; else what the kind asks for.
    """
    asked = os.environ.get(VARIABLE)
    return False if asked is None else _strike(asked, point, step)


def meet(step: int) -> None:
    """Wait until the thread that saves has met the fault that is asked for at `save`.

    Without it chance decides how far the training thread has gone by then.
    """
    if (asked := os.environ.get(VARIABLE)) is not None and _meant(asked, _MET, step):
        _struck.wait()
        _struck.clear()


def poison(parameters: Iterable["torch.Tensor"]) -> None:
    """What `nan` asks for: the first of them becomes NaN."""
    first = next(iter(parameters))
    first.detach().fill_(float("nan"))


def _meant(asked: str, point: str, step: int | None) -> str:
    """The kind of fault that is asked for here; nothing when it is for elsewhere."""
    told = _FORM.fullmatch(asked)
    if told is None:
        raise SpecError(VARIABLE, f"{asked!r} is none of KIND@POINT[:STEP][#RANK]; unset it")
    if told["point"] != point or (told["step"] and int(told["step"]) != step):
        return ""
    if told["rank"] and told["rank"] != os.environ.get("RANK", "0"):
        return ""
    return told["kind"]


def _strike(asked: str, point: str, step: int | None) -> bool:
    kind = _meant(asked, point, step)
    if not kind:
        return False
    if kind in _SIGNALS:
        os.kill(os.getpid(), _SIGNALS[kind])
    if point == _MET:
        _struck.set()
    if kind == "hang":
        while True:
            time.sleep(3600)
    if kind not in {*_SIGNALS, "nan"}:
        raise _error(kind)
    return kind == "nan"


def _error(kind: str) -> Exception:
    match kind:
        case Class.BAD_CONFIGURATION:
            return SpecError("fault", _WORDS)
        case Class.BAD_DATA:
            return DataError("fault", _WORDS)
        case Class.OUT_OF_MEMORY:
            import torch

            return torch.OutOfMemoryError(_WORDS)
        case Class.DIVERGED:
            return endings.Diverged(_WORDS)
        case Class.SUPERSEDED:
            return endings.Superseded(_WORDS)
        case Class.INFRASTRUCTURE:
            return TransientError(_WORDS)
        case _:
            return SpecError(VARIABLE, f"there is no fault {kind!r}; unset it")
