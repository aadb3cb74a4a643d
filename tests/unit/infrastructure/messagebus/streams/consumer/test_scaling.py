from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nautilus_enhanced.infrastructure.messagebus.settings.publishing import WorkerSettings
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.scaling import WorkerLoad
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.scaling import wanted_workers


SETTINGS = WorkerSettings(min_workers=2, max_workers=5, cooldown_ms=10, waiting_per_worker=100)
WINDOW_NS = 1_000_000_000


def load(workers: int, share: float, waiting: int = 0, unchanged_ms: int = 10) -> WorkerLoad:
    return WorkerLoad(
        workers=workers,
        busy_ns=int(share * workers * WINDOW_NS),
        window_ns=WINDOW_NS,
        waiting=waiting,
        unchanged_ns=unchanged_ms * 1_000_000,
    )


@pytest.mark.parametrize(
    ("seen", "wanted"),
    [
        (load(3, 0.8), 4),
        (load(3, 0.79), 3),
        (load(3, 0.1, waiting=301), 4),
        (load(3, 0.1, waiting=300), 3),
        (load(3, 0.3), 2),
        (load(3, 0.31), 3),
        (load(3, 0.3, waiting=1), 3),
        (load(5, 1.0), 5),
        (load(2, 0.0), 2),
        (load(3, 1.0, unchanged_ms=9), 3),
        (load(3, 0.0, unchanged_ms=9), 3),
        # Whatever was is brought into the bounds at once.
        (load(1, 0.0, unchanged_ms=0), 2),
        (load(9, 1.0, unchanged_ms=0), 5),
    ],
)
def test_how_many_there_should_be(seen, wanted) -> None:
    assert wanted_workers(seen, SETTINGS) == wanted


@given(
    st.builds(load, st.integers(1, 60), st.floats(0.0, 1.0), st.integers(0, 10_000)),
    st.integers(0, 100),
    st.floats(0.0, 0.5),
    st.floats(0.51, 1.0),
)
def test_it_stays_in_bounds_and_does_not_swing(seen, unchanged_ms, down, up) -> None:
    workers, waiting = seen.workers, seen.waiting
    share = seen.utilisation
    settings = WorkerSettings(
        min_workers=2,
        max_workers=50,
        scale_down_at=down,
        scale_up_at=up,
        cooldown_ms=10,
        waiting_per_worker=100,
    )
    wanted = wanted_workers(load(workers, share, waiting, unchanged_ms), settings)
    assert 2 <= wanted <= 50
    if 2 <= workers <= 50:
        assert abs(wanted - workers) <= 1
    if wanted < workers <= 50:
        # The same work on fewer does not call for more.
        back = wanted_workers(load(wanted, share * workers / wanted, waiting), settings)
        assert back <= wanted


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"scale_up_at": 0.3}, "workers.scale_down_at, workers.scale_up_at"),
        ({"scale_up_at": "high"}, "workers.scale_down_at, workers.scale_up_at"),
        ({"waiting_per_worker": 0}, "workers.waiting_per_worker"),
        ({"window_ms": 9}, "workers.window_ms"),
        ({"cooldown_ms": -1}, "workers.cooldown_ms"),
    ],
)
def test_what_is_outside_of_its_range_is_told(wrong, field) -> None:
    with pytest.raises(ValueError, match="allowed") as caught:
        WorkerSettings(**wrong)
    assert caught.value.field == field
