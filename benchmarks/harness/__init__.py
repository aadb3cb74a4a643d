"""The frame of all benchmarks: rounds in turns, statistics, rows, processes of their own."""

from __future__ import annotations

from nautilus_enhanced.benchmarks.harness.apart import Apart
from nautilus_enhanced.benchmarks.harness.apart import ApartError
from nautilus_enhanced.benchmarks.harness.apart import call_apart
from nautilus_enhanced.benchmarks.harness.apart import spare_imports
from nautilus_enhanced.benchmarks.harness.apart import tell
from nautilus_enhanced.benchmarks.harness.freezing import frozen
from nautilus_enhanced.benchmarks.harness.model import Benchmark
from nautilus_enhanced.benchmarks.harness.model import Comparison
from nautilus_enhanced.benchmarks.harness.model import Curve
from nautilus_enhanced.benchmarks.harness.model import LeftOut
from nautilus_enhanced.benchmarks.harness.model import Metric
from nautilus_enhanced.benchmarks.harness.model import Observation
from nautilus_enhanced.benchmarks.harness.model import Scenario
from nautilus_enhanced.benchmarks.harness.model import Size
from nautilus_enhanced.benchmarks.harness.model import percentiles
from nautilus_enhanced.benchmarks.harness.watching import CollectorWatch
from nautilus_enhanced.benchmarks.harness.watching import preemptions


__all__ = [
    "Apart",
    "ApartError",
    "Benchmark",
    "CollectorWatch",
    "Comparison",
    "Curve",
    "LeftOut",
    "Metric",
    "Observation",
    "Scenario",
    "Size",
    "call_apart",
    "frozen",
    "percentiles",
    "preemptions",
    "spare_imports",
    "tell",
]
