"""Run benchmarks one after the other, each in a process of its own."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from typing import Any
from typing import Final

import msgspec

from nautilus_enhanced.benchmarks import registry
from nautilus_enhanced.benchmarks.comparing import comparison
from nautilus_enhanced.benchmarks.comparing import ratios
from nautilus_enhanced.benchmarks.harness import machine
from nautilus_enhanced.benchmarks.harness import table
from nautilus_enhanced.benchmarks.harness.apart import ApartError
from nautilus_enhanced.benchmarks.harness.apart import call_apart
from nautilus_enhanced.benchmarks.harness.model import LeftOut
from nautilus_enhanced.benchmarks.harness.model import Size
from nautilus_enhanced.benchmarks.harness.rows import Row


if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Sequence


# A process of a benchmark that takes longer than so many seconds hangs: the longest takes a part.
LIMITS_S: Final = {Size.FULL: 600.0, Size.QUICK: 180.0, Size.TINY: 120.0}


class Programme:
    """
    A run of some benchmarks.

    Parameters
    ----------
    size : Size
        How much is measured.
    say : Callable[[str], None]
        Is told what people want to read meanwhile.
    progress : Callable[[str], None], optional
        Is told what is measured now, for who waits at a terminal.

    Attributes
    ----------
    about : dict[str, str]
        What the run says about itself.
    rows : list[Row]
        What was found.
    left_out : list[LeftOut]
        What was not measured, and why.
    failures : list[LeftOut]
        Benchmarks that failed, and why.
    """

    def __init__(
        self,
        size: Size,
        say: Callable[[str], None],
        progress: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._size = size
        self._say = say
        self._progress = progress
        self.about = machine.describe_run(size)
        self.rows: list[Row] = []
        self.left_out: list[LeftOut] = []
        self.failures: list[LeftOut] = []

    def run(self, names: Sequence[str]) -> None:
        """Run benchmarks; one that fails is noted, and the others are run."""
        self._say(machine.sentence(self.about))
        begin = time.monotonic()
        for at, name in enumerate(names, 1):
            started = time.monotonic()
            self._progress(f"\n{at} of {len(names)}: {name} ...")
            rows = self._measure(name)
            self.rows.extend(rows)
            self._say(f"\n{name}, {time.monotonic() - started:.1f} s")
            if rows:
                self._say(table.render(rows))
        for one in self.left_out:
            self._say(str(one))
        for failure in self.failures:
            self._say(f"{failure.what} FAILED: {failure.reason}")
        self._say(f"\n{len(self.rows)} rows in {time.monotonic() - begin:.0f} s")

    def confirm(
        self, before: ratios.Ratios, changes: Sequence[comparison.Change], margin: float
    ) -> list[comparison.Change]:
        """Measure once more what fell; return the changes, of which only those fell twice fell."""
        names = dict.fromkeys(change.benchmark for change in comparison.fallen(changes))
        self._progress(f"\nOnce more: {', '.join(names)} ...")
        again = [row for name in names for row in self._measure(name)]
        return comparison.confirmed(changes, comparison.compare(before, ratios.of(again), margin))

    def _measure(self, name: str) -> list[Row]:
        told: dict[str, Any] = {"is_done": False, "found": []}
        at = 0
        try:
            while not told["is_done"]:
                told = call_apart(
                    registry.measure,
                    name,
                    self._size,
                    self.about,
                    at,
                    told["found"],
                    timeout_s=LIMITS_S[self._size],
                )
                at += 1
        except ApartError as error:
            self.failures.append(LeftOut(name, str(error)))
            return []
        self.left_out.extend(LeftOut(**one) for one in told["left_out"])
        return msgspec.convert(told["rows"], list[Row])
