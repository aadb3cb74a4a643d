"""
The fault matrix of docs/outages.md: what servers do to a client that publishes, and what is lost.

Each test publishes order flow and quotes from one thread, waits for acknowledgements on another,
and holds what the server has at the end against both, by the checker. `finish` also looks that
no call has waited.
"""

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import redis
from checker import Account
from checker import MayDisorder
from checker import MayLose
from checker import Published
from checker import check
from checker import identities
from checker import read_streams
from load import CONNECTION
from load import FILLER
from load import LANES
from load import Run
from load import finish
from load import key_of
from load import make_client
from proxy import CuttingProxy

from nautilus_enhanced.infrastructure.messagebus import BufferSettings
from nautilus_enhanced.infrastructure.messagebus import ConnectionSettings
from nautilus_enhanced.infrastructure.messagebus import HealthState
from nautilus_enhanced.infrastructure.messagebus import LaneSettings
from nautilus_enhanced.infrastructure.messagebus import MessagePriority
from nautilus_enhanced.infrastructure.messagebus import StreamSettings
from nautilus_enhanced.infrastructure.messagebus import UrgentLaneSettings


FOLDER = Path(__file__).parent
BATCH = StreamSettings().batch_messages
HIGH, NORMAL = MessagePriority.HIGH, MessagePriority.NORMAL
HOUR_NS = 3_600 * 1_000_000_000


pytestmark = pytest.mark.usefixtures("kept_in")


def long_form(*values):
    return [pytest.param(value, marks=pytest.mark.long) for value in values]


def restart(make_store, server, **options):
    """Start a server that was killed again, on its port and with what is in its folder."""
    return make_store(port=server._desired_port, data_dir=server.data_dir, **options)


# -- killed and restarted ------------------------------------------------------------------------


@pytest.mark.parametrize("rounds", [1, *long_form(10)])
def test_a_server_that_syncs_always_loses_nothing_when_it_is_killed(make_store, rounds):
    options = {"appendonly": "yes", "appendfsync": "always"}
    server = make_store(**options)
    with Run(make_client(server.port)) as run:
        for _ in range(rounds):
            run.wait_for_more(500)
            server.terminate()
            time.sleep(0.2)
            server = restart(make_store, server, **options)
            run.resumes()
        run.wait_for_more()
        report = run.finish(server.port)
    assert run.client.statistics().connects == 1 + rounds
    assert report.indeterminate == 0


def newest_log(server):
    """Return the append-only file that is written to."""
    return max(server.data_dir.rglob("*.aof"), key=lambda path: path.stat().st_mtime_ns)


@pytest.mark.parametrize("rounds", [1, *long_form(5)])
def test_a_server_that_syncs_each_second_may_lose_the_tail(make_store, server_kind, rounds):
    # A killed process has handed its writes to the system, which keeps them; what is not synced is
    # lost with the machine. So the file is cut, behind what was confirmed as `fsynced`.
    options = {"appendonly": "yes", "appendfsync": "everysec"}
    server = make_store(**options)
    # A wait for the disk takes up to a second, and nothing else is sent meanwhile.
    patient = ConnectionSettings(response_timeout_ms=5_000)
    rules = []
    with Run(make_client(server.port, connection=patient), ("accepted", "fsynced")) as run:
        run.wait_for_more(500)
        if server_kind == "valkey":
            run.wait_for(lambda: run.asker.given("fsynced") >= 1)
        run.asker.finish()
        for _ in range(rounds):
            safe = newest_log(server).stat().st_size
            run.wait_for_more(1_000)
            server.terminate()
            log = newest_log(server)
            shutil.copytree(server.data_dir, server.data_dir.with_suffix(".whole"))
            with log.open("r+b") as file:
                file.truncate(safe + (log.stat().st_size - safe) // 3)
            whole = make_store(data_dir=server.data_dir.with_suffix(".whole"), **options)
            rules.append(
                MayLose(
                    why="the tail was not synced",
                    of=identities(run.look(whole.port)),
                    part="back",
                    spared=BATCH,
                    protects=("fsynced",),
                )
            )
            whole.terminate()
            shutil.rmtree(whole.data_dir)
            server = restart(make_store, server, **options)
            run.resumes()
        run.wait_for_more()
        report = run.finish(server.port, rules)
    assert report.allowed_count("lost") > 0
    assert report.indeterminate == 0


def test_a_server_that_comes_back_empty_gets_all_that_is_later(make_store):
    server = make_store()
    with Run(make_client(server.port)) as run:
        run.wait_for_more(500)
        server.terminate()
        time.sleep(0.2)
        # It was told to keep nothing.
        gone = MayLose(why="kept nothing", of=run.sent(), part="front")
        server = restart(make_store, server)
        run.resumes()
        run.wait_for_more(500)
        report = run.finish(server.port, [gone])
    assert 500 <= report.allowed_count("lost") < report.published


# -- there, but not answering --------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [1.0, *long_form(10.0, 30.0)])
def test_a_frozen_server_loses_nothing(make_store, frozen, seconds):
    server = make_store()
    # In the long form what it does by default: an answer is waited for five seconds.
    connection = CONNECTION if seconds < 5.0 else ConnectionSettings()
    with Run(make_client(server.port, connection=connection)) as run:
        run.wait_for_more(500)
        with frozen(server):
            time.sleep(seconds)
            assert not run.client.statistics().connected
        run.resumes()
        run.wait_for_more()
        report = run.finish(server.port)
    assert report.indeterminate == 0


@pytest.mark.parametrize("rounds", [20, *long_form(300)])
def test_a_connection_that_is_killed_again_and_again_loses_nothing(make_store, look, rounds):
    server = make_store()
    store = look(server)
    with Run(make_client(server.port)) as run:
        for _ in range(rounds):
            run.wait_for_more(20)
            store.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        run.resumes()
        report = run.finish(server.port)
    assert run.client.statistics().connects > rounds // 2
    assert report.indeterminate == 0


@pytest.mark.parametrize("commands", ["all", "write"])
def test_a_server_that_pauses_its_clients_loses_nothing(make_store, look, commands):
    server = make_store()
    with Run(make_client(server.port)) as run:
        run.wait_for_more(500)
        begin = time.monotonic()
        look(server).client_pause(1_000, all=commands == "all")
        run.wait_for(lambda: not run.client.statistics().connected)
        time.sleep(max(0.0, begin + 1.0 - time.monotonic()))
        run.resumes()
        run.wait_for_more()
        report = run.finish(server.port)
    assert report.indeterminate == 0


@pytest.mark.parametrize("seconds", [0.5, *long_form(60.0)])
def test_a_server_that_comes_late_gets_everything(make_store, free_port, seconds):
    port = free_port()
    with Run(make_client(port)) as run:
        time.sleep(seconds)
        assert not run.client.statistics().connected
        server = make_store(port=port)
        run.resumes()
        run.wait_for_more()
        report = run.finish(server.port)
    lanes = run.client.statistics().lanes
    # A minute of quotes is more than their lane holds: the oldest are dropped, and counted.
    assert (lanes[HIGH].dropped, lanes[HIGH].refused) == (0, 0)
    assert (lanes[NORMAL].dropped > 0) == (seconds > 50.0)
    assert report.present == report.published - lanes[NORMAL].dropped


# -- there, and refusing -------------------------------------------------------------------------


def test_a_server_out_of_memory_is_waited_for(make_store, look):
    server = make_store()
    store = look(server)
    with Run(make_client(server.port)) as run:
        run.wait_for_more(500)
        store.config_set("maxmemory", 1)
        run.wait_for(lambda: run.client.statistics().retrying_ms > 300)
        assert any("OOM" in reason for reason in run.client.health().reasons)
        store.config_set("maxmemory", 0)
        run.resumes()
        run.wait_for_more()
        report = run.finish(server.port)
    assert report.indeterminate == 0
    assert run.client.statistics().second_writer == 0


def test_a_master_that_is_a_replica_for_a_while_is_waited_for(make_store, look, free_port):
    server = make_store()
    store = look(server)
    with Run(make_client(server.port)) as run:
        run.wait_for_more(500)
        # Of a master that is not there, which cannot overwrite what it has.
        store.replicaof("127.0.0.1", free_port())
        run.wait_for(lambda: run.client.statistics().connect_failures > 1)
        assert any("READONLY" in reason for reason in run.client.health().reasons)
        store.replicaof("NO", "ONE")
        run.resumes()
        run.wait_for_more()
        report = run.finish(server.port)
    assert report.indeterminate == 0
    assert run.client.statistics().second_writer == 0


def test_a_login_that_is_refused_for_a_while_is_tried_again(make_store, look):
    server = make_store()
    store = look(server)
    user = ("ACL", "SETUSER", "bus", "on", "~*", "+@all", "resetpass")
    store.execute_command(*user, ">right")
    with Run(make_client(server.port, "bus:right@")) as run:
        run.wait_for_more(500)
        store.execute_command(*user, ">other")
        store.client_kill_filter(user="bus")
        run.wait_for(lambda: run.client.statistics().connect_failures > 1)
        assert "refused the login" in run.client.statistics().last_error
        store.execute_command(*user, ">right")
        run.resumes()
        run.wait_for_more()
        report = run.finish(server.port)
    assert report.indeterminate == 0


def test_a_database_that_somebody_empties_gets_all_that_is_later(make_store, look):
    server = make_store()
    with Run(make_client(server.port)) as run:
        run.wait_for_more(500)
        look(server).flushdb()
        gone = MayLose(why="emptied by somebody", of=run.sent(), part="front")
        run.wait_for_more(500)
        report = run.finish(server.port, [gone])
    assert 500 <= report.allowed_count("lost") < report.published
    assert run.client.statistics().connects == 1
    assert run.client.statistics().second_writer == 0


# -- another server ------------------------------------------------------------------------------


@pytest.mark.parametrize("backlog", [800, *long_form(20_000)])
def test_a_failover_to_a_replica_that_lags_loses_a_tail_of_what_was_accepted(
    make_store, look, backlog
):
    master = make_store(**{"repl-diskless-sync-delay": 0})
    replica = make_store()
    with CuttingProxy(master.port) as bus, CuttingProxy(master.port) as link:
        look(replica).replicaof("127.0.0.1", link.port)
        # A replica that does not answer is waited for, and nothing else is sent meanwhile.
        client = make_client(bus.port, streams=StreamSettings(ack_timeout_ms=100))
        with Run(client, ("accepted", "replicated")) as run:
            run.wait_for(lambda: run.asker.given("replicated") > 10, 20.0)
            link.keep("to_client")
            run.wait_for(lambda: "not confirmed" in run.asker.outcomes("replicated"))
            run.wait_for_more(backlog, 60.0)
            # Nothing more reaches the master, so that what it had is known.
            bus.hold()
            bus.cut_now()
            had = identities(run.look(master.port))
            master.terminate()
            link.cut_now()
            look(replica).replicaof("NO", "ONE")
            bus.switch(replica.port)
            bus.go_on()
            run.resumes()
            run.wait_for_more()
            rule = MayLose(
                why="not replicated", of=had, part="back", spared=BATCH, protects=("replicated",)
            )
            report = run.finish(replica.port, [rule])
    assert report.allowed_count("lost") >= backlog // 2
    assert report.indeterminate == 0


class Overlap:
    """Two clients of one trader, the second of which starts before the first has closed."""

    def __init__(self, port):
        self.runs = [Run(make_client(port), name=name) for name in ("old", "new")]

    def __enter__(self):
        return self.runs

    def __exit__(self, *arguments):
        for run in self.runs:
            if run.load.ident is not None:
                run.__exit__(*arguments)


@pytest.mark.parametrize("rounds", [1, *long_form(10)])
def test_a_rolling_restart_loses_nothing_but_the_order(make_store, rounds):
    server = make_store()
    for _ in range(rounds):
        with Overlap(server.port) as (old, new):
            old.__enter__()
            old.wait_for_more(500)
            new.__enter__()
            new.wait_for_more(500)
            old.load.finish()
            old.asker.finish()
            closing = threading.Thread(target=old.client.stop)
            closing.start()
            new.wait_for_more()
            closing.join(10.0)
            assert not closing.is_alive()
            report = finish([old, new], server.port, [MayDisorder(why="two writers")])
            for run in (old, new):
                assert run.client.statistics().lost == 0
            warned = [run for run in (old, new) if run.client.statistics().second_writer]
            assert warned, "neither has noticed the other"
            assert any(
                "another process writes" in reason
                for run in warned
                for reason in run.client.health().reasons
            )
        assert report.indeterminate == 0
        with redis.Redis(port=server.port) as store:
            store.flushall()


# -- the clock -----------------------------------------------------------------------------------


class JumpingClock:
    """The system's clocks, with a wall clock that is set by hand."""

    def __init__(self):
        self.ahead_ns = 0

    monotonic_ns = staticmethod(time.monotonic_ns)

    def time_ns(self):
        return time.time_ns() + self.ahead_ns


def test_a_wall_clock_that_jumps_an_hour_changes_nothing(make_store):
    server = make_store()
    clock = JumpingClock()
    with Run(make_client(server.port, clock=clock)) as run:
        for ahead_ns in (HOUR_NS, 0, -HOUR_NS, HOUR_NS, 0):
            run.wait_for_more(300)
            clock.ahead_ns = ahead_ns
        run.wait_for_more(300)
        report = run.finish(server.port)
        assert run.client.statistics().second_writer == 0
    # The next one goes on behind IDs of the future.
    with Run(make_client(server.port), name="next") as following:
        following.wait_for_more(300)
        finish([run, following], server.port)
    assert following.client.statistics().second_writer == 0
    assert report.indeterminate == 0


# -- this process --------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [0.6, *long_form(20.0)])
def test_an_outage_that_is_longer_than_the_lanes_hold_is_counted(make_store, frozen, seconds):
    server = make_store()
    buffers = BufferSettings(
        high=UrgentLaneSettings(max_messages=300), normal=LaneSettings(max_messages=400)
    )
    with Run(make_client(server.port, buffers=buffers)) as run:
        run.wait_for_more(500)
        with frozen(server):
            time.sleep(seconds)
            figures = run.client.statistics()
            assert figures.lanes[NORMAL].dropped > 0
            assert figures.lanes[HIGH].refused > 0
            assert run.client.health().state is HealthState.UNHEALTHY
        run.resumes()
        run.wait_for_more()
        report = run.finish(server.port)
    # Order flow is a history without its end, never one with a hole in front of it.
    high, normal = (run.client.statistics().lanes[lane] for lane in (HIGH, NORMAL))
    assert (high.dropped, normal.refused) == (0, 0)
    assert report.present == report.published - normal.dropped


def read_log(path):
    """Return what a producer that was killed had published, and what it may have lost."""
    calls, given, order = {}, set(), {}
    # The last line may be cut.
    for line in path.read_bytes().rpartition(b"\n")[0].splitlines():
        event, topic, identity = line.split(b" ")
        if event == b"given":
            given.add(identity)
            continue
        order.setdefault(key_of(topic.decode()), []).append(identity)
        calls[identity] = (topic.decode(), "accepted" if event == b"begun" else "buffered")
    published = [
        Published(
            topic=topic,
            payload=b"%b %b" % (identity, FILLER),
            lane=LANES.get(topic, "HIGH"),
            publisher="killed",
            ack=ack,
            outcome="given" if identity in given else "",
        )
        for identity, (topic, ack) in calls.items()
    ]
    return published, order


def test_a_process_that_is_killed_loses_what_was_in_its_memory(
    make_store, frozen, look, eventually, tmp_path
):
    server = make_store()
    log = tmp_path / "published"
    command = [sys.executable, FOLDER / "producer.py", str(server.port), log]
    # Where the interpreter does not put a script's folder on its path, too.
    path = os.pathsep.join(filter(None, [str(FOLDER), os.environ.get("PYTHONPATH")]))
    with subprocess.Popen(command, env=os.environ | {"PYTHONPATH": path}) as producer:
        try:
            eventually(lambda: log.exists() and b"given" in log.read_bytes(), 20.0)
            with frozen(server):
                # Meanwhile its lanes fill.
                size = log.stat().st_size
                eventually(lambda: log.stat().st_size > size + 50_000)
                producer.kill()
                producer.wait(10.0)
        finally:
            producer.kill()
    published, order = read_log(log)
    with Run(make_client(server.port), name="next") as run:
        run.wait_for_more()
        run.stop_publishing()
    report = check(
        [*published, *run.load.published(), *run.asker.calls],
        read_streams(look(server)),
        {"killed": None, "next": Account.of(run.client.statistics())},
        key_of=key_of,
        allowed=[
            MayLose(
                why="in memory",
                of=order,
                part="back",
                protects=("accepted", "replicated", "fsynced"),
            )
        ],
    )
    assert report.is_clean, str(report)
    assert report.allowed_count("lost") > 0
    assert run.client.statistics().second_writer == 0
