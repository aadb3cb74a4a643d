from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nautilus_enhanced.infrastructure.messagebus.errors import ConfigurationError
from nautilus_enhanced.infrastructure.messagebus.settings.publishing import WorkerSettings
from nautilus_enhanced.infrastructure.messagebus.streams.settings import SubscriptionSettings


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("order", "stream"),
        ("run_in", "process"),
        ("max_deliveries", 2),
        ("retry_min_ms", 0),
        ("retry_max_ms", 99),
        ("max_in_hand", 0),
        ("read_count", 10_001),
        ("threads", 51),
        ("threads", 2),
        ("concurrency", 0),
        ("lease_ms", 299),
        ("streams_per_reader", 0),
        ("max_readers", 65),
        ("scan_interval_ms", 99),
        ("max_in_hand", "many"),
    ],
)
def test_what_is_outside_of_its_range_is_told(field, value) -> None:
    with pytest.raises(ConfigurationError) as caught:
        SubscriptionSettings(**{field: value})
    assert caught.value.field == field


@pytest.mark.parametrize("more", [{}, {"run_in": "threads", "threads": 2}])
def test_how_many_threads_is_said_once(more) -> None:
    with pytest.raises(ConfigurationError) as caught:
        SubscriptionSettings(workers=WorkerSettings(), **more)
    assert caught.value.field == "workers"
    settings = SubscriptionSettings(run_in="threads", threads=3).worker_settings()
    assert (settings.min_workers, settings.max_workers) == (3, 3)
    workers = WorkerSettings(max_workers=9)
    assert SubscriptionSettings(run_in="threads", workers=workers).worker_settings() is workers


@given(st.integers(1, 1_000), st.integers(0, 10_000), st.integers(3, 1_000), st.integers(1, 1_100))
def test_pauses_grow_to_their_bound_and_end(least_ms, more_ms, most, attempts) -> None:
    settings = SubscriptionSettings(
        retry_min_ms=least_ms, retry_max_ms=least_ms + more_ms, max_deliveries=most
    )
    pause_s = settings.pause_s(attempts)
    if attempts >= most:
        assert pause_s is None
        return
    assert pause_s is not None
    assert least_ms / 1_000 <= pause_s <= (least_ms + more_ms) / 1_000
    after_s = settings.pause_s(attempts + 1)
    assert after_s is None or after_s >= pause_s
