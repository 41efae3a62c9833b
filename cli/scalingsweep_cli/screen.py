"""How commands print: rich on a terminal, the same lines plainly everywhere else.

Every command makes one `console` and prints tables of one look through it. Without a terminal there
are no colours and no control codes, and text is not wrapped, so that `grep` finds whole sentences.
"""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

PLAIN_WIDTH = 80
"""Columns of a table that goes into a file or a pipe."""


def console() -> Console:
    """Standard output. NO_COLOR is rich's own to honour."""
    terminal = sys.stdout.isatty()
    return Console(
        file=sys.stdout,
        force_terminal=terminal,
        width=None if terminal else PLAIN_WIDTH,
        highlight=False,
        markup=False,
        emoji=False,
    )


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, text: int = 1) -> Table:
    """A table whose first `text` columns are words; the others are numbers, aligned right."""
    made = Table(box=box.SIMPLE_HEAD, header_style="bold", show_edge=False, pad_edge=False)
    for index, name in enumerate(columns):
        words = index < text
        made.add_column(name, justify="left" if words else "right", no_wrap=True)
    for row in rows:
        made.add_row(*(Text(cell) for cell in row))
    return made


def heading(out: Console, words: str) -> None:
    """The name of a part, after an empty line."""
    out.print()
    out.print(words, style="bold")


def note(out: Console, words: str, *, mark: str = "·", style: str = "") -> None:
    """A sentence that hangs under a mark; whole on one line where there is no terminal."""
    if not out.is_terminal:
        out.print(f"{mark} {words}", soft_wrap=True)
        return
    line = Table.grid(padding=(0, 1, 0, 0))
    line.add_column()
    line.add_column()
    line.add_row(Text(mark, style=style), Text(words))
    out.print(Padding(line, 0))


def warning(out: Console, words: str) -> None:
    """A sentence that a reader must not miss."""
    note(out, words, mark="!", style="bold yellow")


def json_object(value: Any) -> None:
    """One JSON object, for programs."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False) + "\n")
