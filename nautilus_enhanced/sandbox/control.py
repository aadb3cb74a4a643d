"""What a loopback venue serves beside its real one's: ``/loopback/...``, figures and faults."""

from __future__ import annotations

from dataclasses import asdict
from typing import Final
from typing import Protocol

from aiohttp import web

from nautilus_enhanced.sandbox.errors import FaultError
from nautilus_enhanced.sandbox.faults import FaultInjector
from nautilus_enhanced.sandbox.faults import FaultRule
from nautilus_enhanced.sandbox.faults import Target
from nautilus_enhanced.sandbox.matching import MatchingEngine
from nautilus_enhanced.sandbox.statistics import OrderPush
from nautilus_enhanced.sandbox.statistics import VenueStatistics


BAD_REQUEST: Final = 400


class Controlled(Protocol):
    """What can be asked of a venue, and done to it."""

    faults: FaultInjector

    @property
    def engine(self) -> MatchingEngine:
        """Return what matches."""
        ...

    def statistics(self) -> VenueStatistics:
        """Return the figures as they are now."""
        ...

    def pushes(self) -> tuple[OrderPush, ...]:
        """Return the last order events that were written to a session."""
        ...

    def drop(self, target: Target) -> int:
        """Cut the sessions that get such messages; return how many there were."""
        ...


class Control:
    """
    Serve the requests that are for a loopback venue alone.

    Parameters
    ----------
    venue : Controlled
        The venue.
    """

    def __init__(self, venue: Controlled) -> None:
        self._venue = venue

    def add_to(self, app: web.Application) -> None:
        """Add the routes."""
        app.router.add_get("/loopback/statistics", self._statistics)
        app.router.add_get("/loopback/pushes", self._pushes)
        app.router.add_get("/loopback/orders", self._orders)
        app.router.add_get("/loopback/faults", self._faults)
        app.router.add_post("/loopback/faults", self._new_fault)
        app.router.add_delete("/loopback/faults", self._no_faults)
        app.router.add_post("/loopback/drop", self._drop)

    async def _statistics(self, _: web.Request) -> web.Response:
        return web.json_response(asdict(self._venue.statistics()))

    async def _pushes(self, _: web.Request) -> web.Response:
        return web.json_response([asdict(push) for push in self._venue.pushes()])

    async def _orders(self, _: web.Request) -> web.Response:
        return web.json_response(
            [
                {
                    "order_id": order.order_id,
                    "client_order_id": order.request.client_order_id,
                    "side": order.request.side.value,
                    "quantity": str(order.request.quantity),
                    "filled": str(order.filled),
                    "price": str(order.request.price or ""),
                }
                for order in self._venue.engine.open_orders()
            ]
        )

    async def _faults(self, _: web.Request) -> web.Response:
        counts = self._venue.faults.counts()
        return web.json_response([{"fault": rule, "happened": count} for rule, count in counts])

    async def _new_fault(self, request: web.Request) -> web.Response:
        try:
            self._venue.faults.add(FaultRule.parse(request.query.get("fault", "")))
        except FaultError as error:
            return web.json_response({"error": str(error)}, status=BAD_REQUEST)
        return await self._faults(request)

    async def _no_faults(self, request: web.Request) -> web.Response:
        self._venue.faults.clear()
        return await self._faults(request)

    async def _drop(self, request: web.Request) -> web.Response:
        said = request.query.get("on", "")
        targets = {t.value: t for t in (Target.MARKET, Target.USER)}
        if said not in targets:
            error = f"`on` was {said!r}, allowed: {', '.join(targets)}"
            return web.json_response({"error": error}, status=BAD_REQUEST)
        return web.json_response({"dropped": self._venue.drop(targets[said])})
