"""Faults on real sockets: each kind once, and those that are asked for while it runs."""

import asyncio
import json
from decimal import Decimal

import aiohttp
import pytest

from nautilus_enhanced.sandbox import FaultRule
from nautilus_enhanced.sandbox import GeneratedMarket
from nautilus_enhanced.sandbox.binance import BinanceFuturesVenue
from nautilus_enhanced.sandbox.binance import BinanceSpotVenue
from nautilus_enhanced.sandbox.faults import Target


KEY = {"X-MBX-APIKEY": "k"}
CALM = GeneratedMarket(quotes_per_s=200, trades_per_s=50)
TICKER = "/stream?streams=btcusdt@bookTicker"


@pytest.fixture
async def client():
    async with aiohttp.ClientSession(headers=KEY) as client:
        yield client


def spot(*faults):
    return BinanceSpotVenue(CALM, faults=[FaultRule.parse(fault) for fault in faults])


async def updates(ws, count):
    """The update IDs of as many messages, None for garbage."""
    found = []
    async with asyncio.timeout(30):
        while len(found) < count:
            text = (await ws.receive()).data
            try:
                found.append(json.loads(text)["data"]["u"])
            except ValueError:
                found.append(None)
    return found


async def until(condition):
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 (polls a counter)
            await asyncio.sleep(0.01)


async def post(client, venue, path, **params):
    async with client.post(venue.http_url + path, params=params) as response:
        return response.status, await response.text()


async def place(client, venue, **changes):
    order = {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "type": "LIMIT",
        "timeInForce": "GTC",
        "quantity": "0.001",
        "price": "40000.00",
        "newClientOrderId": "O-1",
    }
    status, text = await post(client, venue, "/api/v3/order", **order | changes)
    return status, json.loads(text)


async def user_stream(client, venue):
    status, text = await post(client, venue, "/api/v3/userDataStream")
    assert status == 200
    return await client.ws_connect(f"{venue.ws_url}/ws/{json.loads(text)['listenKey']}")


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("duplicate:on=market,after=2,times=1", [1, 2, 3, 3, 4, 5]),
        ("reorder:on=market,after=2,times=1", [1, 2, 4, 3, 5, 6]),
        ("garbage:on=market,after=2,times=1", [1, 2, None, 3, 4, 5]),
        ("delay:on=market,after=2,times=1,ms=50", [1, 2, 3, 4, 5, 6]),
        ("drop:on=market,match=@trade", [1, 2, 3, 4, 5, 6]),
    ],
)
async def test_faults_of_market_data(client, fault, expected):
    async with spot(fault) as venue, client.ws_connect(venue.ws_url + TICKER) as ws:
        assert await updates(ws, 6) == expected
        assert venue.statistics().faults == (0 if "match" in fault else 1)
        await until(lambda: venue.statistics().delayed == 0)


async def test_a_dropped_market_socket_loses_what_was_to_be_sent(client):
    async with spot("drop:on=market,after=3,times=1") as venue:
        async with client.ws_connect(venue.ws_url + TICKER) as ws:
            assert await updates(ws, 3) == [1, 2, 3]
            message = await ws.receive(timeout=30)
            assert message.type in {aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR}
        async with client.ws_connect(venue.ws_url + TICKER) as ws:
            (first,) = await updates(ws, 1)
            assert first > 4


async def test_a_user_event_waits_for_the_next_one_at_most_so_long(client):
    async with spot("reorder:on=user,match=NEW,times=1,ms=20") as venue:
        user = await user_stream(client, venue)
        await place(client, venue)
        seen = [(await user.receive_json(timeout=30))["e"] for _ in range(2)]
        assert seen == ["outboundAccountPosition", "executionReport"]
        await post(client, venue, "/loopback/faults", fault="reorder:on=user,ms=20")
        async with client.delete(
            f"{venue.http_url}/api/v3/order", params={"symbol": "BTCUSDT", "orderId": "1"}
        ) as response:
            assert response.status == 200
        seen = {(await user.receive_json(timeout=30))["e"] for _ in range(2)}
        assert seen == {"outboundAccountPosition", "executionReport"}
        await user.close()


async def test_refused_requests_do_nothing(client):
    async with spot("reject:on=order,times=1", "rate-limit:on=order,after=1,times=1") as venue:
        assert await place(client, venue) == (
            400,
            {"code": -2010, "msg": "Rejected: the venue was told to."},
        )
        status, body = await place(client, venue)
        assert (status, body["code"]) == (429, -1003)
        assert venue.dialect.engine.orders() == ()
        assert (await place(client, venue))[0] == 200


async def test_a_request_whose_answer_is_lost_is_carried_out(client):
    async with spot("drop:on=order,times=1", "garbage:on=order,after=1,times=1") as venue:
        with pytest.raises(aiohttp.ClientError):
            await place(client, venue)
        with pytest.raises(ValueError, match=r"Expecting|Invalid"):
            await place(client, venue, newClientOrderId="O-2")
        names = [o.request.client_order_id for o in venue.dialect.engine.open_orders()]
        assert names == ["O-1", "O-2"]


async def test_faults_come_and_go_while_it_runs(client):
    async with spot() as venue:
        status, _ = await post(client, venue, "/loopback/faults", fault="reject:on=order")
        assert status == 200
        assert (await place(client, venue))[0] == 400
        async with client.get(f"{venue.http_url}/loopback/faults") as response:
            assert await response.json() == [{"fault": "reject:on=order", "happened": 1}]
        async with client.delete(f"{venue.http_url}/loopback/faults") as response:
            assert await response.json() == []
        assert (await place(client, venue))[0] == 200
        status, text = await post(client, venue, "/loopback/faults", fault="explode")
        assert status == 400
        assert "allowed: delay, drop" in text


async def test_sockets_are_cut_on_demand(client):
    async with BinanceFuturesVenue(CALM, wallet=Decimal(1)) as venue:
        market = await client.ws_connect(f"{venue.ws_url}/stream?streams=btcusdt@markPrice@1s")
        _, text = await post(client, venue, "/fapi/v1/listenKey")
        key = json.loads(text)["listenKey"]
        user = await client.ws_connect(f"{venue.ws_url}/ws?listenKey={key}")
        await until(lambda: venue.statistics().user_sessions == 1)
        status, text = await post(client, venue, "/loopback/drop", on="user")
        assert (status, json.loads(text)) == (200, {"dropped": 1})
        await until(lambda: venue.statistics().connections == 1)
        assert (await user.receive(timeout=30)).type is not aiohttp.WSMsgType.TEXT
        assert venue.drop(Target.MARKET) == 1
        await until(lambda: venue.statistics().connections == 0)
        status, text = await post(client, venue, "/loopback/drop", on="disk")
        assert status == 400
        assert "market, user" in text
        await market.close()


async def test_a_venue_that_delays_closes_at_once(client):
    venue = spot("delay:on=market,ms=60000")
    async with venue, client.ws_connect(venue.ws_url + TICKER):
        await until(lambda: venue.statistics().delayed > 0)
        async with asyncio.timeout(5):
            await venue.close()


async def ws_api(client, venue, method, number=1):
    async with client.ws_connect(venue.ws_api_url) as ws:
        await ws.send_json({"id": number, "method": method, "params": {"apiKey": "k"}})
        return await ws.receive(timeout=30)


async def test_faults_of_requests_over_websockets(client):
    async with spot(
        "rate-limit:on=request,match=session.logon,times=1",
        "garbage:on=request,match=session.logon,after=1,times=1",
        "drop:on=request,match=session.logon,after=2,times=1",
        "delay:on=request,match=session.logon,after=3,times=1,ms=20",
        "reject:on=request,match=WS SUBSCRIBE,times=1",
    ) as venue:
        limited = (await ws_api(client, venue, "session.logon", 7)).json()
        assert (limited["id"], limited["status"], limited["error"]["code"]) == (7, 429, -1003)
        garbage = await ws_api(client, venue, "session.logon")
        with pytest.raises(ValueError, match="Expecting"):
            garbage.json()
        dropped = await ws_api(client, venue, "session.logon")
        assert dropped.type is not aiohttp.WSMsgType.TEXT
        assert (await ws_api(client, venue, "session.logon")).json()["status"] == 200
        assert venue.statistics().faults == 4
        async with client.ws_connect(f"{venue.ws_url}/ws") as ws:
            message = {"id": 3, "method": "SUBSCRIBE", "params": ["btcusdt@bookTicker"]}
            await ws.send_json(message)
            assert (await ws.receive_json(timeout=30))["error"]["msg"].startswith("Rejected")
            assert not venue.statistics().market_running
            await ws.send_json(message)
            assert await ws.receive_json(timeout=30) == {"result": None, "id": 3}
