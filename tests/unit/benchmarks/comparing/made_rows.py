"""Rows as a run writes them, for tests of what is made of two runs."""

from nautilus_enhanced.benchmarks.harness.rows import Row


def row(name="a", size="full", **fields):
    """Return a row whose ratio to stock is 2, unless the fields say otherwise."""
    made = {
        "benchmark": name,
        "name": name,
        "topology": "x",
        "unit": "ms",
        "better": "lower",
        "enhanced": 1.0,
        "stock": 2.0,
        "ceiling": None,
        "ratio_to_stock": 2.0,
        "ratio_low": 1.5,
        "ratio_high": 2.5,
        "rounds": 3,
        "verified": True,
        "run": {"size": size, "release": "1.0"},
    }
    return Row(**made | fields)
