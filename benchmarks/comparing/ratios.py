"""
The ratios to stock of earlier runs, as they are kept for each release.

Ratios and not times: those of one machine say nothing about another one's, and little about its
own an hour later. Kept for each size, since a quick run measures less work and finds other ratios.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Final

import msgspec

from nautilus_enhanced.benchmarks.harness.rows import Row
from nautilus_enhanced.benchmarks.harness.rows import decode_rows


if TYPE_CHECKING:
    from collections.abc import Sequence

    from nautilus_enhanced.benchmarks.harness.model import Size


DIGITS: Final = 4
_ARRAY: Final = re.compile(r"\[[^\[\]]*\]")


class Ratio(msgspec.Struct, frozen=True, array_like=True):
    """
    A ratio to stock, where such ratios lie, and whether a fall of it is a regression.

    Attributes
    ----------
    value, low, high : float
        As in a row.
    is_held : bool
        Whether it is one that a fall counts of.
    """

    value: float
    low: float
    high: float
    is_held: bool = True


Ratios = dict[str, Ratio]


class Run(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The ratios of a run by their rows' keys, and what the run says about itself."""

    run: dict[str, str]
    ratios: Ratios


class Kept(msgspec.Struct, forbid_unknown_fields=True):
    """What a file keeps: for each release, a run of each size."""

    releases: dict[str, dict[str, Run]]


def of(rows: Sequence[Row]) -> Ratios:
    """Return the ratios of rows that are verified and have one."""
    return {
        row.key: Ratio(
            round(row.ratio_to_stock, DIGITS),
            round(row.interval.low, DIGITS),
            round(row.interval.high, DIGITS),
            row.held,
        )
        for row in rows
        if row.verified and row.ratio_to_stock is not None and row.interval is not None
    }


def read(path: str, size: Size) -> Ratios:
    """
    Return the ratios of a file: rows of one run, or those of the latest release that it keeps.

    Raises
    ------
    ValueError
        If it is neither, or has none of this size.
    """
    raw = Path(path).read_bytes()
    try:
        found = decode_rows(raw) if raw.lstrip().startswith(b"[") else _decode_kept(raw)
    except msgspec.DecodeError as error:
        raise ValueError(
            f"--compare was {path!r}, allowed: a file that --json or --keep wrote; {error}"
        ) from None
    if isinstance(found, Kept):
        runs = [sizes[size].ratios for sizes in found.releases.values() if size in sizes]
        ratios = runs[-1] if runs else {}
    else:
        ratios = of([row for row in found if row.run.get("size") == size])
    if not ratios:
        raise ValueError(
            f"--compare was {path!r}, which has no ratio of a {size} run; compare with one of the "
            "same size: other work has other ratios"
        )
    return ratios


def keep(path: str, rows: Sequence[Row]) -> None:
    """
    Put the ratios of a run into a file, beside those of other releases and sizes.

    Ratios of benchmarks that the run did not measure stay as they were.

    Raises
    ------
    ValueError
        If the file is there and is no such file.
    """
    if not rows:
        return
    target = Path(path)
    try:
        kept = _decode_kept(target.read_bytes()) if target.exists() else Kept({})
    except msgspec.DecodeError as error:
        raise ValueError(f"--keep was {path!r}, which is not such a file: {error}") from None
    run = rows[0].run
    sizes = kept.releases.setdefault(run["release"], {})
    measured = {row.benchmark for row in rows}
    before = sizes[run["size"]].ratios if run["size"] in sizes else {}
    others = {key: ratio for key, ratio in before.items() if _benchmark_of(key) not in measured}
    sizes[run["size"]] = Run(run, others | of(rows))
    text = msgspec.json.format(msgspec.json.encode(kept).decode(), indent=1)
    # A line for each ratio, so that a change of one is a change of one line.
    target.write_text(_ARRAY.sub(lambda found: " ".join(found[0].split()), text) + "\n")


def _benchmark_of(key: str) -> str:
    return key.partition(" ")[0]


def _decode_kept(raw: bytes) -> Kept:
    return msgspec.json.decode(raw, type=Kept)
