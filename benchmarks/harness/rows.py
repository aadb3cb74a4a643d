"""The rows that a benchmark comes to: what is printed, written as JSON, kept and compared."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Any
from typing import Final

import msgspec

from nautilus_enhanced.benchmarks.harness.model import Better
from nautilus_enhanced.benchmarks.harness.model import Size
from nautilus_enhanced.benchmarks.harness.model import Value
from nautilus_enhanced.benchmarks.harness.statistics import FEWEST
from nautilus_enhanced.benchmarks.harness.statistics import Interval
from nautilus_enhanced.benchmarks.harness.statistics import count_samples
from nautilus_enhanced.benchmarks.harness.statistics import estimate
from nautilus_enhanced.benchmarks.harness.statistics import is_noisy
from nautilus_enhanced.benchmarks.harness.statistics import medians_of
from nautilus_enhanced.benchmarks.harness.statistics import of_each_round
from nautilus_enhanced.benchmarks.harness.statistics import ratio
from nautilus_enhanced.benchmarks.harness.statistics import ratio_interval
from nautilus_enhanced.benchmarks.harness.statistics import ratios_of_rounds


if TYPE_CHECKING:
    from nautilus_enhanced.benchmarks.harness.model import Comparison
    from nautilus_enhanced.benchmarks.harness.model import Metric
    from nautilus_enhanced.benchmarks.harness.model import Observation
    from nautilus_enhanced.benchmarks.harness.model import Scenario


# Percentiles up to this one say what is usual, those above it what happens now and then.
MIDDLE: Final = 0.5


class Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    One figure of one benchmark.

    Attributes
    ----------
    benchmark : str
        The benchmark.
    name : str
        Benchmark and metric.
    topology : str
        What was between the two ends of the measurement.
    unit : str
        The unit of the figures.
    better : {'lower', 'higher'}
        Which direction is good.
    enhanced, stock : float
        The median over the rounds, or where there are samples, the percentile of all of them.
    ceiling : float or None
        The best that could be reached here, where there is such a figure.
    ratio_to_stock : float or None
        Above 1 is in our favour: the median of the ratios of the rounds, or where there are
        samples, of the percentiles. None where a figure is zero.
    ratio_low, ratio_high : float or None
        Between these the median of such ratios is found with 90 % confidence.
    noisy : bool
        Whether that interval reaches more than 15 % from the ratio, or there are fewer than
        three rounds: too noisy to tell.
    ratio_to_ceiling : float or None
        Enhanced beside the ceiling, above 1 in our favour.
    rounds : int
        Rounds on each side.
    verified : bool
        Whether every round found that what was measured did arrive, in order and as it was sent.
    held : bool
        Whether a fall of the ratio is a regression. Tails are not held, nor is what is left of one
        figure after another one was subtracted: on a shared machine they are its own. What comes at
        a rate of its own is held in full runs only, which are made on a machine that can keep it.
    samples : dict[str, int]
        Samples that a percentile was taken from, for each side; empty for other figures.
    parameters : dict[str, int or float or str]
        What was varied, for whoever plots it.
    run : dict[str, str]
        When, with which versions, on which machine and in which size it was measured.
    """

    benchmark: str
    name: str
    topology: str
    unit: str
    better: Better
    enhanced: float
    stock: float
    ceiling: float | None
    ratio_to_stock: float | None
    ratio_low: float | None = None
    ratio_high: float | None = None
    noisy: bool = False
    ratio_to_ceiling: float | None = None
    rounds: int
    verified: bool
    held: bool = True
    samples: dict[str, int] = {}
    parameters: dict[str, Value] = {}
    run: dict[str, str] = {}

    @property
    def key(self) -> str:
        """Return what tells the row from all others of a run."""
        return f"{self.name} ({self.topology})"

    @property
    def interval(self) -> Interval | None:
        """Return where the ratio to stock lies."""
        if self.ratio_low is None or self.ratio_high is None:
            return None
        return Interval(self.ratio_low, self.ratio_high)


def rows_of(
    benchmark: str,
    scenario: Scenario,
    found: Mapping[str, Sequence[Observation]],
    run: Mapping[str, str],
    shares: Sequence[int] = (),
) -> list[Row]:
    """
    Return the rows of a scenario that was played, in the order of its comparisons.

    Parameters
    ----------
    benchmark : str
        The benchmark.
    scenario : Scenario
        What was played.
    found : Mapping[str, Sequence[Observation]]
        What each arm found, round by round.
    run : Mapping[str, str]
        What the rows say about when and where that was.
    shares : sequence of int, optional
        How many of the rounds each of several processes had, in their order.
    """
    return [
        row
        for comparison in scenario.comparisons
        for metric in (scenario.metrics if comparison.metrics is None else comparison.metrics)
        if (row := _row_of(benchmark, comparison, metric, found, run, shares=shares)) is not None
    ]


def _row_of(
    benchmark: str,
    comparison: Comparison,
    metric: Metric,
    found: Mapping[str, Sequence[Observation]],
    run: Mapping[str, str],
    *,
    shares: Sequence[int],
) -> Row | None:
    ours = _figures(metric, found, comparison.enhanced, is_ours=True)
    theirs = _figures(metric, found, comparison.stock)
    if not _has_any(ours) or not _has_any(theirs):
        return None  # on a busy machine there may be no undisturbed sample
    share, better = metric.share, metric.better
    above = _base(metric, found)
    enhanced, stock = (_less(estimate(figures, share), above) for figures in (ours, theirs))
    ceiling = None
    if comparison.ceiling is not None:
        ceiling = estimate(_figures(metric, found, comparison.ceiling), share)
    each = [
        [_less(value, above) for value in of_each_round(figures, share)]
        for figures in (ours, theirs)
    ]
    ratios = ratios_of_rounds(better, *each)
    measured = ratio(better, enhanced, stock)
    if share is None and measured is not None and ratios:
        measured = statistics.median(ratios)
    interval = None if measured is None else ratio_interval(medians_of(ratios, shares))
    arms = comparison.arms + ((metric.beyond,) if metric.beyond else ())
    return Row(
        benchmark=benchmark,
        name=" ".join(filter(None, (benchmark, comparison.label, metric.label))),
        topology=comparison.topology,
        unit=metric.unit,
        better=better,
        enhanced=enhanced,
        stock=stock,
        ceiling=ceiling,
        ratio_to_stock=measured,
        ratio_low=None if interval is None else interval.low,
        ratio_high=None if interval is None else interval.high,
        noisy=(
            measured is None
            or interval is None
            or len(ratios) < FEWEST
            or is_noisy(measured, interval)
        ),
        ratio_to_ceiling=None if ceiling is None else ratio(better, enhanced, ceiling),
        rounds=len(found[comparison.enhanced]),
        verified=all(one.verified for arm in arms for one in found[arm]),
        held=_is_held(metric, run),
        samples=(
            {}
            if share is None
            else {"enhanced": count_samples(ours), "stock": count_samples(theirs)}
        ),
        parameters=dict(comparison.parameters),
        run=dict(run),
    )


def _is_held(metric: Metric, run: Mapping[str, str]) -> bool:
    is_tail = metric.share is not None and metric.share > MIDDLE
    may_be_late = metric.is_driven and run.get("size") != Size.FULL
    return not (is_tail or metric.beyond or may_be_late)


def _figures(
    metric: Metric, found: Mapping[str, Sequence[Observation]], arm: str, *, is_ours: bool = False
) -> list[Any]:
    name = metric.figure if is_ours or not metric.others_figure else metric.others_figure
    return [one.figures[name] for one in found[arm]]


def _has_any(figures: Sequence[Any]) -> bool:
    return any(not isinstance(figure, Sequence) or figure for figure in figures)


def _base(metric: Metric, found: Mapping[str, Sequence[Observation]]) -> float | None:
    """Return what there is anyway, if it is subtracted."""
    if not metric.beyond:
        return None
    return estimate(_figures(metric, found, metric.beyond), metric.share)


def _less(value: float, above: float | None) -> float:
    return value if above is None else max(0.0, value - above)


def encode_rows(rows: Sequence[Row]) -> bytes:
    """Return rows as JSON, for people too."""
    return msgspec.json.format(msgspec.json.encode(list(rows)), indent=2) + b"\n"


def decode_rows(raw: bytes) -> list[Row]:
    """
    Return the rows of what `encode_rows` returned.

    Raises
    ------
    msgspec.DecodeError
        If it is no such thing.
    """
    return msgspec.json.decode(raw, type=list[Row])
