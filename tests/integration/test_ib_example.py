"""The example of a node at Interactive Brokers, as a user runs it."""

from importlib.util import find_spec

import pytest
from example_runs import assert_has_help
from example_runs import assert_refused
from example_runs import assert_traded
from example_runs import run_example


pytestmark = pytest.mark.usefixtures("unmeasured")


HAS_PROTOBUF = find_spec("ibapi") is not None and find_spec("ibapi.protobuf") is not None


def run(*arguments, **environment):
    return run_example("live/ib_sandbox.py", *arguments, without="IB_", **environment)


@pytest.mark.skipif(not HAS_PROTOBUF, reason="an ibapi that knows no protobuf")
@pytest.mark.parametrize("product", ["stock", "forex"])
def test_the_node_trades_on_the_loopback_venue(product):
    done = run("--seconds", "6", "--product", product)
    assert_traded(done)
    assert "IB execution: " in done.stdout


@pytest.mark.skipif(HAS_PROTOBUF, reason="the clients speak what the venue speaks")
def test_another_version_gets_a_sentence():
    done = run()
    assert_refused(done, "NautilusTrader 1.231")


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({}, "--paper needs IB_ACCOUNT"),
        ({"IB_ACCOUNT": "DU1", "IB_PORT": "http"}, "IB_PORT was 'http'"),
        ({"IB_ACCOUNT": "DU1", "IB_CLIENT_ID": "-1"}, "IB_CLIENT_ID was '-1'"),
    ],
)
def test_a_paper_account_has_to_be_named(environment, said):
    done = run("--paper", **environment)
    assert_refused(done, said)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--paper", "--fault", "drop:on=market"), "nothing goes wrong on request elsewhere"),
        (("--product", "futures"), "invalid choice"),
    ],
)
def test_what_cannot_be_gets_a_sentence(arguments, said):
    done = run(*arguments)
    assert_refused(done, said, 2)


@pytest.mark.skipif(not HAS_PROTOBUF, reason="an ibapi that knows no protobuf")
def test_a_fault_that_is_none_gets_a_sentence():
    done = run("--fault", "explode:on=market")
    assert_refused(done, "allowed: delay, drop")


def test_the_example_has_help():
    done = run("--help")
    assert_has_help(done)
