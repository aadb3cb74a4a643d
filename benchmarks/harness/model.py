"""What a benchmark is: scenarios, the arms that take turns in them, and what is made of it."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from enum import StrEnum
from typing import Final
from typing import Literal
from typing import TypeVar


T = TypeVar("T")
Better = Literal["lower", "higher"]
Value = int | float | str

ENHANCED: Final = "enhanced"


class Size(StrEnum):
    """How much is measured: in full, quickly, or so little that only whether it works is seen."""

    FULL = "full"
    QUICK = "quick"
    TINY = "tiny"

    def pick(self, full: T, quick: T, tiny: T) -> T:
        """Return the one of three that is for this size."""
        return {Size.FULL: full, Size.QUICK: quick, Size.TINY: tiny}[self]


@dataclass(frozen=True, kw_only=True)
class Observation:
    """
    What one round of one arm found.

    Attributes
    ----------
    figures : Mapping[str, float or Sequence[float]]
        By name, one figure of the round, or the samples of which percentiles are taken.
    verified : bool, default True
        Whether all that was measured arrived, in the order and with the content that was sent.
    """

    figures: Mapping[str, float | Sequence[float]]
    verified: bool = True


Arm = Callable[[], Observation]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """
    What is made of a figure of all rounds: one row for each comparison.

    Attributes
    ----------
    figure : str
        The name of the figure in the observations.
    unit : str
        Its unit.
    better : {'lower', 'higher'}, default 'lower'
        Which direction is good.
    label : str, default ''
        What is added to the benchmark's name.
    share : float, optional
        Which percentile of the samples of all rounds; without it, the median over the rounds.
    others_figure : str, default ''
        The figure of the other arms, where it is another one.
    beyond : str, default ''
        An arm whose figure is what there is anyway, and is subtracted.
    is_driven : bool, default False
        Whether the work comes at a rate of its own, whether or not it is kept: on a machine that
        cannot keep it, what is late has no bound, on whichever side that happens.
    """

    figure: str
    unit: str
    better: Better = "lower"
    label: str = ""
    share: float | None = None
    others_figure: str = ""
    beyond: str = ""
    is_driven: bool = False


def percentiles(
    figure: str,
    unit: str,
    shares: Mapping[str, float],
    *,
    label: str = "",
    is_driven: bool = False,
) -> tuple[Metric, ...]:
    """Return the metrics of percentiles of samples, labelled by their names."""
    return tuple(
        Metric(
            figure=figure,
            unit=unit,
            label=f"{label} {name}".strip(),
            share=share,
            is_driven=is_driven,
        )
        for name, share in shares.items()
    )


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """
    Two arms beside each other, and the ceiling where there is one.

    Attributes
    ----------
    topology : str
        What was between the two ends of the measurement.
    enhanced, stock : str
        The names of the arms.
    ceiling : str, optional
        The arm that is the best that could be reached here.
    label : str, default ''
        What is added to the benchmark's name.
    parameters : Mapping[str, int or float or str]
        What was varied.
    metrics : Sequence[Metric], optional
        The metrics, where they are not those of the scenario.
    """

    topology: str
    stock: str = "stock"
    enhanced: str = ENHANCED
    ceiling: str | None = None
    label: str = ""
    parameters: Mapping[str, Value] = field(default_factory=dict)
    metrics: Sequence[Metric] | None = None

    @property
    def arms(self) -> tuple[str, ...]:
        """Return the names of the arms that it is about."""
        named = (self.enhanced, self.stock, self.ceiling)
        return tuple(arm for arm in named if arm is not None)


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """
    Arms that take turns, and what is made of what they find.

    Attributes
    ----------
    arms : Mapping[str, Arm]
        What runs once a round, by name.
    comparisons : Sequence[Comparison]
        Which arms stand beside each other.
    metrics : Sequence[Metric]
        What is made of their figures.
    rounds : int
        How many rounds count.
    warm_up : bool, default True
        Whether a round that does not count comes first. Arms that start a process of their own
        have nothing to warm up.
    collect : bool, default True
        Whether the garbage collector runs before each arm: not for rounds that take less than it.
    """

    arms: Mapping[str, Arm]
    comparisons: Sequence[Comparison]
    metrics: Sequence[Metric]
    rounds: int
    warm_up: bool = True
    collect: bool = True


@dataclass(frozen=True)
class LeftOut:
    """Something that was not measured, and why."""

    what: str
    reason: str

    def __str__(self) -> str:
        return f"{self.what} is left out: {self.reason}"


@dataclass(frozen=True, kw_only=True)
class Curve:
    """
    How a cost grows with the work: a plot of rows of one benchmark.

    Attributes
    ----------
    title : str
        What is shown.
    row : str
        The name of the rows.
    parameter : str
        The parameter that grows.
    axis : str
        What it counts.
    why : str
        Where it bends, and why.
    split : tuple[str, ...]
        Parameters that tell lines apart.
    """

    title: str
    row: str
    parameter: str
    axis: str
    why: str
    split: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """
    A benchmark.

    Attributes
    ----------
    name : str
        Topology and metric, in the words of its module.
    about : str
        What it measures, with a diagram: the module's docstring.
    scenarios : Callable[[Size], Iterator[Scenario or LeftOut]]
        Yields the scenarios, each of which is played before the next one is asked for, so that a
        server may be kept for all of them.
    curves : tuple[Curve, ...]
        Plots of its rows.
    processes : int, default 1
        How many processes share the rounds of a full run: more than one where a ratio depends on
        the process, on where its objects lie and how it hashes, or on the server that it started.
        Rounds of one process agree with each other then, and not with those of the next run.
    """

    name: str
    about: str
    scenarios: Callable[[Size], Iterator[Scenario | LeftOut]]
    curves: tuple[Curve, ...] = ()
    processes: int = 1

    def processes_of(self, size: Size) -> int:
        """Return how many processes share the rounds of a run of this size."""
        return self.processes if size is Size.FULL else 1

    @property
    def headline(self) -> str:
        """Return the first sentence of what it measures."""
        return " ".join(self.about.strip().partition("\n\n")[0].split())
