"""What the limit of each benchmark is: what would have to change for a better figure."""

from __future__ import annotations

from typing import Final


LIMITS: Final = {
    "engine_queueing_overhead": "a Python call each for posting, taking and handling a message",
    "engine_throughput": "handling itself: the ceiling, which is NautilusTrader's own code",
    "end_to_end_node": "NautilusTrader's parsing and engine, and the wake-up of three processes",
    "engine_memory_per_message": "a pointer a message, and the message itself",
    "order_event_behind_burst": "one slice of the dispatcher (`slice_us`) and one handler",
    "order_event_against_slice": "the slice: an event is as late as it is long",
    "order_event_at_low_load": "the event loop's wake-up from another thread, the same on both",
    "order_round_trip_behind_burst": "NautilusTrader's own steps, from cold caches (dispatch.md)",
    "venues_order_event": "what waits before the engines, and two cores for venues and node",
    "adapter_overhead": "a Python method around a compiled one: two calls and a counter",
    "pattern_match": "a look-up in a dict for what is known; `*x*` has to be tried",
    "serialize_cost": "making a text of each price; msgspec writes the rest",
    "monitoring_overhead": "making one immutable object a lane at each reading",
    "publish_call_cost": "a look-up of the topic and an append to a deque, in Python",
    "publish_throughput": "encoding in Python under one interpreter lock; then the server's core",
    "publish_latency_under_flood": "one batch in flight (256 entries), and two wake-ups",
    "trading_thread_interference": "the interpreter lock, which the writer takes for a batch",
    "consume_call_cost": "the server looks at each stream that a call names",
    "consume_throughput": "a Python call for each message, and hiredis' parsing",
    "publish_to_handled": "three processes on two cores: who is woken last",
    "request_response": "four wake-ups and two entries written with an acknowledgement",
    "journal_throughput": "SQLite's rows of 256 messages, while the publisher has the interpreter",
    "journal_order_event": "waking the thread that writes; with fsync the disk",
    "outage_recovery": "what a lane may hold; after it the pace of reconnecting",
    "connections_1000": "the server's memory, a few KB a connection",
    "load_rate": "one batch in flight, as above",
    "load_instruments": "what a message costs anyway, up to 262,144 topics that are remembered",
    "load_subscriptions": "threads and connections of each, which share one interpreter",
    "load_consumers": "the processors, of which the server needs one",
    "peers": "what each promises: acknowledged and in order costs more than sent",
}
