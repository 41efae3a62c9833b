"""How the display and the plain lines say times, rates and phases, alike."""

from scalingsweep import quantity
from scalingsweep.plan import Key
from scalingsweep.world import Job, Work
from scalingsweep_cli.local.crew import Ended
from scalingsweep_cli.local.progress import Progress

JOBS = {Job.PREPARE: "prepare", Job.FIT: "fit"}


def name(work: Work) -> str:
    """What people call a piece of work."""
    return str(work) if isinstance(work, Key) else JOBS[work]


def failure(ended: Ended) -> str:
    """A failed attempt in one line: class, message, and where its log is."""
    said = ended.outcome.message or "said nothing"
    return f"{name(ended.order.work)} (attempt {ended.number}): {ended.outcome.klass}: {said}"


def clock(seconds: float) -> str:
    """`0:07`, `12:31`, `3:05:09`, `4d 07h`."""
    whole = max(0, round(seconds))
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= 48:
        return f"{hours // 24}d {hours % 24:02d}h"
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def roughly(seconds: float) -> str:
    """A length of time as an estimate deserves: `under a minute`, `about 12 min`, `about 3.5 h`."""
    if seconds < 60:
        return "under a minute"
    if seconds < 5400:
        return f"about {seconds / 60:.0f} min"
    hours = seconds / 3600
    return f"about {hours:.1f} h" if hours < 48 else f"about {hours / 24:.1f} days"


def phase(progress: Progress | None, key: Key) -> str:
    """What a trial is doing: `trunk`, `decay to 700k`, `evaluating`; under cosine `to 700k`."""
    if progress is None or not progress.phase:
        return "starting"
    if progress.phase != "training":
        return progress.phase
    if key.budget is not None:
        return f"to {quantity.label(key.budget)}"
    if progress.branch.isdigit():
        return f"decay to {quantity.label(max(1, int(progress.branch)))}"
    return progress.branch or progress.phase


def rate(tokens_per_second: float | None) -> str:
    """`12.3k`, three digits."""
    if tokens_per_second is None or tokens_per_second < 0:
        return ""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if tokens_per_second >= limit * 0.9995:
            return f"{tokens_per_second / limit:.3g}{unit}"
    return f"{tokens_per_second:.0f}"


def loss(value: float | None) -> str:
    """`3.512`: differences that matter show in the third decimal."""
    return "" if value is None else f"{value:.3f}"


def steps(progress: Progress | None) -> str:
    """`1234/2000`."""
    if progress is None or progress.step is None or not progress.steps:
        return ""
    return f"{progress.step}/{progress.steps}"
