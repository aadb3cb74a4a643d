"""The trimmer on Valkey and on Redis 6: age, count, live groups, the hard cap, and trouble."""

from __future__ import annotations

import time

import msgspec
import pytest

from nautilus_enhanced.infrastructure.messagebus import ConnectionSettings
from nautilus_enhanced.infrastructure.messagebus import HealthState
from nautilus_enhanced.infrastructure.messagebus import RedisStreamManager
from nautilus_enhanced.infrastructure.messagebus import ServerError
from nautilus_enhanced.infrastructure.messagebus import ServerUnreachableError
from nautilus_enhanced.infrastructure.messagebus import StreamTrimmer
from nautilus_enhanced.infrastructure.messagebus import TrimmingSettings
from nautilus_enhanced.infrastructure.messagebus.streams.manager.trimmer import TOGETHER
from nautilus_enhanced.infrastructure.messagebus.streams.manager.trimmer import WORKING_SHARE


ORDERS, QUOTES = "trader-T-1:stream:events.order.S-1", "trader-T-2:stream:data.quotes.B"
GROUP = "risk"
MINUTE_MS = 60_000
BLOCK = 100
FAST = ConnectionSettings(
    connect_timeout_ms=300, response_timeout_ms=1_000, reconnect_min_ms=1, reconnect_max_ms=20
)
AT_ONCE = TrimmingSettings(interval_secs=1.0)


@pytest.fixture
def server(make_store):
    return make_store()


@pytest.fixture
def store(server, look):
    return look(server)


@pytest.fixture
def manager(server):
    with RedisStreamManager(f"redis://127.0.0.1:{server.port}", connection=FAST) as made:
        yield made


def fill(store, stream, entries, age_mins):
    """Write entries that are `age_mins` old by their IDs."""
    at_ms = time.time_ns() // 1_000_000 - age_mins * MINUTE_MS
    with store.pipeline(transaction=False) as pipeline:
        for number in range(entries):
            pipeline.xadd(stream, {"topic": "t", "payload": b"%d" % number}, id=f"{at_ms}-{number}")
        pipeline.execute()


def trimmer(server, settings, **options):
    url = f"redis://127.0.0.1:{server.port}"
    return StreamTrimmer(url, settings, connection=FAST, **options)


def numbers(entries):
    return [int(fields[b"payload"]) for _, fields in entries]


def test_what_is_too_old_goes_from_the_streams_that_are_meant(server, store):
    for stream in (ORDERS, QUOTES):
        fill(store, stream, 1_000, age_mins=60)
        fill(store, stream, 50, age_mins=10)
    figures = trimmer(server, TrimmingSettings(), patterns=["events.*", "reports.*"]).trim_once()
    assert 50 <= store.xlen(ORDERS) < 50 + BLOCK
    assert store.xlen(QUOTES) == 1_050
    assert figures.removed == 1_050 - store.xlen(ORDERS)
    assert (figures.rounds, figures.streams, figures.gap, figures.capped) == (1, 1, 0, 0)
    trimmer(server, TrimmingSettings(), trader_id="T-2").trim_once()
    assert store.xlen(QUOTES) < 50 + BLOCK


def test_what_a_live_group_needs_stays(server, store, manager):
    fill(store, ORDERS, 1_000, age_mins=60)
    manager.create_group(ORDERS, GROUP, "beginning")
    messages = manager.read(GROUP, "c", [ORDERS], count=800)
    manager.acknowledge(GROUP, messages[:500] + messages[501:])
    (plan,) = manager.plan_trim([ORDERS])
    assert (plan.hold, plan.held_by, plan.is_held_back) == (messages[500].entry_id, GROUP, True)
    one = trimmer(server, TrimmingSettings(max_entries=10))
    figures = one.trim_once()
    assert figures.held_back == 1
    assert one.health().state is HealthState.UNHEALTHY  # it was not started
    assert numbers(store.xrange(ORDERS))[0] in range(401, 501)
    # All of it handled, nothing holds it back.
    manager.acknowledge(GROUP, [messages[500], *manager.read(GROUP, "c", [ORDERS], count=1_000)])
    assert one.trim_once().held_back == 0
    assert store.xlen(ORDERS) < BLOCK


def test_the_cap_wins_and_the_gap_is_what_the_group_never_saw(server, store, manager):
    fill(store, ORDERS, 1_000, age_mins=0)
    manager.create_group(ORDERS, GROUP, "beginning")
    seen = manager.read(GROUP, "c", [ORDERS], count=300)
    manager.acknowledge(GROUP, seen)
    one = trimmer(server, TrimmingSettings(hard_cap_entries=600))
    figures = one.trim_once()
    assert store.xlen(ORDERS) == 600
    later = manager.read(GROUP, "c", [ORDERS], count=1_000)
    assert (figures.removed, figures.gap, figures.capped) == (400, 100, 1)
    assert len(seen) + len(later) + figures.gap == 1_000
    assert figures.last_capped == ORDERS
    reasons = one.health().reasons
    assert any("100 entries that live groups had not handled" in reason for reason in reasons)
    # Nothing more is lost by what stays below the cap.
    assert one.trim_once().gap == 100


def test_a_group_that_expired_holds_nothing_back(server, store, manager):
    fill(store, ORDERS, 1_000, age_mins=60)
    manager.create_group(ORDERS, GROUP, "beginning")
    manager.read(GROUP, "c", [ORDERS], count=10)
    one = trimmer(server, TrimmingSettings())
    assert one.trim_once().removed == 0
    # As after a day without anybody who asks.
    plans = one._executor.plan
    one._executor.plan = lambda keys, settings, unattended: [
        msgspec.structs.replace(plan, hold=None, expired=(GROUP,))
        for plan in plans(keys, settings, unattended)
    ]
    figures = one.trim_once()
    assert (figures.expired_groups, figures.gap) == (1, 0)
    assert store.xlen(ORDERS) < BLOCK


def test_a_group_without_a_consumer_is_held_for_until_it_expires(server, store, manager):
    fill(store, ORDERS, 1_000, age_mins=60)
    manager.create_group(ORDERS, GROUP, "beginning")
    one = trimmer(server, TrimmingSettings(group_expiry_mins=1))
    assert one.trim_once().removed == 0
    assert list(one._unattended_since) == [(ORDERS.encode(), GROUP)]
    one._unattended_since[ORDERS.encode(), GROUP] -= 61.0
    assert one.trim_once().removed > 900
    manager.delete_group(ORDERS, GROUP)
    one.trim_once()
    assert not one._unattended_since


def test_the_thread_trims_goes_on_after_an_outage_and_ends_in_time(
    server, store, eventually, frozen
):
    fill(store, ORDERS, 1_000, age_mins=60)
    one = trimmer(server, AT_ONCE)
    one._scan_at = float("-inf")
    with one:
        eventually(lambda: one.statistics().removed)
        assert not one.health().findings
        server.terminate()
        eventually(lambda: one.statistics().failed_rounds)
        assert one.health().state is HealthState.DEGRADED
        assert one.health().findings[0].reason.startswith("streams are not trimmed")
        server.start()
        eventually(lambda: not one.statistics().last_error)
        assert one.statistics().running
        with frozen(server):
            begun = time.monotonic()
            assert one.stop(10.0)
            assert time.monotonic() - begun < 10.0
    assert not one.statistics().running
    assert not one.health().findings
    assert one.stop(1.0)


def test_a_login_that_may_not_trim_is_told(server, store, eventually):
    fill(store, ORDERS, 1_000, age_mins=60)
    rules = ("on", ">pass", "~*", "+@read", "+info", "+client", "+time", "-xtrim")
    store.execute_command("ACL", "SETUSER", "reader", *rules)
    url = f"redis://reader:pass@127.0.0.1:{server.port}"
    one = StreamTrimmer(url, AT_ONCE, connection=FAST)
    with pytest.raises(ServerError, match=r"may not run XTRIM .*\+xtrim"):
        one.trim_once()
    with one:
        eventually(lambda: one.statistics().failed_rounds)
        assert "may not run XTRIM" in one.health().reasons[0]
    assert store.xlen(ORDERS) == 1_000


def test_a_login_that_may_not_look_for_streams_is_told(server, store):
    store.execute_command(
        "ACL", "SETUSER", "reader", "on", ">pass", "~trader-*", "+client", "+info"
    )
    url = f"redis://reader:pass@127.0.0.1:{server.port}"
    with pytest.raises(ServerError, match="SCAN"):
        StreamTrimmer(url, AT_ONCE, connection=FAST).trim_once()


def test_a_master_that_was_demoted_is_left(server, store, make_store, look):
    fill(store, ORDERS, 1_000, age_mins=60)
    one = trimmer(server, TrimmingSettings(max_age_mins=90))
    assert one.trim_once().removed == 0
    one._settings = TrimmingSettings()
    # It has what there is, and takes nothing.
    other = make_store()
    fill(look(other), ORDERS, 1_000, age_mins=60)
    store.replicaof("127.0.0.1", other.port)
    with pytest.raises(ServerError, match=r"READONLY|is a replica"):
        one.trim_once()
    # It is not asked again: behind its name, or the sentinels, there may be another one.
    with pytest.raises(ServerUnreachableError, match="is a replica"):
        one.trim_once()
    store.replicaof("NO", "ONE")
    one.trim_once()
    assert one.statistics().last_error == ""
    assert store.xlen(ORDERS) < BLOCK


def test_the_thread_works_for_a_part_of_the_time_only(server, store, monkeypatch):
    """A node trades beside it, on the same interpreter."""
    with store.pipeline(transaction=False) as pipeline:
        for number in range(3 * TOGETHER):
            pipeline.xadd(f"trader-T-1:stream:data.{number}", {"topic": "t", "payload": "p"})
        pipeline.execute()
    one = trimmer(server, AT_ONCE)
    pauses = []
    monkeypatch.setattr(one._stopping, "wait", pauses.append)
    begun = time.monotonic()
    one._try()
    worked_s = time.monotonic() - begun
    assert one.statistics().streams == 3 * TOGETHER
    assert len(pauses) == 3
    # Nothing was waited for, so this is all it did, but for the last part.
    assert 0.0 < sum(pauses) <= worked_s * (1 / WORKING_SHARE - 1)
    assert all(pause > 0.0 for pause in pauses)


def test_many_streams_are_trimmed_together(server, store):
    streams = [f"trader-T-1:stream:data.{number}" for number in range(1_100)]
    at_ms = time.time_ns() // 1_000_000 - 60 * MINUTE_MS
    with store.pipeline(transaction=False) as pipeline:
        for stream in streams:
            for number in range(3):
                pipeline.xadd(stream, {"topic": "t", "payload": "p"}, id=f"{at_ms}-{number}")
        pipeline.execute()
    figures = trimmer(server, TrimmingSettings(hard_cap_entries=2)).trim_once()
    assert figures.streams == 1_100
    assert figures.removed == 3_300
    assert store.xlen(streams[-1]) == 0
