"""Order books and requests for data while data flows, on either bus."""

from __future__ import annotations

import pytest
from conftest import BUSES
from contract_play import outcome_of


PROGRAM = "contract_data.py"
# Of a burst more than a slice can hold.
COUNTS = {"paced": 60, "burst": 400}
KINDS = ["quotes", "trades", "bars"]


@pytest.fixture(params=list(COUNTS))
def mode(request):
    return request.param


def books(bus: str, mode: str) -> dict:
    return outcome_of(PROGRAM, "books", bus, mode=mode, count=COUNTS[mode])


def of(story: list[str], *kinds: str) -> list[str]:
    return [line for line in story if line.startswith(kinds)]


def test_a_book_is_what_its_snapshot_and_changes_make_it(bus, mode):
    result = books(bus, mode)
    assert result["book"] == result["expected"]
    assert result["sizes"] == [0] * 8


def test_changes_of_a_book_come_in_whole_groups_and_in_their_order(bus, mode):
    deltas = of(books(bus, mode)["story"], "deltas")
    groups = [line.split("[")[1].split("]")[0].replace("'", "").split(", ") for line in deltas]
    # 1.221 keeps the snapshot back until the first changes, and publishes both together.
    first, *others = [len(group) for group in groups]
    assert first in {21, 24}
    assert set(others) == {3}
    assert first + sum(others) == 21 + 3 * COUNTS[mode]
    numbers = [int(change.split(":")[0]) for group in groups for change in group]
    assert numbers == sorted(set(numbers))


def test_depths_come_in_their_order(bus, mode):
    depths = of(books(bus, mode)["story"], "depth")
    numbers = [int(line.split()[1]) for line in depths]
    assert numbers == list(range(0, COUNTS[mode], 3))


def test_each_request_is_answered_once_with_what_the_venue_has(bus, mode):
    result = books(bus, mode)
    assert result["answered"] == [*KINDS, "instrument"]
    assert result["pending"] == []
    assert not result["still_pending"]
    story = result["story"]
    for kind, name in zip(KINDS, ("QuoteTick", "TradeTick", "Bar"), strict=True):
        past = of(story, f"past {name}")
        assert len(past) == 10
        assert past == sorted(past, key=lambda line: int(line.rsplit(",", 1)[1].strip(")")))
        # All of it before the callback that says it is there.
        assert story.index(past[-1]) < story.index(f"answered {kind}")
    assert result["known"]
    assert story.index("instrument S0009.SIM") < story.index("answered instrument")


def test_requests_and_subscriptions_go_to_the_venue_once_and_in_their_turn(bus, mode):
    result = books(bus, mode)
    # The deltas were unsubscribed from in the end.
    assert result["subscribed"] == ["depth S0001.SIM"]
    assert [line.split()[0] for line in result["commands"]] == [
        "RequestQuoteTicks",
        "RequestTradeTicks",
        "RequestBars",
        "RequestInstrument",
    ]


def test_request_and_answer_come_behind_the_data_that_was_there(bus):
    # The data engine's queues are one line: nothing overtakes the data, on either bus.
    story = books(bus, "burst")["story"]
    live = of(story, "quote", "trade", "deltas", "depth")
    assert story[: len(live)] == live


def test_an_answer_comes_before_the_data_that_follows(bus):
    story = books(bus, "paced")["story"]
    fifth, sixth = [n for n, line in enumerate(story) if line.startswith("quote")][4:6]
    assert all(fifth < story.index(f"answered {kind}") < sixth for kind in KINDS)


def test_the_whole_log_is_the_same_on_both_buses(mode, both_buses):
    stock, enhanced = (books(bus, mode) for bus in BUSES)
    for result in (stock, enhanced):
        # A slice may end between two requests, so that the first is answered before the
        # second is made.
        result["story"] = [line for line in result["story"] if not line.startswith("asked")]
    assert enhanced == stock
