"""The lists of OKX: orders, fills and trades, the newest first, in pages."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from collections.abc import Mapping
from itertools import islice
from typing import Any
from typing import Final

from nautilus_enhanced.sandbox.matching import MatchingEngine
from nautilus_enhanced.sandbox.okx.messages import Messages
from nautilus_enhanced.sandbox.okx.requests import whole
from nautilus_enhanced.sandbox.orders import ZERO
from nautilus_enhanced.sandbox.orders import Filled
from nautilus_enhanced.sandbox.orders import Order


DEFAULT_ROWS: Final = 100


class Listings:
    """
    List what the matching engine remembers.

    Parameters
    ----------
    engine : MatchingEngine
        Holds the account and the orders.
    messages : Messages
        Writes the messages.
    """

    def __init__(self, engine: MatchingEngine, messages: Messages) -> None:
        self._engine = engine
        self._messages = messages

    def order(self, order: Order) -> dict[str, Any]:
        """Return an order with its last fill, and what it paid."""
        return self._row(order, [f for f in self._engine.fills if _is_of(f, order)])

    def orders(self, params: Mapping[str, str], *, is_open: bool) -> list[dict[str, Any]]:
        """Return the open orders, or those that are over."""
        if not self._is_asked_for(params):
            return []
        fills: dict[int, list[Filled]] = defaultdict(list)
        for fill in self._engine.fills:
            fills[fill.order.order_id].append(fill)
        newest_first = reversed(self._engine.open_orders() if is_open else self._engine.orders())
        rows = (
            self._row(order, fills[order.order_id])
            for order in newest_first
            if order.is_open is is_open
        )
        return page(params, rows, key="ordId", time="uTime")

    def fills(self, params: Mapping[str, str]) -> list[dict[str, Any]]:
        """Return the fills of all orders, or of the one that is named."""
        if not self._is_asked_for(params):
            return []
        order_id = params.get("ordId") or None
        rows = (self._messages.fill(fill) for fill in reversed(self._engine.fills))
        named = (row for row in rows if order_id in {None, row["ordId"]})
        return page(params, named, key="billId", time="ts")

    def _row(self, order: Order, fills: list[Filled]) -> dict[str, Any]:
        if not fills:
            return self._messages.order(order)
        paid = sum((fill.commission for fill in fills), ZERO)
        return self._messages.order(order, fills[-1], paid)

    def _is_asked_for(self, params: Mapping[str, str]) -> bool:
        """Return whether a request for a list is about the instrument at all."""
        units = self._messages.units
        kind, name = params.get("instType") or units.kind, params.get("instId") or units.name
        return kind in {units.kind, "ANY"} and name == units.name


def page(
    params: Mapping[str, str],
    rows: Iterable[dict[str, Any]],
    *,
    key: str,
    time: str,
    most: int = DEFAULT_ROWS,
) -> list[dict[str, Any]]:
    """
    Return the rows that a request asks for.

    Parameters
    ----------
    params : Mapping[str, str]
        ``after`` and ``before`` bound the key, ``begin`` and ``end`` the time, both in OKX's
        sense: ``after`` is for older rows. ``limit`` is 100 by default.
    rows : Iterable[dict[str, Any]]
        The newest first.
    key, time : str
        The fields that are bounded; both are whole numbers.
    most : int
        The highest limit.

    Raises
    ------
    ApiError
        51000 if a bound is no whole number.
    """
    older, newer = whole(params, "after"), whole(params, "before")
    begin, end = whole(params, "begin"), whole(params, "end")
    chosen = (
        row
        for row in rows
        if (older is None or int(row[key]) < older)
        and (newer is None or int(row[key]) > newer)
        and (begin is None or int(row[time]) >= begin)
        and (end is None or int(row[time]) <= end)
    )
    limit = max(1, min(whole(params, "limit") or DEFAULT_ROWS, most))
    return list(islice(chosen, limit))


def _is_of(fill: Filled, order: Order) -> bool:
    return fill.order.order_id == order.order_id
