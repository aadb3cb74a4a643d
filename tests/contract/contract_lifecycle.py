"""
How a node's engines start, stop and fail, as scenarios for either bus.

``python contract_lifecycle.py NAME BUS [JSON]`` prints its result as JSON.
"""

# A scenario is a script: what happens, one thing after another.
# ruff: noqa: PLR0915

from __future__ import annotations

import asyncio

from contract_parts import Session
from contract_parts import VenueClient
from contract_parts import quote_at
from contract_parts import until
from contract_scenarios import INSTRUMENT_ID
from contract_scenarios import Market
from contract_scenarios import main
from contract_trading import Noting
from contract_trading import named
from nautilus_trader.config import LiveDataEngineConfig
from nautilus_trader.config import LiveExecEngineConfig
from nautilus_trader.config import LiveRiskEngineConfig
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.enums import TriggerType


# What the node waits for before it stops its engines, each by itself: orders that are under way
# from one to another need that time, and more of it while other processes are at work.
POST_STOP_S = 1.0


class Counting(Noting):
    """Count the quotes as well."""

    def __init__(self) -> None:
        super().__init__()
        self.quotes = 0

    def on_quote_tick(self, tick) -> None:
        self.quotes += 1
        super().on_quote_tick(tick)


def count_handled_quotes(engine) -> list[int]:
    """Count the quotes that reach the engine's handler."""
    handled = [0]
    handle = engine._handle_data

    def counting(data) -> None:
        handled[0] += isinstance(data, QuoteTick)
        handle(data)

    engine._handle_data = counting
    return handled


def states(session: Session) -> list[str]:
    return [engine.state.name for engine in session.engines]


# -- stopping ------------------------------------------------------------------------------------


def before_stop(engine, act) -> None:
    """Do something right before the engine is stopped."""
    stop = engine.stop

    def act_and_stop() -> None:
        act()
        stop()

    engine.stop = act_and_stop


def drain(bus: str) -> dict:
    """
    Stop the node while quotes, commands and order events are queued.

    The node waits before it stops its engines; so there is a backlog again when it does.
    """
    trader = Counting()
    session = Session(bus, trader, timeout_post_stop=POST_STOP_S)
    data, _, execution = session.engines
    handled = count_handled_quotes(data)
    orders, last = [], []

    async def play() -> None:
        resting = [trader.limit(client_order_id=named(f"resting-{n}")) for n in range(10)]
        last.append(trader.limit(client_order_id=named("last")))
        for order in (*resting, *last):
            await trader.has(order, "OrderAccepted")
        for number in range(3_000):
            Market.data.feed(quote_at(100.0 + number / 100))
        for order in resting:
            VenueClient.latest.fill_now(order, 90.0)
        orders.extend((*resting, *last))
        orders.extend(trader.market(client_order_id=named(f"late-{n}")) for n in range(10))
        before_stop(data, feed_more)
        before_stop(execution, fill_the_last)
        session.stop()

    def feed_more() -> None:
        for number in range(1_000):
            Market.data.feed(quote_at(200.0 + number / 100))

    def fill_the_last() -> None:
        VenueClient.latest.fill_now(last[0], 90.0)

    session.run(play)
    result = {
        "handled": handled[0],
        "sizes": session.sizes(),
        "statuses": {str(order.client_order_id): order.status_string() for order in orders},
        "net": float(session.node.portfolio.net_position(INSTRUMENT_ID)),
        "states": states(session),
        "last_quote": str(session.node.cache.quote_tick(INSTRUMENT_ID).bid_price),
        "seen": trader.quotes,
    }
    session.node.dispose()
    return result


def stop_from_handler(bus: str) -> dict:
    """Stop from inside the handler of the first of many quotes."""
    trader = Counting()
    session = Session(bus, trader)
    handled = count_handled_quotes(session.kernel.data_engine)

    def at_quote(_tick) -> None:
        if trader.quotes == 1:
            session.stop()

    async def play() -> None:
        trader.at_quote = at_quote
        for _ in range(500):
            Market.data.feed(quote_at(100.0))
        await until(lambda: trader.quotes > 0, "the first quote")

    session.run(play)
    result = {
        "handled": handled[0],
        "sizes": session.sizes(),
        "states": states(session),
        "seen": trader.quotes,
    }
    session.node.dispose()
    return result


def engines(bus: str) -> dict:
    """Stop, start, kill, reset and dispose the engines of a node while messages are queued."""
    trader = Counting()
    session = Session(bus, trader)
    data, risk, execution = session.engines
    handled = count_handled_quotes(data)
    result: dict = {}

    def feed(count: int) -> None:
        for _ in range(count):
            Market.data.feed(quote_at(100.0))

    async def turns() -> None:
        # Each of the host's queue tasks needs a few turns of the loop.
        for _ in range(20):
            await asyncio.sleep(0)

    async def idle() -> None:
        await until(lambda: not any(session.sizes()), "all queues are empty")
        await turns()

    def restart(engine) -> None:
        # The host's components start only when they are fresh.
        engine.reset()
        engine.start()

    def note(name: str) -> None:
        result[name] = {
            "handled": handled[0],
            "sizes": session.sizes(),
            "states": states(session),
        }

    async def play() -> None:
        await idle()
        handled[0] = 0

        # What is queued before the sentinel is handled, what comes after it waits.
        feed(300)
        queue = data.get_data_queue_task()
        data.stop()
        await until(queue.done, "the queue has ended")
        feed(7)
        await turns()
        note("stopped")

        restart(data)
        await idle()
        note("started again")

        # Killed: what is queued stays where it is.
        feed(100)
        data.kill()
        await turns()
        note("killed")
        feed(3)
        await turns()
        note("fed when killed")
        data.reset()
        note("reset")
        data.start()
        await idle()
        note("started after a kill")

        # Stopped and started at once: the sentinel of the first run ends only that one.
        feed(10)
        data.stop()
        restart(data)
        feed(10)
        await idle()
        note("restarted at once")

        execution.kill()
        risk.kill()
        late = trader.limit(client_order_id=named("to-the-killed"))
        await turns()
        result["order to killed engines"] = late.status_string()
        note("all killed")

    # The queue tasks that the node waits for end in the middle of the play, and it would return.
    async def play_with_the_node() -> None:
        running = session.loop.create_task(session.node.run_async())
        await until(lambda: session.node.trader.is_running, "the trader has started")
        await asyncio.wait_for(play(), 40.0)
        await session.node.stop_async()
        await asyncio.wait_for(asyncio.gather(running, return_exceptions=True), 20.0)

    session.loop.run_until_complete(play_with_the_node())
    for engine in session.engines:
        engine.reset()
    note("end")
    session.node.dispose()
    result["disposed"] = [engine.is_disposed for engine in session.engines]
    return result


# -- exceptions ----------------------------------------------------------------------------------


class BrokenError(Exception):
    """What a handler raises here."""


def exceptions(bus: str, place: str, graceful: bool) -> dict:
    """Raise in one handler: the engine's policy is to end the process or to stop the node."""
    trader = Counting()
    policy = {"graceful_shutdown_on_exception": graceful}
    session = Session(
        bus,
        trader,
        data_engine=LiveDataEngineConfig(**policy),
        risk_engine=LiveRiskEngineConfig(**policy),
        exec_engine=LiveExecEngineConfig(**policy),
        timeout_post_stop=POST_STOP_S,
    )
    data, risk, execution = session.engines
    handled = count_handled_quotes(data)
    raised = []

    def fail(*_arguments) -> None:
        if not raised:
            raised.append(place)
            raise BrokenError(place)

    def fail_instead(owner, name: str) -> None:
        proper = getattr(owner, name)

        def handle(message) -> None:
            fail()
            proper(message)

        setattr(owner, name, handle)

    async def play() -> None:
        if place == "strategy":
            trader.at_quote = fail
        elif place == "order event":
            trader.at_event = lambda e: fail() if type(e).__name__ == "OrderAccepted" else None
        elif place == "exec command":
            fail_instead(execution, "_execute_command")
        elif place == "risk command":
            fail_instead(risk, "_execute_command")
        elif place == "risk event":
            fail_instead(risk, "_handle_event")
            # Only the emulator tells the risk engine of events.
            trader.limit(at=50.0, emulation_trigger=TriggerType.BID_ASK)
        elif place == "data":
            fail_instead(data, "_handle_data")
        elif place == "data command":
            fail_instead(data, "_execute_command")
            trader.subscribe_order_book_deltas(INSTRUMENT_ID)
        elif place in {"request", "response"}:
            fail_instead(data, f"_handle_{place}")
            trader.request_instrument(INSTRUMENT_ID)
        for _ in range(20):
            Market.data.feed(quote_at(100.0))
        # Two, since the exception takes the first one with it.
        for number in range(2):
            trader.market(client_order_id=named(f"order-{number}"))
        await until(lambda: not session.kernel.is_running(), "the node has stopped")

    session.run(play)
    result = {
        "raised": raised,
        "handled": handled[0],
        "sizes": session.sizes(),
        "states": states(session),
        "order": session.node.cache.order(named("order-1")).status_string(),
    }
    session.node.dispose()
    return result


SCENARIOS = {
    scenario.__name__: scenario for scenario in (drain, stop_from_handler, engines, exceptions)
}


if __name__ == "__main__":
    main(SCENARIOS)
