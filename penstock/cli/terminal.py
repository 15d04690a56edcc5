"""What a terminal shows: tables, progress, and JSON for machines."""

from __future__ import annotations

import datetime as dt
import json
import math
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    import pyarrow as pa
    from rich.text import Text

NO_TABLES = "no table has been brought in yet: penstock run"
_NAMED = 24
"""The first column is as wide as it needs, up to this, where the others have room beside it."""
_LEFT = ("entity", "item", "class", "cutoff")


def echo_json(value: object, indent: int | None = None) -> None:
    """Plain values as JSON on stdout: instants as text, and null where a number is none, as JSON knows no NaN."""
    click.echo(json.dumps(_plain(value), indent=indent, allow_nan=False, default=str))


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@contextmanager
def watched(first: str) -> Iterator[Callable[[str, float], None]]:
    """Progress on stderr in a terminal, gone when done; elsewhere only what takes long and comes once."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(first, total=1.0)

        def told(message: str, share: float) -> None:
            bar.update(task, description=message[:70], completed=share)
            if message.startswith("compiling") and not console.is_terminal:
                click.echo(f"{message} ...", err=True)

        yield told


def deliver(
    table: pa.Table, out: str | None, as_json: bool, *, rows: int | None = None, key: Sequence[str] | None = None,
    more: str = "--json or --out shows them",
) -> None:  # fmt: skip
    """Write, print as JSON, or print the first rows (20); with ``rows`` JSON holds no more of them either.

    ``key`` says which rows of a database's table are the same (default: those of an entity, cutoff and step), and
    ``more`` how to see what is not printed.
    """
    if out:
        from penstock.lake import write

        same = [name for name in ("entity", "cutoff", "step") if name in table.column_names] if key is None else key
        write(table, out, same)
        click.echo(f"wrote {table.num_rows:,} rows", err=True)
    if as_json:
        echo_json(table.slice(0, rows).to_pylist())
    elif not out:
        print_table(table, 20 if rows is None else rows, more)


def instant_text(micros: int) -> str:
    """Microseconds since 1970 as people read them, in UTC.

    >>> instant_text(0)
    '1970-01-01 00:00:00'
    """
    return dt.datetime.fromtimestamp(micros / 1e6, dt.UTC).strftime("%Y-%m-%d %H:%M:%S")


def shown_rows(columns: Sequence[str], rows: Sequence[Sequence[object]], none: str = "there is nothing") -> None:
    """Rows as a table as wide as the terminal; cells may carry colours, NULL is empty, numbers stand right.

    Where there are no rows, ``none`` says so, and how to get some.
    """
    from rich.text import Text

    if not rows:
        click.echo(none)
        return

    cells = [[Text.from_ansi(_told(row[at])) for row in rows] for at in range(len(columns))]
    numbers = [all(isinstance(row[at], int | float) or row[at] in (None, "") for row in rows)
               for at in range(len(columns))]  # fmt: skip
    _print(columns, cells, numbers)


def _told(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else _cell(value)


def print_table(table: pa.Table, rows: int, more: str) -> None:
    """The first rows as a table as wide as the terminal; ``more`` says how to see the others."""
    from rich.text import Text

    shown = table.slice(0, rows)
    cells = [[Text(_cell(value)) for value in column.to_pylist()] for column in shown.columns]
    _print(table.column_names, cells, [name not in _LEFT for name in table.column_names])
    beside = table.num_rows - rows
    if beside > 0:
        click.echo(f"… {beside:,} more row{'s' if beside > 1 else ''} ({more})")


def _print(columns: Sequence[str], cells: Sequence[Sequence[Text]], right: Sequence[bool]) -> None:
    """As many columns as fit, no short word folded; then how many there are beside."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else 140)
    layout = _layout(columns, cells, console.width)
    shown = (
        Table(header_style="bold")
        if layout.bars
        else Table(header_style="bold", box=None, pad_edge=False, padding=(0, 1, 0, 0))
    )
    for at, wide in enumerate(layout.widths):
        name = columns[at] if layout.roomy else columns[at].replace(" ", "\n")
        shown.add_column(Text(name), justify="right" if right[at] else "left", overflow="fold", width=wide)
    for row in zip(*cells[: len(layout.widths)], strict=True):
        shown.add_row(*row)
    console.print(shown)
    beside = len(columns) - len(layout.widths)
    if beside:
        click.echo(f"… {beside:,} more column{'s' if beside > 1 else ''} (--json shows them)")


@dataclass(frozen=True)
class _Layout:
    """How columns stand: the widths of those that fit, whether with bars between, and whether with room."""

    widths: Sequence[int]
    bars: bool = True
    roomy: bool = False


def _layout(columns: Sequence[str], cells: Sequence[Sequence[Text]], width: int) -> _Layout:
    full = [max([len(name), *(cell.cell_len for cell in rows)]) for name, rows in zip(columns, cells, strict=True)]
    if sum(full) + 3 * len(full) + 1 <= width:
        return _Layout(full, roomy=True)
    for short, between in ((12, 3), (12, 1), (9, 1)):
        widths = [_least(name, rows, short) for name, rows in zip(columns, cells, strict=True)]
        widths[0] = max(widths[0], min(full[0], _NAMED))  # what a row is about is read first
        room = width - sum(widths) - between * len(widths) - 1
        if room >= 0:
            return _Layout(_widened(widths, full, room), bars=between == 3)
    widths = [min(_least(name, rows, 12), max(width - 4, 1)) for name, rows in zip(columns, cells, strict=True)]
    ends = list(accumulate(one + 3 for one in widths))
    count = max(sum(end + 1 <= width for end in ends), 1)
    return _Layout(_widened(widths[:count], full, width - ends[count - 1] - 1))


def _widened(widths: Sequence[int], full: Sequence[int], room: int) -> list[int]:
    """The widths with the room shared out among the columns that are not shown whole, the narrowest first."""
    wider = list(widths)
    for _ in range(room):
        narrow = [at for at, wide in enumerate(wider) if wide < full[at]]
        if not narrow:
            break
        wider[min(narrow, key=lambda at: wider[at])] += 1
    return wider


def _least(name: str, cells: Sequence[Text], short: int) -> int:
    """The width that a column needs for its numbers and its short words; long words are folded."""
    words = (word for text in (name, *(cell.plain for cell in cells)) for word in text.split())
    return max((min(len(word), 24 if word[0].isdigit() else short) for word in words), default=1)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    return "" if value is None else str(value)
