"""
The bus that the contract is tested on.

``NT_ENHANCED_TEST_BUS`` chooses one: ``stock``, ``enhanced`` or ``both`` (the default).
"""

from __future__ import annotations

import os

import pytest


BUSES = ("stock", "enhanced")


def chosen_buses() -> tuple[str, ...]:
    choice = os.environ.get("NT_ENHANCED_TEST_BUS", "both").strip().lower() or "both"
    if choice == "both":
        return BUSES
    if choice not in BUSES:
        raise pytest.UsageError(
            f"NT_ENHANCED_TEST_BUS was {choice!r}, allowed: stock, enhanced, both"
        )
    return (choice,)


def pytest_generate_tests(metafunc) -> None:
    if "bus" in metafunc.fixturenames:
        metafunc.parametrize("bus", chosen_buses())


@pytest.fixture
def both_buses():
    """Skip where only one bus is under test."""
    if len(chosen_buses()) < 2:
        pytest.skip("compares the buses")


@pytest.fixture
def enhanced_bus():
    """Skip where only the stock bus is under test."""
    if "enhanced" not in chosen_buses():
        pytest.skip("about the enhanced bus")
    return "enhanced"
