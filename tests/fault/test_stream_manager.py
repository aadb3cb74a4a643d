"""`RedisStreamManager` on Valkey and on Redis 6: what it says, and what it does not lose."""

from __future__ import annotations

import itertools
import threading
import time

import pytest
import redis
from proxy import CuttingProxy

from nautilus_enhanced.infrastructure.messagebus import BufferedMessageBusClient
from nautilus_enhanced.infrastructure.messagebus import ClientClosedError
from nautilus_enhanced.infrastructure.messagebus import ConfigurationError
from nautilus_enhanced.infrastructure.messagebus import ConnectionSettings
from nautilus_enhanced.infrastructure.messagebus import DeadLetter
from nautilus_enhanced.infrastructure.messagebus import GroupInUseError
from nautilus_enhanced.infrastructure.messagebus import LoginRefusedError
from nautilus_enhanced.infrastructure.messagebus import RedisStreamManager
from nautilus_enhanced.infrastructure.messagebus import ServerError
from nautilus_enhanced.infrastructure.messagebus import ServerUnreachableError
from nautilus_enhanced.infrastructure.messagebus import StreamNaming
from nautilus_enhanced.infrastructure.messagebus.streams.letters import MAX_RETRIES
from nautilus_enhanced.infrastructure.messagebus.streams.letters import encode_letter
from nautilus_enhanced.infrastructure.messagebus.streams.registry import announcement


ORDERS, QUOTES = "trader-T-1:stream:events.order.S-1", "trader-T-1:stream:data.quotes.BINANCE.B"
FAST = ConnectionSettings(
    connect_timeout_ms=300, response_timeout_ms=1_000, reconnect_min_ms=1, reconnect_max_ms=20
)
GROUP = "risk"
LATER = {"alive_ms": 0}


def url(port):
    return f"redis://127.0.0.1:{port}"


@pytest.fixture
def server(make_store):
    return make_store()


@pytest.fixture
def store(server, look):
    return look(server)


@pytest.fixture
def manager(server):
    with RedisStreamManager(url(server.port), connection=FAST) as made:
        yield made


def publish(store, stream, numbers):
    """Write messages as a stock node of 1.231 does, under IDs that tell their numbers."""
    topic = stream.rpartition(":")[2]
    for number in numbers:
        fields = {"topic": topic, "type": "T", "payload": b"%d" % number, "encoding": "json"}
        store.xadd(stream, fields, id=f"{number + 1}-0")


def payloads(messages):
    return [int(message.payload) for message in messages]


# -- finding --------------------------------------------------------------------------------------


def test_streams_of_stock_nodes_and_of_ours_are_found_by_topic_and_by_key(store, manager):
    publish(store, ORDERS, [1])
    publish(store, QUOTES, [1])
    publish(store, "trader-T-2:stream", [1])
    store.set("trader-T-1:stream:events.order.no-stream", "x")
    store.xadd("nt-enhanced:dlq:g", {"topic": "events.order.S-1"})
    found = manager.find_streams("events.order.*")
    assert found.streams == (ORDERS, "trader-T-2:stream")
    assert found.complete
    assert not found.problems
    assert manager.find_streams("data.*.BINANCE.*", trader_id="T-1").streams == (QUOTES,)
    assert manager.find_streams("trader-T-1:*").streams == (QUOTES, ORDERS, "trader-T-2:stream")
    assert manager.find_streams(trader_id="T-3").streams == ()


def test_what_our_writers_told_of_is_known_without_a_scan_and_forgotten_when_it_is_gone(
    store, manager
):
    told = [ORDERS.encode(), QUOTES.encode(), b"trader-T-1:stream:data.new"]
    for _, query in announcement(told[:2], now_ms=1):
        assert send(store, query) is not None
    for _, query in announcement(told[2:], now_ms=time.time_ns() // 1_000_000):
        send(store, query)
    publish(store, ORDERS, [1])
    found = manager.find_streams(scan=False)
    assert found.streams == (ORDERS,)
    assert not found.complete
    # One that was told of just now may be about to be written.
    assert set(store.zrange("nt-enhanced:streams", 0, -1)) == {ORDERS.encode(), told[2]}


def send(store, query):
    """Run an encoded command."""
    connection = store.connection_pool.get_connection()
    try:
        connection.send_packed_command([query])
        return connection.read_response()
    finally:
        store.connection_pool.release(connection)


def test_a_search_is_bounded_and_the_next_one_goes_on(server, store):
    with store.pipeline(transaction=False) as pipeline:
        for number in range(5_000):
            pipeline.xadd(f"trader-T-1:stream:data.{number}", {"topic": "t", "payload": "p"})
        pipeline.execute()
    with RedisStreamManager(url(server.port), max_scanned=1_000) as manager:
        counts = []
        while not (found := manager.find_streams()).complete:
            counts.append(len(found.streams))
            assert len(counts) < 20
        assert len(found.streams) == 5_000
        assert len(counts) >= 2
        assert counts == sorted(counts)
        # Seen anew from its beginning, what is gone is not found any more; till then it may be.
        store.flushall()
        found = next(f for f in (manager.find_streams() for _ in range(20)) if f.complete)
        assert not found.streams


# -- groups ---------------------------------------------------------------------------------------


def test_a_group_begins_where_it_is_told_to(store, manager):
    publish(store, ORDERS, range(5))
    for group, start, expected in (
        ("all", "beginning", [0, 1, 2, 3, 4]),
        ("new", "now", []),
        ("some", "2-0", [2, 3, 4]),
    ):
        assert manager.create_group(ORDERS, group, start)
        assert not manager.create_group(ORDERS, group, "now")
        assert payloads(manager.read(group, "c", [ORDERS])) == expected
    with pytest.raises(ConfigurationError, match="'beginning'"):
        manager.create_group(ORDERS, "x", "yesterday")
    assert manager.create_group("trader-T-1:stream:not.yet", "g")


def test_what_is_read_is_pending_until_it_is_acknowledged(store, manager):
    publish(store, ORDERS, range(10))
    publish(store, QUOTES, range(3))
    for stream in (ORDERS, QUOTES):
        manager.create_group(stream, GROUP, "beginning")
    first = manager.read(GROUP, "a", [ORDERS, QUOTES], count=4)
    assert payloads(first) == [0, 1, 2, 3, 0, 1, 2]
    assert {message.topic for message in first} == {"events.order.S-1", "data.quotes.BINANCE.B"}
    assert (first[0].type, first[0].encoding, first[0].deliveries) == ("T", "json", 1)
    assert payloads(manager.read(GROUP, "b", [ORDERS, QUOTES])) == [4, 5, 6, 7, 8, 9]
    summary = manager.pending_summary(ORDERS, GROUP)
    assert (summary.count, summary.lowest, summary.highest) == (10, (1, 0), (10, 0))
    assert summary.by_consumer == {"a": 4, "b": 6}
    assert manager.acknowledge(GROUP, first) == 7
    assert manager.acknowledge(GROUP, first) == 0
    assert [one.entry_id for one in manager.pending(ORDERS, GROUP, count=2)] == [(5, 0), (6, 0)]
    assert manager.pending_summary(QUOTES, GROUP).count == 0


def test_a_stream_without_the_group_takes_nothing_from_what_another_gave(store, manager):
    publish(store, ORDERS, range(2))
    publish(store, QUOTES, range(2))
    manager.create_group(ORDERS, GROUP, "beginning")
    assert payloads(manager.read(GROUP, "a", [QUOTES, ORDERS])) == [0, 1]
    with pytest.raises(ServerError, match="has no such group"):
        manager.read(GROUP, "a", [QUOTES, ORDERS])


def test_reading_waits_for_the_first_message_and_no_longer(store, manager):
    manager.create_group(ORDERS, GROUP)
    assert manager.read(GROUP, "a", [ORDERS], wait_ms=30) == []
    writing = threading.Timer(0.05, publish, (store, ORDERS, [7]))
    writing.start()
    assert payloads(manager.read(GROUP, "a", [ORDERS], wait_ms=20_000)) == [7]
    writing.join(5.0)


def test_lag_is_told_exactly_or_as_at_least(store, manager, server_kind):
    publish(store, ORDERS, range(100))
    for group, start in (("none", "now"), ("all", "beginning"), ("half", "50-0")):
        manager.create_group(ORDERS, group, start)
    found = {status.group: status for status in manager.group_status(ORDERS)}
    assert {group: (one.lag, one.lag_is_exact) for group, one in found.items()} == {
        "none": (0, True),
        "all": (100, True),
        "half": (50, True),
    }
    assert {one.idle_ms for one in found.values()} == {None}
    manager.read("half", "c", [ORDERS], count=10)
    (half,) = (one for one in manager.group_status(ORDERS) if one.group == "half")
    assert (half.lag, half.pending, half.oldest_pending) == (40, 10, (51, 0))
    assert (half.last_delivered, half.consumers) == ((60, 0), 1)
    assert half.idle_ms is not None
    # A hole, and Redis 7 does not know either: counted, as far as that goes.
    store.xdel(ORDERS, "90-0")
    manager._inspector._max_counted = 20
    (half,) = (one for one in manager.group_status(ORDERS) if one.group == "half")
    assert half.lag == 20
    assert not half.lag_is_exact


def test_streams_tell_length_idle_time_and_memory(store, manager):
    publish(store, ORDERS, range(3))
    store.xadd(QUOTES, {"topic": "t", "payload": "p"})
    statuses = manager.stream_status(ORDERS, QUOTES, "gone")
    assert [(one.stream, one.length) for one in statuses] == [(ORDERS, 3), (QUOTES, 1)]
    assert statuses[0].first_id == (1, 0)
    assert statuses[0].idle_ms > 1_000_000_000_000
    assert 0 <= statuses[1].idle_ms < 60_000
    assert all(one.memory_bytes > 100 for one in statuses)
    store.xadd("nt-enhanced:dlq:g", {"topic": "t"})
    assert manager.group_memory_bytes("g")["nt-enhanced:dlq:g"] > 0
    assert manager.stream_status() == []


def test_a_group_in_use_is_not_deleted_unless_it_is_forced(store, manager):
    publish(store, ORDERS, range(3))
    manager.create_group(ORDERS, GROUP, "beginning")
    read = manager.read(GROUP, "a", [ORDERS])
    with pytest.raises(GroupInUseError, match=r"in use: a asked"):
        manager.delete_group(ORDERS, GROUP)
    with pytest.raises(GroupInUseError, match="3 entries that were read"):
        manager.delete_group(ORDERS, GROUP, **LATER)
    assert manager.pending_summary(ORDERS, GROUP).count == 3
    manager.acknowledge(GROUP, read)
    assert manager.delete_group(ORDERS, GROUP, **LATER) == 0
    with pytest.raises(ServerError, match="has no group risk: its groups are none"):
        manager.delete_group(ORDERS, GROUP)
    with pytest.raises(ServerError, match="there is no stream gone"):
        manager.delete_group("gone", GROUP)


def test_a_consumer_that_gets_nothing_is_noticed_from_redis_7_2_on(store, manager, server_kind):
    """What docs/streams-tools.md says of older servers."""
    manager.create_group(ORDERS, GROUP)
    assert manager.read(GROUP, "a", [ORDERS]) == []
    consumers = [one.name for one in manager.consumers(ORDERS, GROUP)]
    notices = server_kind == "valkey" or store.info("server")["redis_version"] >= "7.2"
    assert consumers == (["a"] if notices else [])


def test_a_group_is_made_anew(store, manager):
    publish(store, ORDERS, range(3))
    assert manager.recreate_group(ORDERS, GROUP, "beginning") == 0
    manager.read(GROUP, "a", [ORDERS])
    with pytest.raises(GroupInUseError):
        manager.recreate_group(ORDERS, GROUP, "beginning")
    assert manager.recreate_group(ORDERS, GROUP, "beginning", force=True) == 3
    assert payloads(manager.read(GROUP, "a", [ORDERS])) == [0, 1, 2]


def test_a_consumer_is_deleted_and_nothing_that_it_had_is_lost(store, manager):
    publish(store, ORDERS, range(2_500))
    manager.create_group(ORDERS, GROUP, "beginning")
    for consumer, count in (("a", 2_400), ("b", 10)):
        manager.read(GROUP, consumer, [ORDERS], count=count)
    with pytest.raises(GroupInUseError, match="stop it first"):
        manager.delete_consumer(ORDERS, GROUP, "a", heir="b")
    with pytest.raises(GroupInUseError, match="2,400 entries that are not acknowledged"):
        manager.delete_consumer(ORDERS, GROUP, "a", **LATER)
    with pytest.raises(ConfigurationError, match="a consumer of risk: a, b"):
        manager.delete_consumer(ORDERS, GROUP, "z", **LATER)
    done = manager.delete_consumer(ORDERS, GROUP, "a", heir="b", **LATER)
    assert (done.handed_over, done.forgotten) == (2_400, 0)
    (left,) = manager.consumers(ORDERS, GROUP)
    assert (left.name, left.pending) == ("b", 2_410)
    # It was no delivery.
    assert {one.deliveries for one in manager.pending(ORDERS, GROUP, count=100)} == {1}


# -- taking over ----------------------------------------------------------------------------------


def test_what_idles_is_taken_over_and_what_was_trimmed_meanwhile_is_told(store, manager):
    publish(store, ORDERS, range(10))
    manager.create_group(ORDERS, GROUP, "beginning")
    manager.read(GROUP, "dead", [ORDERS])
    assert manager.claim_idle(ORDERS, GROUP, "b", min_idle_ms=60_000).messages == ()
    store.xtrim(ORDERS, minid="4-0", approximate=False)
    claimed = manager.claim_idle(ORDERS, GROUP, "b", min_idle_ms=0)
    assert claimed.trimmed == ((1, 0), (2, 0), (3, 0))
    assert payloads(claimed.messages) == [3, 4, 5, 6, 7, 8, 9]
    assert {message.deliveries for message in claimed.messages} == {2}
    # Nobody waits any more for what nobody can handle.
    assert manager.pending_summary(ORDERS, GROUP).by_consumer == {"b": 7}
    assert manager.acknowledge(GROUP, claimed.messages) == 7


def test_taking_over_is_bounded(store, manager):
    publish(store, ORDERS, range(1_500))
    manager.create_group(ORDERS, GROUP, "beginning")
    manager.read(GROUP, "dead", [ORDERS], count=1_500)
    for first, count in ((0, 600), (600, 900)):
        claimed = manager.claim_idle(ORDERS, GROUP, "b", min_idle_ms=0, count=count)
        assert payloads(claimed.messages) == list(range(first, first + count))
        manager.acknowledge(GROUP, claimed.messages)
    assert manager.claim_idle(ORDERS, GROUP, "b", min_idle_ms=0).messages == ()


# -- dead letters ---------------------------------------------------------------------------------


def bury(store, numbers, group=GROUP):
    for number in numbers:
        letter = DeadLetter(
            topic="events.order.S-1",
            payload=b"%d" % number,
            type="T",
            stream=ORDERS,
            entry_id=(number + 1, 0),
            group=group,
            consumer="c",
            error="no such instrument",
            error_type="KeyError",
            deliveries=3,
            failed_at=5,
        )
        send(store, encode_letter(letter)[1])


def test_dead_letters_are_listed_and_given_back(store, manager):
    bury(store, range(5))
    bury(store, [1], group="other")
    assert [(one.group, one.letters) for one in manager.dead_letter_groups()] == [
        ("other", 1),
        (GROUP, 5),
    ]
    letters = manager.dead_letters(GROUP)
    assert payloads(letters) == [0, 1, 2, 3, 4]
    assert payloads(manager.dead_letters(GROUP, after=letters[2].letter_id)) == [3, 4]
    one = manager.dead_letter(GROUP, letters[1].letter_id)
    assert (one.error, one.error_type, one.entry_id) == ("no such instrument", "KeyError", (2, 0))
    with pytest.raises(ConfigurationError, match="a dead letter of risk"):
        manager.dead_letter(GROUP, (1, 1))
    ids = [letters[0].letter_id, (1, 1), letters[3].letter_id]
    done = manager.requeue_dead_letters(GROUP, ids)
    assert (done.requeued, done.missing) == ((ids[0], ids[2]), (ids[1],))
    assert payloads(manager.dead_letters(GROUP)) == [1, 2, 4]
    retry = f"nt-enhanced:retry:{GROUP}"
    manager.create_group(retry, GROUP, "beginning")
    again = manager.read(GROUP, "c", [retry])
    assert [(one.topic, one.payload, one.type) for one in again] == [
        ("events.order.S-1", b"0", "T"),
        ("events.order.S-1", b"3", "T"),
    ]
    assert manager.purge_dead_letters(GROUP, [letters[1].letter_id]) == 1
    assert manager.purge_dead_letters(GROUP, []) == 0
    assert manager.purge_dead_letters(GROUP) == 2
    assert [one.group for one in manager.dead_letter_groups()] == ["other"]


def test_nothing_is_given_back_where_it_would_push_others_out(store, manager):
    bury(store, range(2))
    retry = f"nt-enhanced:retry:{GROUP}"
    with store.pipeline(transaction=False) as pipeline:
        for _ in range(MAX_RETRIES - 1):
            pipeline.xadd(retry, {"topic": "t", "payload": "p"})
        pipeline.execute()
    ids = [letter.letter_id for letter in manager.dead_letters(GROUP)]
    with pytest.raises(ServerError, match="9,999 messages wait"):
        manager.requeue_dead_letters(GROUP, ids)
    assert len(manager.dead_letters(GROUP)) == 2
    # Once they were handled there is room.
    manager.create_group(retry, GROUP, "now")
    assert manager.requeue_dead_letters(GROUP, ids).requeued == tuple(ids)


def test_a_letter_is_never_lost_wherever_the_connection_breaks(server, store):
    errors = []
    for cut in itertools.count(1, 97):
        store.flushall()
        bury(store, range(3))
        with (
            CuttingProxy(server.port) as proxy,
            RedisStreamManager(url(proxy.port), connection=FAST) as manager,
        ):
            ids = [letter.letter_id for letter in manager.dead_letters(GROUP)]
            proxy.cut_after("to_server", cut)
            try:
                manager.requeue_dead_letters(GROUP, ids)
            except ServerUnreachableError as error:
                errors.append(str(error))
            left = [fields[b"payload"] for _, fields in store.xrange(f"nt-enhanced:dlq:{GROUP}")]
            back = [fields[b"payload"] for _, fields in store.xrange(f"nt-enhanced:retry:{GROUP}")]
            assert set(left) | set(back) == {b"0", b"1", b"2"}
            assert len(set(back)) == len(back)
            if not proxy.cuts:
                break
    assert errors
    assert all("may be given back too" in error for error in errors)


# -- trouble --------------------------------------------------------------------------------------


def test_what_may_be_done_twice_is_repeated_after_a_cut(server, store):
    publish(store, ORDERS, range(50))
    with (
        CuttingProxy(server.port) as proxy,
        RedisStreamManager(url(proxy.port), connection=FAST) as manager,
    ):
        manager.create_group(ORDERS, GROUP, "beginning")
        messages = manager.read(GROUP, "a", [ORDERS])
        proxy.cut_now()
        assert manager.pending_summary(ORDERS, GROUP).count == 50
        proxy.cut_after("to_client", 2)
        assert manager.acknowledge(GROUP, messages) == 0  # it was done when the answer was cut
        assert manager.pending_summary(ORDERS, GROUP).count == 0
        assert manager._session.connects == 3


def test_a_reading_that_breaks_off_is_an_error_and_can_be_taken_over(server, store):
    publish(store, ORDERS, range(50))
    with (
        CuttingProxy(server.port) as proxy,
        RedisStreamManager(url(proxy.port), connection=FAST) as manager,
    ):
        manager.create_group(ORDERS, GROUP, "beginning")
        proxy.cut_after("to_client", 100)
        with pytest.raises(ServerUnreachableError, match="may have been done"):
            manager.read(GROUP, "a", [ORDERS])
        assert manager.read(GROUP, "a", [ORDERS]) == []
        claimed = manager.claim_idle(ORDERS, GROUP, "a", min_idle_ms=0)
        assert payloads(claimed.messages) == list(range(50))


def test_a_server_that_is_down_is_an_error_after_few_attempts(server, free_port):
    port = free_port()
    with RedisStreamManager(f"redis://:hunter2@127.0.0.1:{port}", connection=FAST) as manager:
        with pytest.raises(ServerUnreachableError, match="cannot be reached") as caught:
            manager.find_streams()
        assert "hunter2" not in str(caught.value)
        assert "hunter2" not in repr(manager)


def test_a_server_that_was_restarted_is_found_again(server, manager, look):
    publish(look(server), ORDERS, [1])
    assert manager.find_streams().streams == (ORDERS,)
    server.terminate()
    server.start()
    assert manager.find_streams().streams == ()


def test_a_master_that_was_demoted_is_left(store, manager, make_store):
    manager.create_group(ORDERS, GROUP)
    store.replicaof("127.0.0.1", make_store().port)
    with pytest.raises(ServerUnreachableError, match="is a replica"):
        manager.create_group(ORDERS, "other")
    store.replicaof("NO", "ONE")
    assert manager.create_group(QUOTES, "other")


def test_what_the_login_may_not_do_is_said(server, store, manager):
    publish(store, ORDERS, [1])
    manager.create_group(ORDERS, GROUP, "beginning")
    rules = ("on", ">pass", "~trader-*", "+@read", "+info", "+client", "-scan")
    store.execute_command("ACL", "SETUSER", "reader", *rules)
    with RedisStreamManager(f"redis://reader:pass@127.0.0.1:{server.port}") as other:
        found = other.find_streams()
        assert found.streams == ()
        assert not found.complete
        assert any("may not run SCAN" in problem for problem in found.problems)
        assert any("nt-enhanced:streams" in problem for problem in found.problems)
        with pytest.raises(ServerError, match=r"may not run XACK .*ACL SETUSER <user> \+xack"):
            other.acknowledge(GROUP, manager.read(GROUP, "a", [ORDERS]))
    with (
        RedisStreamManager(f"redis://reader:wrong@127.0.0.1:{server.port}") as other,
        pytest.raises(LoginRefusedError),
    ):
        other.find_streams()


def test_a_key_that_is_no_stream_is_said(store, manager):
    store.set("text", "x")
    with pytest.raises(ServerError, match="text is no stream"):
        manager.stream_status("text")


def test_threads_take_turns_and_a_closed_manager_is_an_error(store, manager):
    publish(store, ORDERS, range(400))
    manager.create_group(ORDERS, GROUP, "beginning")
    seen = []

    def work(name):
        while messages := manager.read(GROUP, name, [ORDERS], count=7):
            seen.extend(payloads(messages))
            manager.acknowledge(GROUP, messages)

    threads = [threading.Thread(target=work, args=(f"c{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30.0)
    assert sorted(seen) == list(range(400))
    manager.close()
    manager.close()
    with pytest.raises(ClientClosedError):
        manager.find_streams()


def test_what_our_client_writes_is_read(server, manager):
    client = BufferedMessageBusClient(url(server.port), naming=StreamNaming(trader_id="T-1"))
    assert client.start(5.0)
    try:
        for number in range(10):
            assert client.offer("events.order.S-1", b"%d" % number)
        assert client.flush_blocking(5.0)
    finally:
        client.stop(1.0)
    assert manager.find_streams("events.*").streams == (ORDERS,)
    manager.create_group(ORDERS, GROUP, "beginning")
    assert payloads(manager.read(GROUP, "c", [ORDERS])) == list(range(10))


def test_streams_of_1_221_have_neither_type_nor_encoding(store, manager):
    store.xadd(ORDERS, {"topic": "events.order.S-1", "payload": "x"})
    store.xadd(ORDERS, {"other": "thing"})
    manager.create_group(ORDERS, GROUP, "beginning")
    message, other = manager.read(GROUP, "c", [ORDERS])
    assert (message.topic, message.payload, message.encoding) == ("events.order.S-1", b"x", "")
    assert (other.topic, other.payload) == ("", b"")
    assert manager.acknowledge(GROUP, [message, other]) == 2


def test_a_login_that_is_refused_says_so(server, store):
    store.config_set("requirepass", "secret")
    try:
        with (
            RedisStreamManager(url(server.port), connection=FAST) as manager,
            pytest.raises(LoginRefusedError),
        ):
            manager.find_streams()
    finally:
        redis.Redis(port=server.port, password="secret").config_set("requirepass", "")
