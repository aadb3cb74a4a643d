"""The part of the fault matrix that lies between client and server: a network that misbehaves."""

import random
import time

import pytest
from load import Run
from load import make_client
from proxy import CuttingProxy


pytestmark = pytest.mark.usefixtures("kept_in")


def long_form(*values):
    return [pytest.param(value, marks=pytest.mark.long) for value in values]


@pytest.fixture
def through(server, store):
    """Return a proxy in front of the session's server, which is empty."""
    with CuttingProxy(server.port) as proxy:
        yield proxy


@pytest.mark.parametrize("seconds", [1.5, *long_form(60.0)])
def test_cuts_in_the_middle_of_a_frame_lose_nothing(through, server, seconds):
    rng = random.Random(23)
    with Run(make_client(through.port)) as run:
        run.wait_for_more(500)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            through.cut_after(rng.choice(("to_server", "to_client")), rng.randrange(30_000))
            run.wait_for_more(50)
        through.forget_cut()
        through.cut_now()
        run.resumes()
        report = run.finish(server.port)
    assert through.cuts > 3
    assert report.indeterminate == 0


@pytest.mark.parametrize("direction", ["to_client", "to_server"])
@pytest.mark.parametrize("seconds", [1.0, *long_form(20.0)])
def test_what_is_swallowed_is_found_or_sent_again(through, server, direction, seconds):
    with Run(make_client(through.port)) as run:
        run.wait_for_more(500)
        through.swallow(direction)
        time.sleep(seconds)
        assert not run.client.statistics().connected
        through.swallow()
        run.resumes()
        run.wait_for_more()
        report = run.finish(server.port)
    figures = run.client.statistics()
    assert through.swallowed[direction] > 0
    # The answers were lost, or the messages.
    assert (figures.found_after_reconnect if direction == "to_client" else figures.resent) > 0
    assert report.indeterminate == 0


def test_a_slow_way_loses_nothing(through, server):
    with Run(make_client(through.port)) as run:
        run.wait_for_more(500)
        # Less than the time limit, and then more.
        through.delay(0.05)
        run.wait_for_more(500)
        through.delay(0.6)
        run.wait_for(lambda: not run.client.statistics().connected)
        through.delay(0.0)
        run.resumes()
        run.wait_for_more()
        report = run.finish(server.port)
    assert report.indeterminate == 0


LATE = {
    "killed": ("+@all", "after"),
    "waited out": ("-client", "after"),
    "between look and resend": ("-client", "between"),
}


@pytest.mark.parametrize("case", LATE)
def test_bytes_of_an_old_connection_that_arrive_late_double_nothing(through, server, store, case):
    commands, when = LATE[case]
    store.execute_command("ACL", "SETUSER", "late", "reset", "on", ">pw", "~*", "+@all", commands)
    client = make_client(through.port, "late:pw@")
    recover = client._writer._recover

    def count():
        return sum(store.xlen(key) for key in store.scan_iter("trader-*", _type="stream"))

    def recover_and_let_it_arrive(connection):
        recover(connection)
        if through.kept():
            before = count()
            through.release()
            deadline = time.monotonic() + 5.0
            while count() == before:
                assert time.monotonic() < deadline
                time.sleep(0.001)

    try:
        with Run(client) as run:
            run.wait_for_more(500)
            if when == "between":
                client._writer._recover = recover_and_let_it_arrive
            through.keep("to_server")
            run.wait_for(lambda: client.statistics().connects > 1)
            run.resumes()
            run.wait_for_more(300)
            if when == "after":
                assert through.kept() > 0
                through.release()
            run.wait_for_more(300)
            report = run.finish(server.port)
        # Of a connection that was killed the system takes them, and nobody reads them.
        assert through.released > 0
        assert report.indeterminate == 0
        assert client.statistics().second_writer == 0
        assert client.statistics().resent > 0
        if when == "between":
            assert client.statistics().found_after_reconnect > 0
    finally:
        store.execute_command("ACL", "DELUSER", "late")
