"""Acknowledgement levels: what is asked, and what an answer means."""

import pytest

from nautilus_enhanced.infrastructure.messagebus.errors import AckUnavailableError
from nautilus_enhanced.infrastructure.messagebus.errors import ServerUnreachableError
from nautilus_enhanced.infrastructure.messagebus.publishing.acknowledgement import CONFIRMED_LEVELS
from nautilus_enhanced.infrastructure.messagebus.publishing.acknowledgement import Confirmer


class ManualClock:
    now_ns = 0

    def monotonic_ns(self):
        return self.now_ns

    def time_ns(self):
        return self.now_ns


class Server:
    """Answers with what it was given, and counts its connections."""

    def __init__(self, answer):
        self.answer = answer
        self.opened = self.closed = 0

    def __call__(self):
        return self

    def open(self):
        self.opened += 1
        if isinstance(self.answer, ServerUnreachableError):
            raise self.answer

    def confirm(self, commands, answers):
        assert answers == 1
        return [[self.answer]]

    def close(self):
        self.closed += 1


def make(answer=None, replicas=2):
    server, clock = Server(answer), ManualClock()
    return Confirmer(server, replicas, 300, clock), server, clock


def test_what_is_asked():
    confirmer, _, _ = make()
    assert confirmer.command("replicated") == b"*3\r\n$4\r\nWAIT\r\n$1\r\n2\r\n$3\r\n300\r\n"
    assert (
        confirmer.command("fsynced")
        == b"*4\r\n$7\r\nWAITAOF\r\n$1\r\n1\r\n$1\r\n0\r\n$3\r\n300\r\n"
    )


@pytest.mark.parametrize(
    ("level", "answer", "problem"),
    [
        ("replicated", 2, ""),
        ("replicated", 3, ""),
        ("replicated", 1, "1 of 2 replicas have it"),
        ("replicated", 0, "0 of 2 replicas have it"),
        ("fsynced", [1, 0], ""),
        ("fsynced", [0, 5], "the server's disk does not have it"),
        ("fsynced", ValueError("ERR unknown command"), "ERR unknown command"),
        ("replicated", ValueError("NOPERM"), "NOPERM"),
    ],
)
def test_what_an_answer_means(level, answer, problem):
    confirmer, server, _ = make(answer)
    assert confirmer.problem(level, answer) == problem
    if problem:
        with pytest.raises(AckUnavailableError, match=f"'{level}' cannot be given now: {problem}"):
            confirmer.require(level)
    else:
        confirmer.require(level)
    assert server.opened == server.closed == 1


def test_a_server_that_cannot_be_asked_gives_nothing():
    confirmer, server, _ = make(ServerUnreachableError("it is down"))
    for level in CONFIRMED_LEVELS:
        with pytest.raises(AckUnavailableError, match="it is down"):
            confirmer.require(level)
    assert server.closed == 2


def test_a_promise_is_believed_for_a_second_unless_it_was_broken():
    confirmer, server, clock = make(2)
    for now_ns, opened in [(0, 1), (999_999_999, 1), (1_000_000_000, 2), (1_500_000_000, 2)]:
        clock.now_ns = now_ns
        confirmer.require("replicated")
        assert server.opened == opened
    confirmer.doubt("replicated")
    confirmer.doubt("fsynced")
    server.answer = 0
    with pytest.raises(AckUnavailableError):
        confirmer.require("replicated")
    # And a refusal is not believed at all: the next may be possible.
    server.answer = 2
    confirmer.require("replicated")
