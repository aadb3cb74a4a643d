"""Fixtures with real engines; the engines are made in ``live_engines``."""

from __future__ import annotations

import asyncio

import pytest
from live_engines import Engines
from live_engines import settle


@pytest.fixture(params=["stock", "enhanced"])
def bus(request):
    """Run on both: what holds for stock must hold for ours."""
    return request.param


@pytest.fixture
async def engines_of():
    """Make engines on the running loop, and stop what was started."""
    made = []

    def make(**options):
        engines = Engines(asyncio.get_running_loop(), **options)
        made.append(engines)
        return engines

    yield make
    for engines in made:
        engines.stop()
    await settle()
    tasks = [task for task in asyncio.all_tasks() if "queue" in task.get_name()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
