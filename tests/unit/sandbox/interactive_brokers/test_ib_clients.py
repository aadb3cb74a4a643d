import asyncio
import importlib
import socket
import sys
import urllib.request
from importlib.util import find_spec

import pytest

from nautilus_enhanced.infrastructure.messagebus.errors import MissingExtraError
from nautilus_enhanced.sandbox import VenueError
from nautilus_enhanced.sandbox.interactive_brokers import clients
from nautilus_enhanced.sandbox.interactive_brokers import data_client_config
from nautilus_enhanced.sandbox.interactive_brokers import exec_client_config
from nautilus_enhanced.sandbox.listener import GREETING_TIMEOUT_S
from nautilus_enhanced.sandbox.venues import generated_market
from nautilus_enhanced.sandbox.venues import open_venue


HAS_PROTOBUF = find_spec("ibapi") is not None and find_spec("ibapi.protobuf") is not None
needs_protobuf = pytest.mark.skipif(not HAS_PROTOBUF, reason="an ibapi that knows no protobuf")


@needs_protobuf
@pytest.mark.parametrize(
    ("product", "symbol", "contract"),
    [
        ("stock", "MSFT/USD", ("STK", "MSFT", "SMART", "NASDAQ", "USD")),
        ("forex", "EUR/CHF", ("CASH", "EUR", "IDEALPRO", "", "CHF")),
    ],
)
def test_configs_lead_to_the_venue(product, symbol, contract):
    where = {"host": "127.0.0.1", "port": 4002, "product": product, "symbol": symbol}
    data = data_client_config(**where, request_timeout_secs=7)
    execution = exec_client_config(**where, account="DU9")
    assert (data.ibg_host, data.ibg_port, data.request_timeout_secs) == ("127.0.0.1", 4002, 7)
    # One client ID: both share one socket.
    assert data.ibg_client_id == execution.ibg_client_id
    assert execution.account_id == "DU9"
    assert execution.routing.default
    (loaded,) = data.instrument_provider.load_contracts
    names = ("secType", "symbol", "exchange", "primaryExchange", "currency")
    assert tuple(getattr(loaded, name) for name in names) == contract


@pytest.mark.skipif(HAS_PROTOBUF, reason="the clients speak what the venue speaks")
def test_clients_that_the_venue_does_not_speak_with_are_named():
    with pytest.raises(VenueError, match=r"comes with NautilusTrader 1\.231"):
        data_client_config(host="127.0.0.1", port=1)
    with pytest.raises(VenueError, match="knows no protobuf"):
        open_venue("ib", generated_market("ib"))


@pytest.mark.parametrize(
    ("there", "error", "said"),
    [
        ((), MissingExtraError, r"pip install 'nt-enhanced\[ib\]'"),
        (("ibapi",), VenueError, "knows no protobuf"),
    ],
)
def test_what_is_missing_is_said(monkeypatch, there, error, said):
    monkeypatch.setattr(clients, "find_spec", lambda name: name if name in there else None)
    with pytest.raises(error, match=said):
        exec_client_config(host="127.0.0.1", port=1)


@needs_protobuf
def test_a_venue_without_its_library_says_what_to_install(monkeypatch):
    package = "nautilus_enhanced.sandbox.interactive_brokers."
    for name in [n for n in sys.modules if n.startswith((package, "ibapi"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "ibapi", None)
    fresh = importlib.import_module(package + "clients")
    monkeypatch.setattr(fresh, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"nt-enhanced\[ib\]"):
        open_venue("ib", generated_market("ib"))


def test_a_market_is_made_up_for_what_is_traded():
    stock, pair = generated_market("ib", seed=3), generated_market("ib-forex")
    assert (stock.instrument.symbol, stock.seed) == ("AAPLUSD", 3)
    assert pair.instrument.symbol == "EURUSD"
    assert generated_market("bybit").instrument.symbol == "BTCUSDT"


def talk(port, said, most=4096):
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        for part in said:
            connection.sendall(part)
        try:
            return connection.recv(most)
        except ConnectionResetError:
            return b""


@needs_protobuf
async def test_one_port_serves_tws_and_http():
    async with open_venue("ib", generated_market("ib")) as venue:
        # However the greeting is cut.
        said = [b"AP", b"I\0\0\0\0\x09v100", b"..223"]
        assert (await asyncio.to_thread(talk, venue.port, said))[4:8] == b"213\0"
        # What is neither is HTTP's to refuse.
        assert b"400" in await asyncio.to_thread(talk, venue.port, [b"\x01\x02\r\n\r\n"])
        # A client that speaks other versions is left without a word.
        old = [b"API\0\0\0\0\x09v100..187"]
        assert await asyncio.to_thread(talk, venue.port, old) == b""
        # So is one that announces more than any message has.
        huge = [b"API\0\xff\xff\xff\xff"]
        assert await asyncio.to_thread(talk, venue.port, huge) == b""

        def orders():
            with urllib.request.urlopen(f"{venue.http_url}/loopback/orders", timeout=10) as got:
                return got.read()

        assert await asyncio.to_thread(orders) == b"[]"
        assert venue.ws_url == venue.ws_api_url == ""
        assert venue.addresses["account"] == "DU1234567"
    with pytest.raises(ConnectionError):
        await asyncio.to_thread(talk, venue.port, [b"API\0"])
    assert GREETING_TIMEOUT_S > 0


@needs_protobuf
async def test_closing_ends_sessions_that_are_open():
    async with open_venue("ib", generated_market("ib")) as venue:
        reader, writer = await asyncio.open_connection("127.0.0.1", venue.port)
        writer.write(b"API\0\0\0\0\x09v100..223")
        await asyncio.wait_for(reader.readexactly(8), 10)
        assert venue.statistics().connections == 1
    assert venue.statistics().connections == 0
    await asyncio.wait_for(reader.read(), 10)
    writer.close()
