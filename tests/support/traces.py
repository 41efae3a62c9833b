"""The form of tests/data/trace.json, in which no shell shows: written by `record`, then replayed.

A trace is a manifest and points. A point is a time in seconds since the sweep began, what ended
since the last one (how its process went, the outcome that it left, the class that this was), and
the decision. What begins does so by a decision's start.
"""

import json
from typing import Any

from scalingsweep.world import Decision, Start
from scalingsweep_cli.local import journal


def decision(decided: Decision) -> dict[str, Any]:
    """What of a decision both shells must agree on: all but when to look again."""
    return {
        "phase": str(decided.phase),
        "reason": decided.reason,
        "limit": str(decided.limit) if decided.limit else None,
        "trials": {journal.name(key): str(phase) for key, phase in decided.trials.items()},
        "actions": [
            {"start": journal.name(action.work), "halvings": action.halvings}
            if isinstance(action, Start)
            else {"stop": journal.name(action.work), "reason": action.reason}
            for action in decided.actions
        ],
    }


def work(told: str) -> str:
    """The work that a trial's worker was told of, as `journal.name` writes it."""
    spec = json.loads(told)
    return f"{spec['arm']}/{spec['size']}/{spec.get('seed', 0)}"


def dump(trace: dict[str, Any]) -> str:
    """The file: a line for each point."""
    head = json.dumps(trace["manifest"])
    points = ",\n  ".join(json.dumps(point, ensure_ascii=False) for point in trace["points"])
    return f'{{"manifest": {head},\n "points": [\n  {points}]}}\n'
