"""The example for OKX as a user runs it."""

import pytest
from example_runs import assert_has_help
from example_runs import assert_refused
from example_runs import assert_traded
from example_runs import run_example
from nautilus_trader.core import nautilus_pyo3


pytestmark = pytest.mark.usefixtures("unmeasured")


CAN_BE_POINTED = hasattr(nautilus_pyo3, "derive_okx_ws_url")


def run(*arguments, **environment):
    return run_example("live/okx_sandbox.py", *arguments, without="OKX", **environment)


@pytest.mark.skipif(not CAN_BE_POINTED, reason="1.221's clients connect to the real venue")
@pytest.mark.parametrize("product", ["swap", "spot"])
def test_the_node_trades_on_the_loopback_venue(product):
    done = run("--seconds", "5", "--product", product)
    assert_traded(done)


@pytest.mark.skipif(CAN_BE_POINTED, reason="about a version whose clients cannot be pointed")
def test_a_version_whose_clients_cannot_be_pointed_gets_a_sentence():
    done = run("--seconds", "1")
    assert_refused(done, "needs version 1.231")


def test_demo_trading_needs_keys():
    done = run("--demo")
    assert_refused(done, "OKX_API_KEY, OKX_API_SECRET, OKX_API_PASSPHRASE")


def test_a_fault_that_is_none_gets_a_sentence():
    done = run("--fault", "explode:on=market")
    assert_refused(done, "allowed: delay, drop")


def test_the_example_has_help():
    done = run("--help")
    assert_has_help(done)
