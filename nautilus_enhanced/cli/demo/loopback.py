"""Start the loopback venues of a run, and ask them at its end."""

from __future__ import annotations

import json
import time
import urllib.request
from typing import TYPE_CHECKING
from typing import Any
from typing import Final

import msgspec

from nautilus_enhanced.cli.demo.errors import DemoTroubleError
from nautilus_enhanced.cli.demo.venues import DEMO_VENUES
from nautilus_enhanced.sandbox.process import VenueAddress


if TYPE_CHECKING:
    from nautilus_enhanced.cli.demo.processes import Child
    from nautilus_enhanced.cli.demo.processes import Family
    from nautilus_enhanced.cli.demo.settings import DemoSettings


START_TIMEOUT_S: Final = 20.0
HTTP_TIMEOUT_S: Final = 10.0
QUOTES_PER_S: Final = 200.0


def venue_arguments(name: str, settings: DemoSettings) -> list[str]:
    """Return the arguments of ``nt-enhanced`` that run a venue of the demo."""
    arguments = ["venue", DEMO_VENUES[name].loopback, "--json", "--exit-with-stdin"]
    arguments += ["--port", str(settings.venue_port)]
    if settings.replay is not None:
        arguments += ["--replay", settings.replay, "--speed", str(settings.speed)]
        if settings.symbol is not None:
            arguments += ["--symbol", settings.symbol]
        return arguments
    pace = DEMO_VENUES[name].pace
    arguments += ["--seed", str(settings.seed), "--quotes-per-s", f"{QUOTES_PER_S * pace:g}"]
    burst_size = round(settings.burst_size * pace)
    return [*arguments, "--trades-per-s", "20", "--burst-size", str(burst_size)]


def start_venues(family: Family, settings: DemoSettings) -> dict[str, VenueAddress]:
    """
    Start all venues, and return where they listen.

    Raises
    ------
    DemoTroubleError
        If one does not start.
    """
    names: dict[Child, str] = {}
    for name in settings.venues:
        arguments = venue_arguments(name, settings)
        names[family.start(f"venue {name}", "nautilus_enhanced.cli", *arguments)] = name
    found: dict[str, VenueAddress] = {}
    deadline = time.monotonic() + START_TIMEOUT_S
    while len(found) < len(names):
        if time.monotonic() > deadline:
            late = ", ".join(name for name in names.values() if name not in found)
            raise DemoTroubleError(
                f"the loopback venue did not start within {START_TIMEOUT_S:.0f} s: {late}"
            )
        line = family.next_line(0.5)
        if line is None:
            continue
        if line.text is None:
            raise DemoTroubleError(line.child.errors() or "the loopback venue did not start")
        if line.text.startswith("{"):
            found[names[line.child]] = msgspec.json.decode(
                line.text, type=VenueAddress, strict=False
            )
    # In the order that was asked for.
    return {name: found[name] for name in settings.venues}


def measured_pushes(venues: dict[str, VenueAddress]) -> dict[str, list[dict[str, Any]]]:
    """Return when each venue sent the order events that are measured."""
    return {
        name: DEMO_VENUES[name].measured_pushes(_get_json(at, "pushes"))
        for name, at in venues.items()
    }


def count_bursts(venues: dict[str, VenueAddress]) -> int:
    """Return the bursts of market data that all venues sent."""
    return sum(_get_json(at, "statistics")["bursts"] for at in venues.values())


def _get_json(at: VenueAddress, what: str) -> Any:
    url = f"{at.http_url}/loopback/{what}"
    with urllib.request.urlopen(url, timeout=HTTP_TIMEOUT_S) as response:  # noqa: S310 (our venue)
        return json.load(response)
