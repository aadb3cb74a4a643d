"""Migration of configuration objects: nothing of stock's is passed over, and the way back."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nautilus_trader.common import Environment
from nautilus_trader.common.config import DatabaseConfig
from nautilus_trader.common.config import MessageBusConfig
from nautilus_trader.live.config import TradingNodeConfig
from nautilus_trader.model.data import QuoteTick

from nautilus_enhanced import EnhancedMessageBusConfig
from nautilus_enhanced import migrate_messagebus_config
from nautilus_enhanced import migrate_trading_node_config
from nautilus_enhanced import parse_node_config
from nautilus_enhanced.infrastructure.messagebus import BufferSettings
from nautilus_enhanced.infrastructure.messagebus import ConfigurationError
from nautilus_enhanced.infrastructure.messagebus import ConnectionSettings
from nautilus_enhanced.infrastructure.messagebus import DispatchSettings
from nautilus_enhanced.infrastructure.messagebus import FlowRule
from nautilus_enhanced.infrastructure.messagebus import LaneSettings
from nautilus_enhanced.infrastructure.messagebus import PublishingSettings
from nautilus_enhanced.infrastructure.messagebus import PublishRule
from nautilus_enhanced.infrastructure.messagebus import StreamSettings
from nautilus_enhanced.infrastructure.messagebus import TrimmingSettings
from nautilus_enhanced.infrastructure.messagebus import UrgentLaneSettings
from nautilus_enhanced.infrastructure.messagebus import WorkerSettings
from nautilus_enhanced.migration import migrate_text
from nautilus_enhanced.migration.flat_names import FLAT_NAMES
from nautilus_enhanced.migration.plan import DATABASE_DEFAULTS
from nautilus_enhanced.migration.plan import changed_fields
from nautilus_enhanced.migration.plan import plan_migration


TEXT = st.text("abcdefgh-0123456789", min_size=1, max_size=8)
SECONDS = st.integers(1, 5_000)
# A strategy for each field that any supported version has.
DATABASE_FIELDS = {
    "type": st.just("redis"),
    "host": st.none() | st.sampled_from(["localhost", "db.example", "10.0.0.5", "::1", "[::1]"]),
    "port": st.none() | st.integers(1, 65_535),
    "username": st.none() | TEXT,
    "password": st.none() | st.text(max_size=8),
    "ssl": st.booleans(),
    "timeout": st.none() | SECONDS,
    "connection_timeout": SECONDS,
    "response_timeout": SECONDS,
    "number_of_retries": SECONDS,
    "exponent_base": SECONDS,
    "max_delay": SECONDS,
    "factor": SECONDS,
}
STOCK_FIELDS = {
    "encoding": st.sampled_from(["json", "msgpack", "MsgPack", "JSON"]),
    "timestamps_as_iso8601": st.booleans(),
    "buffer_interval_ms": st.none() | st.integers(1, 100_000),
    "autotrim_mins": st.none() | st.integers(0, 100_000),
    "use_trader_prefix": st.booleans(),
    "use_trader_id": st.booleans(),
    "use_instance_id": st.booleans(),
    "streams_prefix": TEXT,
    "stream_per_topic": st.booleans(),
    "external_streams": st.none() | st.lists(TEXT, max_size=3),
    "types_filter": st.none() | st.just([QuoteTick]),
    "heartbeat_interval_secs": st.none() | st.integers(1, 3_600),
}


def installed(kind, strategies):
    return {name: strategies[name] for name in kind.__struct_fields__ if name in strategies}


databases = st.builds(DatabaseConfig, **installed(DatabaseConfig, DATABASE_FIELDS))
buses = st.builds(
    MessageBusConfig,
    database=st.none() | databases,
    **installed(MessageBusConfig, STOCK_FIELDS),
)


def test_every_field_of_the_installed_version_is_known():
    assert set(DatabaseConfig.__struct_fields__) <= set(DATABASE_DEFAULTS)
    assert set(DATABASE_DEFAULTS) == set(DATABASE_FIELDS)
    assert set(MessageBusConfig.__struct_fields__) == {"database", *STOCK_FIELDS}


@pytest.mark.parametrize("field", DatabaseConfig.__struct_fields__)
def test_the_defaults_are_those_of_the_installed_version(field):
    assert getattr(DatabaseConfig(), field) == DATABASE_DEFAULTS[field]


@given(stock=buses, publisher_only=st.booleans())
def test_a_stock_configuration_is_migrated_and_comes_back_as_it_was(stock, publisher_only):
    ours = migrate_messagebus_config(stock, publisher_only=publisher_only)
    assert ours.to_stock() == stock
    assert ours.publisher
    assert (ours.dispatch is None) is publisher_only
    assert ours.serializer == ("stock" if publisher_only else "enhanced")
    assert migrate_messagebus_config(ours) is ours
    assert EnhancedMessageBusConfig.parse(ours.json()) == ours


def test_none_is_a_node_without_a_bus_configuration():
    assert migrate_messagebus_config(None) == EnhancedMessageBusConfig()


@pytest.mark.parametrize("field", ["timeout", "connection_timeout"])
@pytest.mark.parametrize(("seconds", "limit"), [(3, 3_000), (60, 60_000), (61, 60_000)])
def test_the_time_limit_to_connect_is_that_of_the_connection(field, seconds, limit):
    plan = plan_migration({"database": {field: seconds}})
    assert plan.put == {"connection": {"connect_timeout_ms": limit}}
    assert bool(plan.notes) is (seconds > 60)


def test_the_time_limits_that_stock_has_by_default_are_not_taken_over():
    assert plan_migration({"database": dict(DATABASE_DEFAULTS)}).put == {}


def test_a_time_limit_goes_into_the_connection():
    stock = {"database": {"host": "h", "response_timeout": 7}}
    if "response_timeout" in DatabaseConfig.__struct_fields__:
        stock = MessageBusConfig(database=DatabaseConfig(host="h", response_timeout=7))
    ours = migrate_messagebus_config(stock)
    assert ours.connection == ConnectionSettings(response_timeout_ms=7_000)
    assert ours.connection_url() == "redis://h:6379"


@pytest.mark.parametrize("field", ["number_of_retries", "exponent_base", "max_delay", "factor"])
def test_what_only_the_stock_publisher_does_is_said(field):
    plan = plan_migration({"database": {field: 7}})
    assert plan.put == {}
    assert field in plan.notes[0]
    assert "tries without end" in plan.notes[0]


def test_fields_of_another_version_are_translated_and_taken_out():
    given = {"database": {"host": "h", "timeout": 3}}
    plan = plan_migration(given, stock_database_fields=("host", "connection_timeout"))
    assert plan.apply(given) == {
        "database": {"host": "h"},
        "connection": {"connect_timeout_ms": 3_000},
    }
    assert "no such field" in plan.notes[0]


def test_a_long_interval_becomes_the_longest_that_is_allowed():
    ours = migrate_messagebus_config(MessageBusConfig(buffer_interval_ms=5_000))
    assert ours.buffer_interval_ms == 5_000
    lanes = ours.buffer_settings()
    assert (lanes.normal.flush_interval_ms, lanes.low.flush_interval_ms) == (1_000, 1_000)
    assert lanes.critical == BufferSettings().critical


def test_another_database_is_refused():
    with pytest.raises(ConfigurationError, match=r"database\.type"):
        migrate_messagebus_config(MessageBusConfig(database=DatabaseConfig(type="postgres")))


def test_a_subclass_with_fields_of_its_own_is_refused():
    class Other(MessageBusConfig, frozen=True):
        more: int = 1

    with pytest.raises(ConfigurationError, match="fields of its own"):
        migrate_messagebus_config(Other())


@pytest.mark.parametrize("name", ["development", "production", "high_frequency"])
def test_a_preset_fills_in_what_is_not_said(name):
    database = DatabaseConfig(host="h")
    ours = migrate_messagebus_config(MessageBusConfig(database=database), preset=name)
    made = getattr(EnhancedMessageBusConfig, name)(database=database)
    assert ours == made
    assert migrate_messagebus_config(None, preset=name) == EnhancedMessageBusConfig.preset(name)


ENHANCED = {
    "types_filter": [QuoteTick],
    "external_streams": ["a"],
    "database": DatabaseConfig(host="h", password="word"),
    "connection": ConnectionSettings(response_timeout_ms=7_000),
    "buffers": BufferSettings(
        critical=UrgentLaneSettings(max_messages=7), low=LaneSettings(flush_interval_ms=100)
    ),
    "publishing": PublishingSettings(rules=(PublishRule(pattern="data.*", max_per_second=2.0),)),
    "dispatch": DispatchSettings(slice_us=99, rules=(FlowRule(flow="data", kinds=("bars",)),)),
}


@pytest.mark.parametrize("name", [None, "development", "production", "high_frequency"])
@pytest.mark.parametrize("publisher_only", [True, False])
@pytest.mark.parametrize(
    "fields",
    [{}, ENHANCED, {"dispatch": None, "serializer": "stock"}, {"publisher": False}],
    ids=["default", "everything", "publisher only", "engines only"],
)
def test_what_is_enhanced_already_is_changed_as_the_command_changes_a_file(
    name, publisher_only, fields
):
    before = EnhancedMessageBusConfig(**fields)
    ours = migrate_messagebus_config(before, preset=name, publisher_only=publisher_only)
    if name is None and not publisher_only:
        assert ours is before
        return
    text = migrate_text(
        json.dumps({"message_bus": json.loads(before.json())} if fields else {}),
        preset=name,
        publisher_only=publisher_only,
    ).text
    by_command = parse_node_config(text).message_bus
    assert (ours.dispatch is None) is (by_command.dispatch is None) is publisher_only
    for field in ("publisher", "serializer", "types_filter", "external_streams", "database"):
        assert getattr(ours, field) == getattr(by_command, field)
    for field in ("buffers", "publishing"):
        if field in fields:
            assert getattr(ours, field) == fields[field]
    assert ours.fallback == ("stock" if name in {None, "development"} else "raise")


def test_a_preset_does_not_overrule_what_is_said():
    given = {"buffers": {"low": {"flush_interval_ms": 9}}}
    plan = plan_migration(given, preset="high_frequency")
    assert "buffers" not in plan.put
    assert any("`buffers` of the preset" in note for note in plan.notes)
    with pytest.raises(ConfigurationError, match="preset"):
        plan_migration({}, preset="nonsense")


@given(
    lane=st.builds(
        UrgentLaneSettings,
        max_messages=st.integers(1, 9),
        overflow=st.sampled_from(["refuse", "drop_oldest"]),
    )
)
def test_changed_fields_say_all_that_is_not_default(lane):
    settings = BufferSettings(critical=lane, low=LaneSettings())
    assert msgspec.convert(changed_fields(settings), BufferSettings) == settings
    assert changed_fields(BufferSettings()) == {}


# -- a node --------------------------------------------------------------------------------------


def test_a_node_keeps_all_but_its_bus():
    stock = TradingNodeConfig(
        trader_id="NODE-007", message_bus=MessageBusConfig(streams_prefix="mine"), loop_debug=True
    )
    ours = migrate_trading_node_config(stock, preset="production")
    assert isinstance(ours.message_bus, EnhancedMessageBusConfig)
    assert ours.message_bus.fallback == "raise"
    back = msgspec.structs.replace(ours, message_bus=ours.message_bus.to_stock())
    assert back == stock
    assert migrate_trading_node_config(TradingNodeConfig()).message_bus is not None


def test_a_backtest_is_refused():
    with pytest.raises(ConfigurationError, match="A backtest has no live bus"):
        migrate_trading_node_config(TradingNodeConfig(environment=Environment.BACKTEST))


# -- flat names ----------------------------------------------------------------------------------


def migrated(**flat):
    return migrate_messagebus_config(flat)


@pytest.mark.parametrize(
    ("flat", "expected"),
    [
        (
            {"redis_host": "h", "redis_port": 1, "redis_password": "p", "redis_username": "u"},
            {"database": DatabaseConfig(host="h", port=1, username="u", password="p")},
        ),
        ({"redis_host": "h", "redis_ssl": True}, {"database": DatabaseConfig(host="h", ssl=True)}),
        ({"redis_host": "h", "redis_db": 0}, {"database": DatabaseConfig(host="h")}),
        (
            {"redis_host": "h", "redis_password": "p@", "redis_db": 3},
            {"connection": "redis://:p%40@h:6379/3"},
        ),
        ({"redis_url": "rediss://h:1/2"}, {"connection": "rediss://h:1/2"}),
        ({"command_timeout": 2.5}, {"connection": ConnectionSettings(response_timeout_ms=2_500)}),
        ({"max_workers": 8}, {"workers": WorkerSettings(max_workers=8)}),
        ({"auto_scale_enabled": True}, {}),
        (
            {"auto_scale_enabled": False, "max_workers": 8},
            {"workers": WorkerSettings(min_workers=8, max_workers=8)},
        ),
        ({"flush_interval_ms": 20}, {"buffer_interval_ms": 20}),
        (
            {"flush_interval_ms": 0},
            {
                "buffers": BufferSettings(
                    normal=LaneSettings(flush_interval_ms=0), low=LaneSettings(flush_interval_ms=0)
                )
            },
        ),
        (
            {"default_buffer_config": {"max_size": 5, "high_watermark": 0.9}},
            {
                "buffers": BufferSettings(
                    normal=LaneSettings(max_messages=5, high_water=0.9),
                    low=LaneSettings(max_messages=5, high_water=0.9, flush_interval_ms=100),
                )
            },
        ),
        (
            {"priority_buffer_size": 7, "flush_interval_ms": 30},
            {
                "buffers": BufferSettings(
                    critical=UrgentLaneSettings(max_messages=7),
                    high=UrgentLaneSettings(max_messages=7),
                    normal=LaneSettings(flush_interval_ms=30),
                    low=LaneSettings(flush_interval_ms=30),
                )
            },
        ),
        ({"subscriptions": []}, {}),
        ({"publishing_topics": []}, {}),
        (
            {
                "connection_pool_size": 10,
                "enable_metrics": False,
                "enable_pattern_caching": True,
                "client_id": "x",
            },
            {},
        ),
    ],
    ids=str,
)
def test_a_flat_name_becomes_our_setting(flat, expected):
    assert migrated(**flat) == EnhancedMessageBusConfig(**expected)


def test_topics_to_publish_become_rules_that_keep_back_the_rest():
    rules = migrated(publishing_topics=["data.bars.*"]).publishing.rules
    assert rules == (PublishRule(pattern="data.bars.*"), PublishRule(pattern="*", publish=False))


@pytest.mark.parametrize(
    ("flat", "named"),
    [
        ({"subscriptions": ["data.*"]}, "`external_streams`"),
        ({"redis_host": "h", "database": {"host": "h"}}, "message_bus.database"),
        ({"redis_host": "h", "redis_url": "redis://h"}, "redis_url"),
        ({"max_workers": 51}, "`message_bus.workers.max_workers` was 51, allowed: 1 to 50"),
        ({"flush_interval_ms": 1_001}, "buffer_interval_ms"),
        ({"default_buffer_config": {"nonsense": 1}}, "default_buffer_config.nonsense"),
        ({"default_buffer_config": 5}, "default_buffer_config"),
        ({"publishing_topics": "data.*"}, "a list of topics"),
        ({"command_timeout": "5"}, "a number of seconds"),
    ],
    ids=str,
)
def test_what_cannot_be_translated_is_refused_with_the_name(flat, named):
    with pytest.raises(ConfigurationError) as caught:
        migrated(**flat)
    assert named in str(caught.value)


@pytest.mark.parametrize("name", FLAT_NAMES)
def test_each_flat_name_is_spoken_of(name):
    value = {"default_buffer_config": {"max_size": 1}, "publishing_topics": ["a"]}.get(name, 1)
    if name == "redis_url":
        value = "redis://h"
    if name == "subscriptions":
        with pytest.raises(ConfigurationError, match="external_streams"):
            plan_migration({name: ["a"]})
        return
    plan = plan_migration({name: value})
    assert name in plan.remove
    assert any(name in note for note in plan.notes)


def test_how_streams_are_trimmed_survives_a_migration_and_the_way_through_json():
    config = EnhancedMessageBusConfig(
        connection="redis://h", streams=StreamSettings(trimming=TrimmingSettings(max_age_mins=5))
    )
    assert migrate_messagebus_config(config) == config
    assert EnhancedMessageBusConfig.parse(config.json()) == config
    assert changed_fields(config.streams) == {"trimming": {"max_age_mins": 5}}
    plan = plan_migration({"streams": {"trimming": {}}, "connection": "redis://h"})
    assert plan.apply({"streams": {"trimming": {}}})["streams"] == {"trimming": {}}


def test_who_has_external_streams_is_told_that_they_are_read_otherwise():
    streams = {"external_streams": ["a"]}
    (note,) = plan_migration(streams).notes
    assert "consumer group" in note
    assert plan_migration(streams | {"ingress": "stock"}).notes == ()
    assert plan_migration({}).notes == ()
    # Who wants our publisher only keeps the stock reader.
    plan = plan_migration(streams, publisher_only=True)
    assert plan.put["ingress"] == "stock"
    assert plan.notes == ()
