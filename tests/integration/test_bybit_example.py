"""The example of a node on Bybit, as a user runs it."""

import nautilus_trader
import pytest
from example_runs import assert_has_help
from example_runs import assert_refused
from example_runs import assert_traded
from example_runs import run_example


pytestmark = pytest.mark.usefixtures("unmeasured")


IS_1221 = nautilus_trader.__version__.startswith("1.221.")


def run(*arguments, **environment):
    return run_example("live/bybit_sandbox.py", *arguments, without="BYBIT", **environment)


@pytest.mark.skipif(IS_1221, reason="Bybit's clients of 1.221 are others")
@pytest.mark.parametrize("product", ["linear", "spot"])
def test_the_node_trades_on_the_loopback_venue(product):
    done = run("--seconds", "6", "--product", product)
    assert_traded(done)
    assert "BYBIT execution: " in done.stdout


@pytest.mark.skipif(not IS_1221, reason="Bybit's clients are those that the venue speaks with")
def test_another_version_gets_a_sentence():
    done = run()
    assert_refused(done, "use version 1.231.0")


@pytest.mark.parametrize("where", ["demo", "testnet"])
def test_the_real_venue_needs_keys(where):
    done = run(f"--{where}")
    name = f"BYBIT_{where.upper()}_API"
    assert_refused(done, f"{name}_KEY and {name}_SECRET")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--fault", "explode:on=market"), "allowed: delay, drop"),
        (("--demo", "--fault", "drop:on=market"), "nothing goes wrong on request elsewhere"),
        (("--demo", "--testnet"), "not allowed with"),
    ],
)
def test_what_cannot_be_gets_a_sentence(arguments, said):
    done = run(*arguments)
    assert_refused(done, said, 1, 2)


def test_the_example_has_help():
    done = run("--help")
    assert_has_help(done)
