"""
Changes members of an object in JSON text, and leaves every other character as it is.

Taking out what was put in gives back the text from before, to the byte.
"""

from __future__ import annotations

import json
import re
from typing import Any
from typing import Final
from typing import NamedTuple

from nautilus_enhanced.common.redaction import Redactor
from nautilus_enhanced.common.redaction import secrets_in
from nautilus_enhanced.infrastructure.messagebus.errors import ConfigurationError


MAX_LINE: Final = 80

_SPACE: Final = re.compile(r"[ \t\r\n]*")
_DECODER: Final = json.JSONDecoder()


class Member(NamedTuple):
    """A member of an object, and where it stands in the text."""

    key: str
    start: int
    key_end: int
    value_start: int
    end: int


def skip_space(text: str, at: int) -> int:
    """Return the place of the first character from `at` on that is no white space."""
    return _SPACE.match(text, at).end()  # type: ignore[union-attr]  # it matches nothing too


def members(text: str, start: int, place: str = "") -> list[Member]:
    """
    Return the members of the object that begins at `start`; the text must be valid JSON.

    Parameters
    ----------
    text : str
        The text.
    start : int
        The place of the object's brace.
    place : str, default ''
        The path of the object in the file, for the error.

    Raises
    ------
    ConfigurationError
        If a name comes twice: which of the two counts is up to the reader.
    """
    found: list[Member] = []
    at = skip_space(text, start + 1)
    while text[at] != "}":
        key, key_end = _DECODER.raw_decode(text, at)
        value_start = skip_space(text, skip_space(text, key_end) + 1)
        _, end = _DECODER.raw_decode(text, value_start)
        if any(key == other.key for other in found):
            raise ConfigurationError(
                f"{place}.{key}".lstrip("."), "given twice", "each name once in an object"
            )
        found.append(Member(key, at, key_end, value_start, end))
        at = skip_space(text, end)
        if text[at] == ",":
            at = skip_space(text, at + 1)
    return found


def find(text: str, start: int, key: str) -> Member | None:
    """Return the member named `key` of the object that begins at `start`, or None."""
    return next((member for member in members(text, start) if member.key == key), None)


def put_in(text: str, start: int, key: str, value: Any, *, first: bool = False) -> str:
    """
    Return the text with one more member in the object that begins at `start`.

    Parameters
    ----------
    text : str
        The text.
    start : int
        The place of the object's brace.
    key : str
        The member's name.
    value : Any
        Its value, as JSON data.
    first : bool, default False
        If it goes before the other members, and not behind them.
    """
    present = members(text, start)
    if not present:
        return f"{text[: start + 1]}{_render(text, start, [], key, value)}{text[start + 1 :]}"
    member = _render(text, start, present, key, value)
    if first:
        at = present[0].start
        return f"{text[:at]}{member},{_separator(text, start, present)}{text[at:]}"
    at = present[-1].end
    return f"{text[:at]},{_separator(text, start, present)}{member}{text[at:]}"


def take_out(text: str, start: int, key: str) -> str:
    """Return the text without the member named `key`, which the object may lack."""
    present = members(text, start)
    for number, member in enumerate(present):
        if member.key == key:
            if number:
                return text[: present[number - 1].end] + text[member.end :]
            rest = present[1].start if len(present) > 1 else member.end
            return text[: member.start] + text[rest:]
    return text


def replace_value(text: str, member: Member, value: Any) -> str:
    """Return the text with another value for a member."""
    indent = _line_indent(text, member.start)
    rendered = _value_text(value, indent, _unit(text), 0, newline=_newline(text))
    return text[: member.value_start] + rendered + text[member.end :]


def redact_text(text: str) -> str:
    """Return JSON text with ``***`` for each secret in it, and otherwise as it is written."""
    spans: list[tuple[int, int, str]] = []
    start = skip_space(text, 0)
    value, _ = _DECODER.raw_decode(text, start)
    _find_secrets(text, start, "", Redactor(secrets_in(value)), spans)
    for begin, end, shown in reversed(spans):
        text = text[:begin] + shown + text[end:]
    return text


def refuse_repeated_names(text: str) -> None:
    """
    Refuse JSON text in which an object has a name twice, wherever that is.

    Raises
    ------
    ConfigurationError
        If one has; with the path of the field.
    """
    _walk(text, skip_space(text, 0), "")


def _walk(text: str, at: int, place: str) -> int:
    """Look at the names in the value that begins at `at`, and return its end."""
    if text[at] == "{":
        end = at + 1
        for member in members(text, at, place):
            end = _walk(text, member.value_start, f"{place}.{member.key}".lstrip("."))
        return skip_space(text, end) + 1
    if text[at] != "[":
        return _DECODER.raw_decode(text, at)[1]
    at, index = skip_space(text, at + 1), 0
    while text[at] != "]":
        at = skip_space(text, _walk(text, at, f"{place}[{index}]"))
        if text[at] == ",":
            at = skip_space(text, at + 1)
        index += 1
    return at + 1


# -- how it is written ---------------------------------------------------------------------------


def _render(text: str, start: int, present: list[Member], key: str, value: Any) -> str:
    colon = text[present[0].key_end : present[0].value_start] if present else ": "
    separator = _separator(text, start, present)
    if "\n" not in separator:
        compact = present and ":" in colon and not colon.endswith(" ")
        separators = (",", ":") if compact else (", ", ": ")
        return f"{json.dumps(key)}{colon}{_dump(value, separators)}"
    indent = separator.rpartition("\n")[2]
    used = len(indent) + len(key) + 6
    return (
        f"{json.dumps(key)}{colon}"
        f"{_value_text(value, indent, _unit(text), used, newline=_newline(text))}"
    )


def _separator(text: str, start: int, present: list[Member]) -> str:
    """Return the white space that goes between a comma and the next member."""
    if not present:
        return ""
    lead = text[start + 1 : present[0].start]
    if "\n" in lead:
        return lead
    if len(present) > 1:
        return text[present[0].end : present[1].start].partition(",")[2]
    return " " if text[present[0].key_end : present[0].value_start].endswith(" ") else ""


def _value_text(value: Any, indent: str, unit: str, used: int, *, newline: str) -> str:
    short = _dump(value, (", ", ": "))
    nested = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if len(short) + used <= MAX_LINE and not any(isinstance(v, dict | list) for v in nested):
        return short
    pretty = json.dumps(value, ensure_ascii=False, indent=unit or "  ")
    return pretty.replace("\n", f"{newline}{indent}")


def _dump(value: Any, separators: tuple[str, str]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=separators)


def _unit(text: str) -> str:
    """Return the white space of one step of indentation: that of the first indented line."""
    found = re.search(r"\n([ \t]+)\S", text)
    return found[1] if found is not None else "  "


def _line_indent(text: str, at: int) -> str:
    begin = text.rfind("\n", 0, at) + 1
    return re.match(r"[ \t]*", text[begin:at])[0]  # type: ignore[index]  # it matches nothing too


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


# -- secrets -------------------------------------------------------------------------------------


def _find_secrets(
    text: str, at: int, name: str, redactor: Redactor, spans: list[tuple[int, int, str]]
) -> int:
    """Note where a secret stands in the value that begins at `at`, and return its end."""
    if text[at] == "{":
        end = at + 1
        for member in members(text, at):
            end = _find_secrets(text, member.value_start, member.key, redactor, spans)
        return skip_space(text, end) + 1
    if text[at] == "[":
        at = skip_space(text, at + 1)
        while text[at] != "]":
            at = skip_space(text, _find_secrets(text, at, name, redactor, spans))
            if text[at] == ",":
                at = skip_space(text, at + 1)
        return at + 1
    value, end = _DECODER.raw_decode(text, at)
    shown = redactor.data(value, name)
    if shown != value:
        spans.append((at, end, json.dumps(shown, ensure_ascii=False)))
    return end
