"""How long order events took from the venue to the strategy."""

from __future__ import annotations

from typing import Any

import msgspec

from nautilus_enhanced.cli.demo.messages import OrderEventSeen
from nautilus_enhanced.cli.demo.messages import percentile


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """
    How long order events took from the venue's push to the strategy's callback.

    Attributes
    ----------
    events : int
        Order events measured.
    p50, p99, max : float or None
        Milliseconds; None if nothing was measured.
    """

    events: int = 0
    p50: float | None = None
    p99: float | None = None
    max: float | None = None


def order_event_latency(
    pushes: list[dict[str, Any]],
    seen: list[OrderEventSeen],
    pushed_within: list[tuple[int, int]] | None = None,
) -> Latency:
    """
    Match the venue's pushes with the strategy's callbacks.

    Parameters
    ----------
    pushes : list[dict]
        Each with client_order_id, execution_type, trade_id and monotonic_ns.
    seen : list[OrderEventSeen]
        What the strategy noted, by the same clock.
    pushed_within : list[tuple[int, int]], optional
        Periods by that clock; what was not pushed in one of them is left out.
    """
    pushed = {
        (push["client_order_id"], push["execution_type"], push["trade_id"]): push["monotonic_ns"]
        for push in pushes
        if pushed_within is None
        or any(start <= push["monotonic_ns"] <= end for start, end in pushed_within)
    }
    waits_ms = sorted(
        (event.monotonic_ns - pushed[key]) / 1e6
        for event in seen
        if (key := (event.client_order_id, event.execution_type, event.trade_id)) in pushed
    )
    if not waits_ms:
        return Latency()
    return Latency(
        events=len(waits_ms),
        p50=round(percentile(waits_ms, 0.50), 3),
        p99=round(percentile(waits_ms, 0.99), 3),
        max=round(waits_ms[-1], 3),
    )
