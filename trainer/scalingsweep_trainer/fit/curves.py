"""The step records of finished and half-finished trials, for the report's loss curves.

Attempts append records under their own generation; where two generations trained the same step,
the newer one counts.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from scalingsweep.store import Store

Record = dict[str, Any]

_KEY = re.compile(r"trials/[0-9a-f]{32}/g(\d{4})/metrics/(trunk|\d+)-(\d{9})\.jsonl")


def read(store: Store, trial: str) -> dict[str, tuple[Record, ...]]:
    """Branch (`trunk`, or D as text) → its step records, in order of steps."""
    branches: dict[str, dict[int, Record]] = {}
    for key in sorted(store.list(f"trials/{trial}/"), key=_generation):
        match = _KEY.fullmatch(key)
        if match is None:
            continue
        steps = branches.setdefault(match[2], {})
        for record in _records(store.get(key)):
            steps[record["step"]] = record
    return {
        branch: tuple(record for _, record in sorted(steps.items()))
        for branch, steps in branches.items()
        if steps
    }


def _generation(key: str) -> tuple[str, str]:
    match = _KEY.fullmatch(key)
    return (match[1], key) if match else ("", key)


def _records(data: bytes) -> Iterator[Record]:
    for line in data.splitlines():
        record = json.loads(line)
        if "loss" in record:
            yield record
