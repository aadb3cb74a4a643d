"""What goes wrong: with the network, with the server, and what others do to the streams."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger import FOREIGN
from model_redis import MISCONF
from model_redis import NOREPLICAS
from model_redis import READONLY
from model_redis import Stream
from model_streams import format_id
from network import Link
from virtual_time import MS
from virtual_time import S


if TYPE_CHECKING:
    from collections.abc import Callable

    from world import World


def _duration_ns(world: World) -> int:
    return world.rng.choice([10, 100, 700, 2_500]) * MS


def _for_a_while(world: World, end: Callable[[], None]) -> None:
    """Have `end` called after a while, until which not all is well."""

    def over() -> None:
        world.say("over:", end.__qualname__)
        end()
        world.condition_over()

    world.conditions += 1
    world.time.after(_duration_ns(world), over)


# -- the network ---------------------------------------------------------------------------------


def a_request_goes_wrong(world: World) -> None:
    kinds = (
        Link.cut_request,
        Link.cut_request,
        Link.delay_request,
        Link.cut_answers,
        Link.cut_answers,
        Link.swallow_answers,
    )
    world.add_trouble(world.rng.choice(kinds))
    if world.rng.random() < 0.3:
        # While the client does not know what has become of it.
        others = (a_second_writer, somebody_flushes, somebody_trims, somebody_deletes_entries)
        other = world.rng.choice(others)
        world.quick_follow_up = lambda: world._act(other)


def several_requests_go_wrong(world: World) -> None:
    for _ in range(world.rng.randint(2, 5)):
        a_request_goes_wrong(world)


def the_server_crashes_at_a_request(world: World) -> None:
    world.add_trouble(world.rng.choice([Link.crash_before, Link.crash_after]))


def connections_are_refused(world: World) -> None:
    world.refuses_connections = True

    def end() -> None:
        world.refuses_connections = False

    _for_a_while(world, end)


def packets_are_dropped(world: World) -> None:
    world.drops_packets = True

    def end() -> None:
        world.drops_packets = False
        # An attempt that began before has to time out.
        world.conditions += 1
        world.time.after(world.connect_timeout_ns, world.condition_over)

    _for_a_while(world, end)


def all_connections_are_reset(world: World) -> None:
    for link in world.links:
        if link.session.is_open:
            world.server.disconnect(link.session)


def the_wall_clock_steps(world: World) -> None:
    world.time.wall_ns += world.rng.choice([-3_600, -1, 1, 3_600]) * S


# -- the server ----------------------------------------------------------------------------------


def the_server_crashes(world: World) -> None:
    world.crash()


def the_server_freezes(world: World) -> None:
    world.server.is_frozen = True

    def end() -> None:
        world.server.is_frozen = False
        world.work_off()

    _for_a_while(world, end)


def the_server_is_paused(world: World) -> None:
    world.server.is_paused = True

    def end() -> None:
        world.server.is_paused = False
        world.work_off()

    _for_a_while(world, end)


def writes_are_refused(world: World) -> None:
    world.server.refuses_writes = world.rng.choice([READONLY, MISCONF, NOREPLICAS])

    def end() -> None:
        world.server.refuses_writes = ""

    _for_a_while(world, end)


def memory_is_full(world: World) -> None:
    world.server.is_out_of_memory = True

    def end() -> None:
        world.server.is_out_of_memory = False

    _for_a_while(world, end)


def the_server_is_a_replica(world: World) -> None:
    world.server.set_role(b"slave")

    def end() -> None:
        world.server.set_role(b"master")

    _for_a_while(world, end)


def the_login_is_refused(world: World) -> None:
    world.server.wants_login = True

    def end() -> None:
        world.server.wants_login = False

    _for_a_while(world, end)


def a_command_is_forbidden(world: World) -> None:
    name = world.rng.choice([b"xadd", b"xrange", b"xinfo|stream", b"xtrim", b"exec"])
    if name in world.server.forbidden:
        return
    world.server.forbidden.add(name)
    if name in (b"xrange", b"xinfo|stream"):
        world.may_not_know = True

    def end() -> None:
        world.server.forbidden.discard(name)

    _for_a_while(world, end)


def a_key_is_forbidden(world: World) -> None:
    world.server.forbidden_keys.add(world.rng.choice(world.keys))
    world.may_reject = world.may_not_know = True

    def end() -> None:
        world.server.forbidden_keys.clear()

    _for_a_while(world, end)


# -- others --------------------------------------------------------------------------------------


def a_second_writer(world: World) -> None:
    rng, server = world.rng, world.server
    key = rng.choice(world.keys)
    stream = server.data.get(key)
    now_ms = server.now_ms = (world.time.now_ns + world.time.wall_ns) // MS
    last_ms, sequence = stream.last_id if isinstance(stream, Stream) else (0, 0)
    entry_id = rng.choice(
        [b"*", b"%d-%d" % (last_ms, sequence + 1), b"%d-0" % (max(now_ms, last_ms) + 5_000)]
    )
    server.run(b"XADD", key, entry_id, FOREIGN, b"x")


def somebody_flushes(world: World) -> None:
    world.server.run(b"FLUSHDB")


def somebody_deletes_a_stream(world: World) -> None:
    world.server.run(b"DEL", world.rng.choice(world.keys))


def somebody_trims(world: World) -> None:
    key, rng = world.rng.choice(world.keys), world.rng
    world.server.run(b"XTRIM", key, b"MAXLEN", b"%d" % rng.choice([0, 1, 5]))


def somebody_deletes_entries(world: World) -> None:
    key, rng = world.rng.choice(world.keys), world.rng
    stream = world.server.data.get(key)
    if isinstance(stream, Stream) and stream.entries:
        listed = list(stream.entries)
        chosen = rng.sample(listed, rng.randint(1, min(3, len(listed))))
        world.server.run(b"XDEL", key, *map(format_id, chosen))


def a_stream_is_replaced_by_text(world: World) -> None:
    key = world.rng.choice(world.keys)
    world.may_reject = world.may_not_know = True
    world.server.run(b"SET", key, b"text")

    def end() -> None:
        if not isinstance(world.server.data.get(key), Stream):
            world.server.run(b"DEL", key)

    _for_a_while(world, end)


_WEIGHTED = {
    a_request_goes_wrong: 12,
    several_requests_go_wrong: 4,
    the_server_crashes_at_a_request: 3,
    connections_are_refused: 2,
    packets_are_dropped: 1,
    all_connections_are_reset: 2,
    the_wall_clock_steps: 2,
    the_server_crashes: 2,
    the_server_freezes: 2,
    the_server_is_paused: 2,
    writes_are_refused: 2,
    memory_is_full: 2,
    the_server_is_a_replica: 1,
    the_login_is_refused: 1,
    a_command_is_forbidden: 2,
    a_key_is_forbidden: 1,
    a_second_writer: 3,
    somebody_flushes: 1,
    somebody_deletes_a_stream: 1,
    somebody_trims: 2,
    somebody_deletes_entries: 2,
    a_stream_is_replaced_by_text: 1,
}
ALL = list(_WEIGHTED)
WEIGHTS = list(_WEIGHTED.values())
