"""Words cut to what a status has room for. `conditions`, `summary`, `studies` and others ask.

A status may hold a dozen of them and stays under 32 KB, so it is bytes of JSON that count: a word
of three bytes a letter is cut earlier than the CRD's 1,024 characters.
"""

import itertools
import json

MOST_BYTES = 1024


def cut(words: str) -> str:
    """As much of the words as has MOST_BYTES as JSON."""
    if _bytes(words) <= MOST_BYTES:
        return words
    ends = itertools.accumulate(_bytes(letter) for letter in words)
    return words[: sum(1 for _ in itertools.takewhile(lambda end: end <= MOST_BYTES, ends))]


def _bytes(words: str) -> int:
    return len(json.dumps(words, ensure_ascii=False).encode(errors="replace")) - len('""')
