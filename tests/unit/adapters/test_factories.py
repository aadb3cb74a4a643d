"""The enhanced twin of a factory: same name, same clients, and nothing more on a stock bus."""

from __future__ import annotations

import subprocess
import sys

import pytest
from nautilus_trader.common.config import ImportableFactoryConfig
from nautilus_trader.live.factories import LiveDataClientFactory
from nautilus_trader.live.factories import LiveExecClientFactory

import nautilus_enhanced.adapters
from nautilus_enhanced.adapters import enhance
from nautilus_enhanced.infrastructure.messagebus import ConfigurationError


class Client:
    """Not of NautilusTrader."""

    _msgbus = None


class Factory(LiveDataClientFactory):
    """Of a user's own."""

    @staticmethod
    def create(loop, name, **rest):
        CALLS.append((loop, name, *rest.values()))
        return Client()


CALLS = []


def test_a_twin_is_a_subclass_of_the_same_name_and_made_from_a_class_only():
    twin = enhance(Factory)
    assert issubclass(twin, Factory)
    assert twin is not Factory
    assert twin.__name__ == "Factory"
    assert twin().__name__ == "Factory"
    assert enhance(twin) is twin
    for wrong in (Factory(), Client, None, "Factory"):
        with pytest.raises(ConfigurationError, match="LiveDataClientFactory or LiveExecClient"):
            enhance(wrong)


@pytest.mark.parametrize("make", [enhance(Factory), enhance(Factory)()], ids=["class", "instance"])
def test_what_is_made_is_what_the_factory_makes(make):
    CALLS.clear()
    assert type(make.create("loop", "name", config="c", msgbus="b", cache="a", clock="k")) is Client
    assert CALLS == [("loop", "name", "c", "b", "a", "k")]


@pytest.mark.parametrize("venue", ["binance", "bybit", "okx"])
def test_the_ready_made_ones_can_come_from_a_file(venue):
    module = __import__(f"nautilus_enhanced.adapters.{venue}", fromlist=["__all__"])
    for name in module.__all__:
        made = ImportableFactoryConfig(path=f"{module.__name__}:{name}").create()
        assert isinstance(made, LiveDataClientFactory | LiveExecClientFactory)
        # As the node's builder asks.
        assert made.__name__ == name.removeprefix("Enhanced") == type(made).__name__
        assert callable(made.create)


def test_those_of_interactive_brokers_say_what_they_need():
    pytest.importorskip("nautilus_enhanced.adapters.interactive_brokers")
    module = sys.modules["nautilus_enhanced.adapters.interactive_brokers"]
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = module.Nothing
    try:
        made = module.EnhancedInteractiveBrokersLiveDataClientFactory
    except ImportError as error:
        assert "pip install 'nautilus_trader[ib]'" in str(error)  # noqa: PT017 (either is right)
    else:
        assert made.__name__ == "InteractiveBrokersLiveDataClientFactory"
        assert module.EnhancedInteractiveBrokersLiveDataClientFactory is made


def test_a_venue_brings_no_other_venue():
    # The modules one after the other, and which adapters of NautilusTrader are imported then.
    code = """
import sys
from importlib import import_module

ours, theirs = "nautilus_enhanced.", "nautilus_trader.adapters."
for name in sys.argv[1:]:
    import_module(ours + name)
    print(name, *{other.split(".")[2] for other in sys.modules if other.startswith(theirs)})
"""
    expected = {
        "adapters": set(),
        "adapters.table": set(),
        "adapters.factories": set(),
        "adapters.sandbox": set(),
        "adapters.interactive_brokers": set(),
        "adapters.interactive_brokers.shared": set(),
        "live.assembly": set(),
        "adapters.okx": {"okx"},
    }
    done = subprocess.run(
        [sys.executable, "-c", code, *expected],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    found = {line.split()[0]: set(line.split()[1:]) - {"env"} for line in done.stdout.splitlines()}
    assert found == expected


def test_the_facade_has_what_it_says():
    facade = nautilus_enhanced.adapters
    assert dir(facade) == sorted(facade.__all__)
    for name in facade.__all__:
        found = getattr(facade, name)
        assert name == "ADAPTERS" or found.__module__.startswith(facade.__name__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = facade.nothing
