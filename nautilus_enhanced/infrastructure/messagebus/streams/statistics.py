"""What a subscription says about itself."""

from __future__ import annotations

from collections import Counter

import msgspec


class SubscriptionStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """
    The figures of a subscription in this process.

    Attributes
    ----------
    group, consumer : str or None
        The group and the name of this consumer in it.
    streams : int
        Streams that are read.
    members : int
        Consumers of the group that are alive, this one included.
    in_hand : int
        Messages that were read and are not yet handled.
    workers : int
        Threads that call the handler; 0 on an event loop.
    read : int
        Entries that were read, those of other topics included.
    handled : int
        Messages whose handler returned.
    acknowledged : int
        Entries of which the server knows that they are done.
    failed : int
        Calls of the handler that raised.
    dead_lettered : int
        Messages that went to the dead letters.
    given_up : int
        Messages that no group keeps, so that after `max_deliveries` they were left.
    undecodable : int
        Messages whose payload is not what was asked for; they are dead letters at once.
    expired : int
        Messages older than `max_age_ms`, acknowledged and not delivered.
    skipped : int
        Messages from before a start at ``'now'``, in streams of many topics.
    claimed : int
        Messages that another consumer had read.
    already_handled : int
        Messages that were read once more and not delivered, since this process has them.
    trimmed_while_pending : int
        Messages that were removed from their stream before anybody handled them.
    gaps : int
        Messages that their publishers say to have dropped.
    lost_leases : int
        How often this consumer was not heard of for too long, and let go of what it had.
    groups_created : int
        Groups that were gone and made again.
    reconnects : int
        Connections that were made beyond the first ones.
    last_error : str
        The last error of the server or of the way to it.
    last_failure : str
        What the handler raised last.
    """

    group: str | None
    consumer: str | None
    streams: int
    members: int
    in_hand: int
    workers: int = 0
    read: int = 0
    handled: int = 0
    acknowledged: int = 0
    failed: int = 0
    dead_lettered: int = 0
    given_up: int = 0
    undecodable: int = 0
    expired: int = 0
    skipped: int = 0
    claimed: int = 0
    already_handled: int = 0
    trimmed_while_pending: int = 0
    gaps: int = 0
    lost_leases: int = 0
    groups_created: int = 0
    reconnects: int = 0
    last_error: str = ""
    last_failure: str = ""


class RequestStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """
    The figures of the requests of a client.

    Attributes
    ----------
    waiting : int
        Requests that wait for a reply.
    replies : int
        Replies that came in time.
    late_replies : int
        Replies for which nobody waited any more: too late, or a second one.
    answered : int
        Requests that a handler here has answered, failures included.
    repeated : int
        Requests that came again and got the same answer.
    expired : int
        Requests that were past their time.
    not_ours : int
        Requests for other groups.
    last_error : str
        What the server last said to requests and replies that could not be sent.
    """

    waiting: int = 0
    replies: int = 0
    late_replies: int = 0
    answered: int = 0
    repeated: int = 0
    expired: int = 0
    not_ours: int = 0
    last_error: str = ""


class SubscriptionFigures:
    """
    Count what happens in a subscription; each count is written by one thread.

    Attributes
    ----------
    counts : Counter[str]
        The counts, by the names of `SubscriptionStatistics`.
    last_error, last_failure : str
        What went wrong last.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.last_error = ""
        self.last_failure = ""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({dict(self.counts)})"
