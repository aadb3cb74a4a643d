"""
What the benchmarks share: interleaved rounds, percentiles, a table, and rows of JSON.

A figure without its stock twin from the same run says nothing on a shared machine, so rounds
alternate (A B A B ...) and what is quoted is the ratio of the medians over rounds.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from dataclasses import asdict
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any
from typing import Literal
from typing import TypeVar


if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Iterable
    from collections.abc import Mapping
    from collections.abc import Sequence


T = TypeVar("T")
Value = int | float | str


@dataclass(frozen=True, kw_only=True)
class Row:
    """
    One figure of one benchmark.

    Attributes
    ----------
    name : str
        Benchmark and metric.
    topology : str
        What was between the two ends of the measurement.
    unit : str
        The unit of the figures.
    better : {'lower', 'higher'}
        Which direction is good.
    enhanced, stock : float
        The median over the rounds, or where `samples` is given, the percentile of all of them.
    ceiling : float or None
        The best that could be reached here, where there is such a figure.
    ratio_to_stock, ratio_to_ceiling : float or None
        Above 1 is in our favour; None where a figure is zero.
    rounds : int
        Rounds on each side.
    verified : bool
        Whether every round found that what was measured did arrive, and the backlog was there.
    samples : dict[str, int]
        Samples that a percentile was taken from, for each side; empty for other figures.
    parameters : dict[str, int or float or str]
        What was varied, for whoever plots it.
    """

    name: str
    topology: str
    unit: str
    better: Literal["lower", "higher"]
    enhanced: float
    stock: float
    ceiling: float | None
    ratio_to_stock: float | None
    ratio_to_ceiling: float | None
    rounds: int
    verified: bool
    samples: dict[str, int] = field(default_factory=dict)
    parameters: dict[str, Value] = field(default_factory=dict)


def make_row(  # noqa: PLR0917 (one table row)
    name: str,
    topology: str,
    unit: str,
    better: Literal["lower", "higher"],
    enhanced: list[float],
    stock: list[float],
    ceiling: float | None = None,
    *,
    verified: bool,
    samples: Mapping[str, int] | None = None,
    parameters: Mapping[str, Value] | None = None,
) -> Row:
    """Return the row of the medians of both sides."""
    ours, theirs = statistics.median(enhanced), statistics.median(stock)
    return Row(
        name=name,
        topology=topology,
        unit=unit,
        better=better,
        enhanced=ours,
        stock=theirs,
        ceiling=ceiling,
        ratio_to_stock=_ratio(better, ours, theirs),
        ratio_to_ceiling=None if ceiling is None else _ratio(better, ours, ceiling),
        rounds=len(enhanced),
        verified=verified,
        samples=dict(samples or {}),
        parameters=dict(parameters or {}),
    )


def latency_rows(
    name: str,
    topology: str,
    rounds: Mapping[str, Sequence[Sequence[float]]],
    shares: Mapping[str, float],
    *,
    verified: bool,
    parameters: Mapping[str, Value] | None = None,
    unit: str = "ms",
) -> list[Row]:
    """
    Return a row for each percentile of the samples of all rounds together.

    Samples of a side named ``ceiling``, where there is one, give the rows' ceiling.

    A percentile of a round with few samples is its maximum, and the median of those is no
    percentile of anything; so all rounds of a side are one sample. A side with too few samples
    for the percentile gives its maximum, and `samples` shows it.
    """
    pooled = {bus: [wait for waits in rs for wait in waits] for bus, rs in rounds.items()}
    rows = []
    for label, share in shares.items():
        enhanced, stock = (percentile(pooled[bus], share) for bus in ("enhanced", "stock"))
        ceiling = percentile(pooled["ceiling"], share) if "ceiling" in pooled else None
        rows.append(
            Row(
                name=f"{name} {label}",
                topology=topology,
                unit=unit,
                better="lower",
                enhanced=enhanced,
                stock=stock,
                ceiling=ceiling,
                ratio_to_stock=_ratio("lower", enhanced, stock),
                ratio_to_ceiling=None if ceiling is None else _ratio("lower", enhanced, ceiling),
                rounds=len(rounds["enhanced"]),
                verified=verified,
                samples={bus: len(pooled[bus]) for bus in ("enhanced", "stock")},
                parameters=dict(parameters or {}),
            )
        )
    return rows


def _ratio(better: Literal["lower", "higher"], ours: float, theirs: float) -> float | None:
    over, under = (theirs, ours) if better == "lower" else (ours, theirs)
    return over / under if over and under else None


def interleave(rounds: int, sides: dict[str, Callable[[], T]]) -> dict[str, list[T]]:
    """Run each side once a round, in turns, after one round of warm-up that does not count."""
    results: dict[str, list[T]] = {name: [] for name in sides}
    for round_number in range(rounds + 1):
        for name, side in sides.items():
            gc.collect()
            result = side()
            if round_number:
                results[name].append(result)
    return results


def percentile(values: Iterable[float], share: float) -> float:
    """Return the value at or below which `share` of the values lie (nearest rank)."""
    ordered = sorted(values)
    rank = max(1, -(-len(ordered) * share // 1))
    return ordered[min(len(ordered), int(rank)) - 1]


class CollectorWatch:
    """
    Note when the garbage collector ran, from `with` until its end.

    Attributes
    ----------
    pauses : list[tuple[float, float]]
        Begin and end of each collection, in seconds of ``time.perf_counter``.
    """

    def __init__(self) -> None:
        self.pauses: list[tuple[float, float]] = []
        self._begin = 0.0

    def __enter__(self) -> CollectorWatch:
        gc.callbacks.append(self._note)
        return self

    def __exit__(self, *_: object) -> None:
        gc.callbacks.remove(self._note)

    def _note(self, phase: str, _info: Mapping[str, int]) -> None:
        now = time.perf_counter()
        if phase == "start":
            self._begin = now
        else:
            self.pauses.append((self._begin, now))

    def paused_ms(self, begin: float, end: float) -> float:
        """Return for how long the collector ran between two times."""
        # Backwards: who asks has usually just seen the end.
        paused = 0.0
        for start, stop in reversed(self.pauses):
            if stop < begin:
                break
            paused += max(0.0, min(stop, end) - max(start, begin))
        return paused * 1e3

    @property
    def longest_ms(self) -> float:
        """Return the longest collection."""
        return max((stop - start for start, stop in self.pauses), default=0.0) * 1e3

    @property
    def total_ms(self) -> float:
        """Return what all collections took together."""
        return sum(stop - start for start, stop in self.pauses) * 1e3


def preemptions() -> int:
    """
    Return how often the system took the processor from a thread of this process so far.

    A sample in which that happened tells about the machine's other work, not about the bus.
    """
    return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw


def run_child(script: str, *args: Value, timeout_s: float = 120.0) -> Any:
    """
    Run a script of this folder in a process of its own; return the JSON of its last line.

    For what can end the process (a node's shutdown) or changes it for good (its logger), and
    so that no round inherits another one's heap.
    """
    folder = Path(__file__).parent
    # Also where the interpreter does not put a script's folder on its path.
    path = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(path)}
    done = subprocess.run(  # noqa: S603 (a script of this folder)
        [sys.executable, str(folder / Path(script).name), *map(str, args)],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
        env=env,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{script} {args} ended with {done.returncode}:\n{done.stderr[-4_000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the options that every benchmark has."""
    made = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--quick", action="store_true", help="fewer rounds, smaller backlogs")
    made.add_argument("--tiny", action="store_true", help="only to see that it runs")
    made.add_argument("--json", metavar="FILE", help="write the rows as JSON; - for stdout")
    return made


def arguments(description: str | None) -> argparse.Namespace:
    """Read the options that every benchmark has."""
    return parser(description).parse_args()


def sized(options: argparse.Namespace, full: T, quick: T, tiny: T) -> T:
    """Return the one of three sizes that was asked for."""
    return tiny if options.tiny else quick if options.quick else full


def report(rows: list[Row], options: argparse.Namespace) -> None:
    """Print the rows as a table, and write them as JSON where asked for."""
    out = sys.stderr if options.json == "-" else sys.stdout
    load = os.getloadavg()[0]
    print(f"Python {platform.python_version()}, {platform.machine()}, load {load:.1f}", file=out)
    width = max(len(f"{row.name} ({row.topology})") for row in rows)
    heading = f"{'':<{width}}  {'enhanced':>12}  {'stock':>12}  {'ratio':>8}  {'ceiling':>12}"
    print(heading, file=out)
    for row in rows:
        label = f"{row.name} ({row.topology})"
        checked = "" if row.verified else "  NOT VERIFIED"
        ratio = "" if row.ratio_to_stock is None else f"{row.ratio_to_stock:.2f}x"
        ceiling = "" if row.ceiling is None else f"{row.ceiling:,.3f}"
        samples = f"  n={row.samples['enhanced']}/{row.samples['stock']}" if row.samples else ""
        print(
            f"{label:<{width}}  {row.enhanced:>12,.3f}  {row.stock:>12,.3f}  "
            f"{ratio:>8}  {ceiling:>12}  {row.unit}{samples}{checked}",
            file=out,
        )
    if options.json == "-":
        print(json.dumps([asdict(row) for row in rows], indent=2))
    elif options.json:
        Path(options.json).write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")
