"""How figures of streams look to a person, and as JSON."""

from __future__ import annotations

from datetime import UTC
from datetime import datetime
from typing import TYPE_CHECKING
from typing import Any
from typing import Final

import click
import msgspec


if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Sequence

    from nautilus_enhanced.infrastructure.messagebus.publishing.wire import EntryId


NOTHING: Final = "–"
_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB")
_STEP: Final = 1024
_MS: Final = 1_000
_TIMES: Final = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
_ID_FIELDS: Final = frozenset(
    ("entry_id", "first_id", "last_id", "letter_id", "oldest_pending", "last_delivered", "before")
)


def shown_id(entry_id: EntryId | None) -> str:
    """Return an entry's ID as the server writes it."""
    return NOTHING if entry_id is None else f"{entry_id[0]}-{entry_id[1]}"


def shown_time(milliseconds: int) -> str:
    """Return a time in UTC, or the number where it is none that a calendar knows."""
    try:
        at = datetime.fromtimestamp(milliseconds / _MS, UTC)
    except (OverflowError, OSError, ValueError):
        return str(milliseconds)
    return at.strftime("%Y-%m-%d %H:%M:%S.") + f"{milliseconds % _MS:03d}Z"


def shown_duration(milliseconds: int | None) -> str:
    """Return a duration in its largest unit."""
    if milliseconds is None:
        return NOTHING
    seconds = milliseconds / _MS
    for unit_s, unit in _TIMES:
        if seconds >= unit_s:
            return f"{seconds / unit_s:,.0f} {unit}"
    return f"{milliseconds} ms"


def shown_size(size: int | None) -> str:
    """Return a number of bytes in a unit that suits it."""
    if size is None:
        return NOTHING
    value = float(size)
    for unit in _UNITS:
        if value < _STEP or unit == _UNITS[-1]:
            break
        value /= _STEP
    return f"{value:,.0f} {unit}" if unit == "B" else f"{value:,.1f} {unit}"


def shown_count(count: int, *, exact: bool = True) -> str:
    """Return a number, or that there are at least so many."""
    return f"{count:,}" if exact else f"at least {count:,}"


def printable(text: str) -> str:
    """Return a text without what a terminal would take for a command."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return lines in columns; the first column is to the left, the others to the right."""
    cells = [list(head), *([printable(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    return [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]


def as_data(value: Any) -> Any:
    """Return a value as JSON has it, with the IDs of entries as the server writes them."""
    if isinstance(value, msgspec.Struct):
        fields = {name: getattr(value, name) for name in value.__struct_fields__}
        return {
            name: (None if one is None else shown_id(one)) if name in _ID_FIELDS else as_data(one)
            for name, one in fields.items()
        }
    if isinstance(value, list | tuple):
        return [as_data(one) for one in value]
    return value


def print_json(value: Any) -> None:
    """Print a value as JSON, indented."""
    raw = msgspec.json.encode(as_data(value), enc_hook=str)
    click.echo(msgspec.json.format(raw, indent=2).decode())
