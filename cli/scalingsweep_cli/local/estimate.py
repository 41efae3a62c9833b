"""How long a run still takes, from how fast its trials have gone so far. For the display alone.

Time per token is taken as proportional to N + 118,000: a line through seconds per token of tiny
Llama models on one CPU core (27k parameters 59k tokens/s, 56k 44k, 101k 35k, 201k 21k, 443k 13.7k,
804k 9.3k), whose intercept is what each step costs whatever its size. The factor is measured in the
run itself; far above that N the line is the usual 6 N D.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from scalingsweep.plan import Key, Trial

_OVERHEAD = 118_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """How far a trial has come in this run."""

    done: float
    """Share of its tokens that is trained, from 0 to 1."""
    trained: float
    """Share that was trained under our eyes."""
    seconds: float
    """In how long."""
    running: bool = False


def weight(trial: Trial) -> float:
    """What a trial costs, in units that only ratios are taken of."""
    return float(trial.trained_tokens) * (trial.size.N + _OVERHEAD)


def seconds_left(
    trials: Mapping[Key, Trial], seen: Mapping[Key, Seen], *, parallel: int
) -> float | None:
    """Seconds until all of `trials` are done; None before anything can be told.

    Args:
        trials: those that are to be done, finished ones of this run included.
        seen: those that have shown something.
        parallel: how many run at a time.
    """
    known = {key: one for key, one in seen.items() if key in trials}
    trained = sum(weight(trials[key]) * one.trained for key, one in known.items())
    seconds = sum(one.seconds for one in known.values())
    if trained <= 0 or seconds <= 0:
        return None
    pace = seconds / trained
    left = {
        key: pace * weight(trial) * (1 - (known[key].done if key in known else 0))
        for key, trial in trials.items()
    }
    return max(sum(left.values()) / parallel, max(left.values(), default=0.0))
