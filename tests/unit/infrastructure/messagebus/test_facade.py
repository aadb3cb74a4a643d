"""The facade: what it offers, and what it does not import."""

import subprocess
import sys

import pytest

from nautilus_enhanced.infrastructure import messagebus


def test_all_is_sorted_and_everything_in_it_exists():
    assert messagebus.__all__ == sorted(messagebus.__all__)
    assert len(set(messagebus.__all__)) == len(messagebus.__all__)
    for name in messagebus.__all__:
        assert getattr(messagebus, name).__doc__


def test_all_has_every_class_that_the_facade_imports():
    imported = {name for name, value in vars(messagebus).items() if isinstance(value, type)}
    assert imported == set(messagebus.__all__)


@pytest.mark.parametrize("module", ["nautilus_trader", "nautilus_enhanced.live"])
def test_importing_the_bus_does_not_import(module):
    program = (
        "import sys, nautilus_enhanced.infrastructure.messagebus as bus\n"
        "bus.BufferedMessageBusClient('redis://h', naming=bus.StreamNaming(trader_id='T'))\n"
        f"loaded = [name for name in sys.modules if name.startswith({module!r})]\n"
        "sys.exit(str(loaded) if loaded else 0)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)
