"""``nt-enhanced venue`` as a user runs it."""

import json
import signal
import subprocess
import sys
import urllib.request
from importlib.util import find_spec

import pytest

from nautilus_enhanced.sandbox import VenueError
from nautilus_enhanced.sandbox import VenueProcess
from nautilus_enhanced.sandbox.binance import BinanceFuturesVenueProcess
from nautilus_enhanced.sandbox.interactive_brokers import InteractiveBrokersForexVenueProcess
from nautilus_enhanced.sandbox.venues import VENUES
from nautilus_enhanced.sandbox.venues import open_venue


HAS_PROTOBUF = find_spec("ibapi") is not None and find_spec("ibapi.protobuf") is not None
COMMAND = [sys.executable, "-m", "nautilus_enhanced.cli", "venue"]


def run(*arguments):
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("name", VENUES)
def test_it_says_how_clients_find_it_and_what_came_of_it(name):
    if VENUES[name].module.endswith("interactive_brokers.venue") and not HAS_PROTOBUF:
        pytest.skip("an ibapi that knows no protobuf")
    done = run(name, "--seconds", "0.3", "--fault", "drop:on=market,times=1")
    assert done.returncode == 0, done.stderr
    assert VENUES[name].about in done.stdout
    assert ("base_url_http=" if VENUES[name].has_keys else "ibg_port=") in done.stdout
    assert "drop:on=market,times=1" in done.stdout
    assert done.stdout.rstrip().endswith("0 fills.")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_stops_cleanly_when_it_is_told_to(number):
    with subprocess.Popen(
        [*COMMAND, "binance-spot", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            ready = json.loads(process.stdout.readline())
            assert set(ready) == {
                "venue", "http_url", "ws_url", "ws_api_url", "symbol", "tick_size", "step_size",
            }  # fmt: skip
            with urllib.request.urlopen(ready["http_url"] + "/api/v3/ping", timeout=30) as answer:
                assert answer.read() == b"{}"
            process.send_signal(number)
            rest, errors = process.communicate(timeout=30)
            assert (process.returncode, rest, errors) == (0, "", "")
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("binance-spot", "--fault", "explode:on=market"), "delay, drop, duplicate"),
        (("binance-spot", "--replay", "nowhere.csv"), "nowhere.csv"),
        (("binance-spot", "--replay", "broken.parquet"), "broken.parquet"),
        (("binance-spot", "--burst-size", "-1"), "burst_size"),
        (("binance-spot", "--host", "203.0.113.1"), "cannot listen on 203.0.113.1"),
        (("binance-moon",), "'binance-spot', 'binance-futures'"),
        (("binance-spot", "--port", "70000"), "70000"),
        (("ib", "--api-key", "k"), "ib has no API keys"),
    ],
)
def test_bad_input_is_a_sentence_and_exit_code_2(arguments, said, tmp_path, monkeypatch):
    (tmp_path / "broken.parquet").write_bytes(b"nothing")
    monkeypatch.chdir(tmp_path)
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_help_has_examples_faults_and_exit_codes():
    done = run("--help")
    assert done.returncode == 0
    assert "nt-enhanced venue binance-futures --port 9001" in done.stdout
    assert "--fault" in done.stdout
    assert "Exits with 0" in done.stdout


def test_a_venue_beside_a_program():
    with BinanceFuturesVenueProcess(seed=3, faults=["reject:on=order"]) as venue:
        url = venue.address.http_url
        with urllib.request.urlopen(f"{url}/loopback/faults", timeout=30) as answer:
            assert json.load(answer) == [{"fault": "reject:on=order", "happened": 0}]
        config = venue.exec_client_config()
        assert config.account_type.is_futures
        assert config.base_url_http == url
    with pytest.raises(VenueError, match="allowed: delay"):
        VenueProcess("binance-spot", faults=["explode"]).start()


@pytest.mark.skipif(not HAS_PROTOBUF, reason="an ibapi that knows no protobuf")
def test_a_venue_that_is_not_spoken_to_over_http():
    with InteractiveBrokersForexVenueProcess(seed=3) as venue:
        at = venue.address
        assert (at.symbol, at.tick_size, at.step_size) == ("EURUSD", "0.00005", "1")
        with urllib.request.urlopen(f"{at.http_url}/loopback/statistics", timeout=30) as answer:
            assert json.load(answer)["connections"] == 0
        data, execution = venue.data_client_config(), venue.exec_client_config()
        assert (data.ibg_host, data.ibg_port) == (at.host, at.port)
        assert execution.account_id == at.account
        (contract,) = data.instrument_provider.load_contracts
        assert (contract.symbol, contract.currency) == ("EUR", "USD")


def test_a_venue_of_another_name_is_refused():
    with pytest.raises(VenueError, match="binance-spot, binance-futures"):
        open_venue("moon", None)
