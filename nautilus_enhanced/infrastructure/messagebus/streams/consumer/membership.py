"""
Which consumer of a group reads which streams, so that each is read by one at a time.

A consumer group of Redis hands the entries of one stream to whoever asks, and two consumers would
handle two events of one order at the same time. So the streams are divided into partitions by
their keys, and a consumer reads only those of the partitions that it holds. A hash on the server
says who is a member until when, by the server's clock, and who holds which partition; what a
member holds is free when its time is up and another one has noticed. One script makes each change
in one step.

Decided here: what to take and what to give back. Done by `keeper`.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING
from typing import Any
from typing import Final

import msgspec

from nautilus_enhanced.infrastructure.messagebus.publishing.wire import command


if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Set as AbstractSet


PARTITIONS: Final = 128

_MEMBER: Final = b"m:"
_PARTITION: Final = b"p:"

# KEYS[1] the hash; ARGV: the consumer, how long it is a member from now on in milliseconds (0 to
# leave), how many partitions it gives back, these, and those that it would take if they are free.
# Answers: the server's time in milliseconds, whether it was a member all the time, the members,
# partitions and holders by turns, and what was noted when the hash was made. Who is late is a
# member all the same if nobody has looked since. PEXPIRE comes first because a script that has
# written goes on writing when the memory is full (HSET alone is refused then).
SCRIPT: Final = b"""
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local me, ttl, returned = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local rows = redis.call('HGETALL', KEYS[1])
local members, holders, was_member, made = {}, {}, 0, ''
for i = 1, #rows, 2 do
  local kind, name = string.sub(rows[i], 1, 2), string.sub(rows[i], 3)
  if kind == 'm:' then
    if name == me or tonumber(rows[i + 1]) > now then members[name] = true
    else redis.call('HDEL', KEYS[1], rows[i]) end
  elseif kind == 'p:' then holders[name] = rows[i + 1]
  elseif kind == 'i:' then made = name end
end
if members[me] then was_member = 1 end
for partition, holder in pairs(holders) do
  if not members[holder] or (holder == me and ttl == 0) then
    redis.call('HDEL', KEYS[1], 'p:' .. partition)
    holders[partition] = nil
  end
end
if ttl == 0 then
  redis.call('HDEL', KEYS[1], 'm:' .. me)
  members[me] = nil
else
  redis.call('PEXPIRE', KEYS[1], ttl * 10)
  if made == '' then
    made = string.format('%d', now) .. ' ' .. me
    redis.call('HSET', KEYS[1], 'i:' .. made, '')
  end
  redis.call('HSET', KEYS[1], 'm:' .. me, string.format('%d', now + ttl))
  members[me] = true
  for i = 4, 3 + returned do
    if holders[ARGV[i]] == me then
      redis.call('HDEL', KEYS[1], 'p:' .. ARGV[i])
      holders[ARGV[i]] = nil
    end
  end
  for i = 4 + returned, #ARGV do
    if not holders[ARGV[i]] then
      redis.call('HSET', KEYS[1], 'p:' .. ARGV[i], me)
      holders[ARGV[i]] = me
    end
  end
  redis.call('PEXPIRE', KEYS[1], ttl * 10)
end
local names, held = {}, {}
for name in pairs(members) do names[#names + 1] = name end
for partition, holder in pairs(holders) do
  held[#held + 1] = partition
  held[#held + 1] = holder
end
return {string.format('%d', now), was_member, names, held, made}
"""


class Membership(msgspec.Struct, frozen=True, kw_only=True):
    """
    A group as the server saw it.

    Attributes
    ----------
    now_ms : int
        The server's time, in milliseconds since the UNIX epoch.
    was_member : bool
        Whether this consumer had been a member until then without interruption.
    members : frozenset[str]
        The consumers that are alive.
    holders : dict[int, str]
        Who holds a partition; those that nobody holds are left out.
    made : str
        When and by whom the group was made. If that changes, the server has lost what it knew.
    """

    now_ms: int
    was_member: bool
    members: frozenset[str]
    holders: dict[int, str]
    made: str = ""

    def held_by(self, consumer: str) -> frozenset[int]:
        """Return the partitions of a consumer."""
        return frozenset(number for number, name in self.holders.items() if name == consumer)


class Exchange(msgspec.Struct, frozen=True):
    """
    What a consumer asks for.

    Attributes
    ----------
    returned, wanted : tuple[int, ...]
        Partitions that it gives back, and takes if they are free.
    """

    returned: tuple[int, ...] = ()
    wanted: tuple[int, ...] = ()


def member_name(consumer: str, token: str) -> str:
    """Return the name of a member whose consumer's name another process may have as well."""
    return f"{consumer} {token}"


def partition_of(key: bytes) -> int:
    """Return the partition of a stream: the same in every process, and spread for keys alike."""
    return int.from_bytes(blake2b(key, digest_size=4).digest(), "big") % PARTITIONS


def share(members: AbstractSet[str], consumer: str) -> int:
    """Return how many partitions a consumer should hold: all are held, and evenly."""
    each, over = divmod(PARTITIONS, len(members))
    return each + (sorted(members).index(consumer) < over)


def plan(seen: Membership, consumer: str) -> Exchange:
    """
    Return what a consumer should give back and take, by what it last saw.

    Only what is above its share is given back, so that a new member moves as few as can be.

    Parameters
    ----------
    seen : Membership
        The group.
    consumer : str
        The consumer, a member.
    """
    held = sorted(seen.held_by(consumer))
    target = share(seen.members, consumer)
    if len(held) > target:
        return Exchange(returned=tuple(held[target:]))
    free = [number for number in range(PARTITIONS) if number not in seen.holders]
    return Exchange(wanted=tuple(free[: target - len(held)]))


def beat(key: bytes, consumer: str, lease_ms: int, exchange: Exchange) -> bytes:
    """
    Return the command by which a consumer stays a member, and gives back and takes partitions.

    Parameters
    ----------
    key : bytes
        The group's hash.
    consumer : str
        The consumer.
    lease_ms : int
        Milliseconds for which it is a member without another beat; 0 to leave at once.
    exchange : Exchange
        What it gives back and takes.
    """
    return command(
        b"EVAL",
        SCRIPT,
        b"1",
        key,
        consumer.encode(),
        b"%d" % lease_ms,
        b"%d" % len(exchange.returned),
        *_digits(exchange.returned),
        *_digits(exchange.wanted),
    )


def look(key: bytes) -> bytes:
    """Return the command by which others see the group."""
    return command(b"HGETALL", key)


def parse_beat(answer: Any) -> Membership:
    """Return the group from the answer to `beat`."""
    now_ms, was_member, members, held, made = answer
    return Membership(
        now_ms=int(now_ms),
        was_member=bool(was_member),
        members=frozenset(name.decode() for name in members),
        holders={
            int(number): name.decode() for number, name in zip(held[::2], held[1::2], strict=True)
        },
        made=made.decode(),
    )


def parse_look(answer: Any, now_ms: int) -> Membership:
    """Return the group from the answer to `look`, at a time of the server's clock."""
    rows = dict(zip(answer[::2], answer[1::2], strict=True))
    members = frozenset(
        name.removeprefix(_MEMBER).decode()
        for name, until in rows.items()
        if name.startswith(_MEMBER) and int(until) > now_ms
    )
    holders = {
        int(name.removeprefix(_PARTITION)): holder.decode()
        for name, holder in rows.items()
        if name.startswith(_PARTITION) and holder.decode() in members
    }
    return Membership(now_ms=now_ms, was_member=False, members=members, holders=holders)


def _digits(numbers: Iterable[int]) -> list[bytes]:
    return [b"%d" % number for number in numbers]
