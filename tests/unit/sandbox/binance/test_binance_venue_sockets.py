import asyncio
import itertools
import json
import subprocess
import sys
from dataclasses import replace
from decimal import Decimal

import aiohttp
import pytest

from nautilus_enhanced.sandbox import GeneratedMarket
from nautilus_enhanced.sandbox import VenueError
from nautilus_enhanced.sandbox.binance import BinanceSpotVenue


KEY = {"X-MBX-APIKEY": "k"}
BURST = GeneratedMarket(quotes_per_s=0, trades_per_s=20, burst_size=100, burst_interval_s=0.05)


@pytest.fixture
async def client():
    async with aiohttp.ClientSession(headers=KEY) as client:
        yield client


@pytest.fixture
async def venue():
    async with BinanceSpotVenue(BURST) as venue:
        yield venue


async def receive(ws, wanted):
    async with asyncio.timeout(30):
        while True:
            message = await ws.receive_json()
            if wanted(message):
                return message


async def until(condition):
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 (polls another process, or a counter)
            await asyncio.sleep(0.01)


async def place(client, venue, **changes):
    order = {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "type": "LIMIT",
        "timeInForce": "GTC",
        "quantity": "0.001",
        "price": "49999.90",
        "newClientOrderId": "O-1",
    }
    async with client.post(f"{venue.http_url}/api/v3/order", params=order | changes) as response:
        return response.status, await response.json()


async def test_the_market_flows_only_to_whom_it_is_subscribed_by(client, venue):
    async with (
        client.ws_connect(f"{venue.ws_url}/stream?streams=btcusdt@forceOrder") as idle,
        client.ws_connect(f"{venue.ws_url}/ws") as raw,
    ):
        await asyncio.sleep(0.1)
        assert not venue.statistics().market_running
        await raw.send_json({"method": "SUBSCRIBE", "params": ["btcusdt@bookTicker"], "id": 4})
        assert await receive(raw, lambda m: "id" in m) == {"result": None, "id": 4}
        updates = [(await receive(raw, lambda m: "u" in m))["u"] for _ in range(150)]
        assert updates == list(range(1, 151))
        with pytest.raises(TimeoutError):
            await idle.receive(timeout=0.05)
        assert venue.statistics().trades_sent == 0
        assert venue.statistics().bursts >= 1
    await until(lambda: venue.statistics().connections == 0)


@pytest.mark.parametrize("by", ["listen_key", "raw_listen_key", "ws_api"])
async def test_user_data_arrives_by_every_way(client, venue, by):
    if by == "ws_api":
        user = await client.ws_connect(venue.ws_api_url)
        await user.send_json({"id": "0", "method": "userDataStream.subscribe"})
        assert (await user.receive_json())["status"] == 401
        for number, method in enumerate(("session.logon", "userDataStream.subscribe")):
            params = {"apiKey": "k", "timestamp": 1, "signature": "s"}
            await user.send_json({"id": str(number), "method": method, "params": params})
            assert (await user.receive_json())["status"] == 200
    else:
        async with client.post(f"{venue.http_url}/api/v3/userDataStream") as response:
            listen_key = (await response.json())["listenKey"]
        path = f"/ws/{listen_key}" if by == "raw_listen_key" else f"/stream?streams={listen_key}"
        user = await client.ws_connect(venue.ws_url + path)
    status, body = await place(client, venue)
    assert (status, body["status"]) == (200, "NEW")
    envelope = {"listen_key": "data", "ws_api": "event"}.get(by)
    async with client.ws_connect(f"{venue.ws_url}/stream?streams=btcusdt@bookTicker"):
        seen = []
        while "TRADE" not in seen:
            message = await user.receive_json(timeout=30)
            event = message[envelope] if envelope else message
            seen.append(event.get("x", event["e"]))
    assert seen[:3] == ["NEW", "outboundAccountPosition", "TRADE"]
    await user.close()
    new, trade = venue.pushes()
    assert (new.client_order_id, new.execution_type, new.trade_id) == ("O-1", "NEW", -1)
    assert (trade.execution_type, trade.trade_id) == ("TRADE", 1)
    assert new.monotonic_ns < trade.monotonic_ns


async def test_a_fill_is_pushed_inside_the_burst(client, venue):
    """The frame of the quote that fills is sent before, the rest of the burst after."""
    await place(client, venue)
    async with client.ws_connect(f"{venue.ws_url}/stream?streams=btcusdt@bookTicker") as market:
        await receive(market, lambda _: True)
        await until(lambda: venue.statistics().fills == 1)
    async with client.get(f"{venue.http_url}/api/v3/myTrades?symbol=BTCUSDT") as response:
        (trade,) = await response.json()
    assert trade["isMaker"]
    assert trade["price"] == "49999.90"


async def test_a_slow_reader_is_cut_off_and_counted(client):
    source = GeneratedMarket(quotes_per_s=0, burst_size=50_000, burst_interval_s=0.01)
    async with BinanceSpotVenue(source, send_buffer_bytes=65_536) as venue:
        reader, writer = await asyncio.open_connection("127.0.0.1", venue.port)
        writer.write(
            b"GET /stream?streams=btcusdt@bookTicker HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        reader._transport.pause_reading()
        await until(lambda: venue.statistics().slow_readers == 1)
        await until(lambda: venue.statistics().connections == 0)
        writer.close()


async def test_closing_is_bounded_leaves_no_task_and_may_be_repeated(client):
    before = asyncio.all_tasks()
    venue = BinanceSpotVenue(BURST)
    await venue.close()
    await venue.start()
    with pytest.raises(VenueError, match="started already"):
        await venue.start()
    ws = await client.ws_connect(f"{venue.ws_url}/stream?streams=btcusdt@bookTicker")
    await ws.receive(timeout=30)
    async with asyncio.timeout(5):
        await venue.close()
        await venue.close()
    await ws.close()
    await until(lambda: asyncio.all_tasks() <= before)


async def test_a_port_in_use_is_said(venue):
    with pytest.raises(VenueError, match=f":{venue.port} .*choose another port"):
        await BinanceSpotVenue(BURST, port=venue.port).start()


async def test_a_market_that_ends_is_over(client):
    class Short:
        instrument = BURST.instrument

        def __iter__(self):
            return (replace(e, due_ns=0) for e in itertools.islice(BURST, 5))

    balances = {"BTC": Decimal(1)}
    async with (
        BinanceSpotVenue(Short(), balances=balances) as venue,
        client.ws_connect(f"{venue.ws_url}/ws/btcusdt@bookTicker") as ws,
    ):
        await receive(ws, lambda m: "u" in m)
        await until(lambda: not venue.statistics().market_running)


@pytest.mark.parametrize("text", ["no json", "[]", '{"method":"DANCE","id":1}'])
async def test_nonsense_is_answered_with_an_error(client, venue, text):
    async with client.ws_connect(f"{venue.ws_url}/ws") as ws:
        await ws.send_str(text)
        answer = await ws.receive_json(timeout=30)
        assert "code" in answer or "error" in answer


def run(*arguments, **options):
    command = [sys.executable, "-m", "nautilus_enhanced.cli", "venue", "binance-spot"]
    command += ["--json", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, **options
    )


def test_the_program_serves_until_its_input_ends():
    done = run("--exit-with-stdin", stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    ready = json.loads(done.stdout)
    assert (ready["symbol"], ready["tick_size"], ready["step_size"]) == (
        "BTCUSDT",
        "0.01",
        "0.00001",
    )


def test_the_facade_imports_neither_aiohttp_nor_pandas():
    code = (
        "import sys, nautilus_enhanced\n"
        "before = set(sys.modules)\n"
        "import nautilus_enhanced.sandbox.binance\n"
        "assert not {'aiohttp', 'pandas'} & (set(sys.modules) - before)\n"
        "sys.modules['aiohttp'] = None\n"
        "try:\n    nautilus_enhanced.sandbox.binance.BinanceSpotVenue\n"
        "except Exception as e:\n    print(type(e).__name__, e)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("MissingExtraError")
    assert "pip install 'nt-enhanced[sandbox]'" in done.stdout
