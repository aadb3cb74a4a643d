"""What was to be reached, as data: which row of a run says whether it was."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field
from typing import TYPE_CHECKING
from typing import Literal

from nautilus_enhanced.benchmarks.harness.table import number


if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Sequence

    from nautilus_enhanced.benchmarks.harness.model import Value
    from nautilus_enhanced.benchmarks.harness.rows import Row


RATIO = "ratio_to_stock"

Verdict = Literal["met", "missed", "too noisy to tell", "not verified", "not measured"]


@dataclass(frozen=True, kw_only=True)
class Goal:
    """
    A goal.

    Attributes
    ----------
    what : str
        What was to be reached.
    row : str
        The name of the rows that tell.
    bound : float
        The bound of it.
    at : {'least', 'most'}
        On which side of the bound.
    figure : str, default 'enhanced'
        Which field of a row is bounded.
    unit : str, default ''
        What the bound counts, where it is not the row's unit.
    where : Mapping[str, int or float or str]
        Which of the rows: these parameters. All of those must keep to the bound.
    """

    what: str
    row: str
    bound: float
    at: Literal["least", "most"]
    figure: str = "enhanced"
    unit: str = ""
    where: Mapping[str, Value] = field(default_factory=dict)

    def rows(self, rows: Sequence[Row]) -> list[Row]:
        """Return the rows that tell, of those that have the figure."""
        return [
            row
            for row in rows
            if row.name == self.row
            and self.where.items() <= row.parameters.items()
            and getattr(row, self.figure) is not None
        ]

    def worst(self, rows: Sequence[Row]) -> float | None:
        """Return the figure that is furthest from the bound's good side; None without a row."""
        values: list[float] = [getattr(row, self.figure) for row in self.rows(rows)]
        if not values:
            return None
        return min(values) if self.at == "least" else max(values)

    def verdict(self, rows: Sequence[Row]) -> Verdict:
        """Return whether it is met: by all rows that tell, and wherever their ratios may lie."""
        told = self.rows(rows)
        if not told:
            return "not measured"
        if not all(row.verified for row in told):
            return "not verified"
        sides = [{self._keeps(value) for value in self._values(row)} for row in told]
        if {False} in sides:
            return "missed"
        return "met" if all(side == {True} for side in sides) else "too noisy to tell"

    def _values(self, row: Row) -> list[float]:
        values = [getattr(row, self.figure)]
        if self.figure == RATIO and row.interval is not None:
            values += [row.interval.low, row.interval.high]
        return values

    def _keeps(self, value: float) -> bool:
        return value >= self.bound if self.at == "least" else value <= self.bound

    def bound_text(self, rows: Sequence[Row]) -> str:
        """Return the bound, for people."""
        return f"at {self.at} {self._with_unit(self.bound, rows)}"

    def reached_text(self, rows: Sequence[Row]) -> str:
        """Return what was reached, for people."""
        worst = self.worst(rows)
        return "–" if worst is None else self._with_unit(worst, rows)

    def _with_unit(self, value: float, rows: Sequence[Row]) -> str:
        if self.figure.startswith("ratio"):
            return f"{number(value)} ×"
        unit = self.unit or next((row.unit for row in self.rows(rows)), "")
        return f"{number(value)} {unit}".strip()


_BURST = "order_event_behind_burst p99 undisturbed"

# By what they are about, in the order of a message's way.
GOALS = {
    "Engines": (
        Goal(
            what="an order event behind quotes, empty handlers, p99 undisturbed",
            row=_BURST,
            where={"work_us": 0.0},
            bound=0.7,
            at="most",
        ),
        Goal(
            what="the same with handlers of 20 µs: slice, one handler, and 0.2 ms",
            row=_BURST,
            where={"work_us": 20.0},
            bound=0.72,
            at="most",
        ),
        Goal(
            what="submit to filled behind 10,000 quotes, sooner than stock, empty handlers",
            row="order_round_trip_behind_burst p50",
            where={"work_us": 0.0},
            figure=RATIO,
            bound=60.0,
            at="least",
        ),
        Goal(
            what="the same with handlers of 20 µs",
            row="order_round_trip_behind_burst p50",
            where={"work_us": 20.0},
            figure=RATIO,
            bound=150.0,
            at="least",
        ),
        Goal(
            what="what queueing a quote costs, beside stock",
            row="engine_queueing_overhead",
            figure=RATIO,
            bound=2.0,
            at="least",
        ),
        Goal(
            what="quotes a second through the engine, beside stock, uvloop",
            row="engine_throughput",
            where={"loop": "uvloop"},
            figure=RATIO,
            bound=1.3,
            at="least",
        ),
        Goal(
            what="an order event at 1,000 quotes/s, p50 beside stock",
            row="order_event_at_low_load p50",
            figure=RATIO,
            bound=1.0,
            at="least",
        ),
        Goal(
            what="the same, p99",
            row="order_event_at_low_load p99",
            figure=RATIO,
            bound=1.0,
            at="least",
        ),
        Goal(
            what="an order event from the venue to the strategy, four venues at once, p99",
            row="venues_order_event p99",
            figure=RATIO,
            bound=10.0,
            at="least",
        ),
        Goal(
            what="memory of a message that waits, beside stock",
            row="engine_memory_per_message at rest",
            figure=RATIO,
            bound=1.0,
            at="least",
        ),
        Goal(
            what="the same while a burst is posted",
            row="engine_memory_per_message while posted",
            figure=RATIO,
            bound=1.0,
            at="least",
        ),
    ),
    "Publisher": (
        Goal(
            what="messages a second, beside stock with 100 ms of buffering",
            row="publish_throughput",
            where={"stock": "stock 100"},
            figure=RATIO,
            bound=3.0,
            at="least",
        ),
        Goal(
            what="messages a second, beside stock's default",
            row="publish_throughput",
            where={"stock": "stock"},
            figure=RATIO,
            bound=20.0,
            at="least",
        ),
        Goal(
            what="messages a second, of what `redis-benchmark` reaches",
            row="publish_throughput",
            where={"ceiling": "redis-benchmark"},
            figure="ratio_to_ceiling",
            bound=0.7,
            at="least",
        ),
        Goal(
            what="an order event while 50,000 quotes/s flood, p99",
            row="publish_latency_under_flood p99",
            where={"quotes_per_s": 50_000, "busy": 0.0},
            bound=1.5,
            at="most",
        ),
        Goal(
            what="the same, sooner than the best setting of stock",
            row="publish_latency_under_flood p99",
            where={"quotes_per_s": 50_000, "busy": 0.0},
            figure=RATIO,
            bound=10.0,
            at="least",
        ),
        Goal(
            what="a call of `publish` in a loop, p50",
            row="publish_call_cost p50",
            where={"case": "in a loop"},
            bound=1.0,
            at="most",
        ),
        Goal(
            what="delay of the thread's own work at 50,000/s, p99.9 beyond no publisher",
            row="trading_thread_interference p99.9 excess",
            bound=200.0,
            at="most",
        ),
        *(
            Goal(
                what=f"serializing a {kind}, beside stock",
                row=f"serialize_cost {encoding}, integers",
                where={"kind": kind},
                figure=RATIO,
                bound=2.5,
                at="least",
            )
            for kind in ("QuoteTick", "TradeTick")
            for encoding in ("msgpack",)
        ),
    ),
    "Outages": (
        Goal(
            what="first entry after the server answers again",
            row="outage_recovery first entry",
            bound=2.0,
            at="most",
        ),
        Goal(
            what="entries a second while catching up, three times what comes",
            row="outage_recovery catch-up",
            bound=60_000.0,
            at="least",
        ),
        Goal(
            what="memory while the server is frozen, of what a lane may hold",
            row="outage_recovery growth",
            figure="ratio_to_ceiling",
            bound=1.0,
            at="least",
        ),
        Goal(
            what="the thread's own work meanwhile, p99 beyond no publisher",
            row="outage_recovery p99 undisturbed excess",
            bound=100.0,
            at="most",
        ),
        Goal(
            what="longest call of `publish` meanwhile, undisturbed",
            row="outage_recovery longest call undisturbed",
            bound=1_000.0,
            at="most",
        ),
        Goal(
            what="messages a second that the journal takes",
            row="journal_throughput",
            bound=50_000.0,
            at="least",
        ),
        Goal(
            what="an order event in the journal, p99",
            row="journal_order_event p99",
            bound=5.0,
            at="most",
        ),
    ),
    "Consumers": (
        Goal(
            what="acknowledged messages a second, one process, a handler that does nothing",
            row="consume_throughput",
            where={"handler": "loop", "body": "raw"},
            bound=60_000.0,
            at="least",
        ),
        Goal(
            what="publish to handled at 20,000/s, p50",
            row="publish_to_handled p50",
            where={"per_s": 20_000},
            bound=0.5,
            at="most",
        ),
        Goal(
            what="publish to handled at 20,000/s, p99",
            row="publish_to_handled p99",
            where={"per_s": 20_000},
            bound=3.0,
            at="most",
        ),
        Goal(
            what="request to response, p50",
            row="request_response p50",
            bound=0.6,
            at="most",
        ),
    ),
    "Adapters": (
        Goal(
            what="what the mixin adds to a message of market data, sampled",
            row="adapter_overhead excess",
            where={"message": "quote", "looks": "every 16th"},
            bound=0.3,
            at="most",
        ),
        Goal(
            what="the same, a tick of Interactive Brokers",
            row="adapter_overhead excess",
            where={"message": "a tick of Interactive Brokers", "looks": "every 16th"},
            bound=0.3,
            at="most",
        ),
    ),
}
