"""A node's JSON: ours and stock's are read, and errors say where."""

from __future__ import annotations

import json

import pytest
from nautilus_trader.common.config import DatabaseConfig
from nautilus_trader.common.config import MessageBusConfig
from nautilus_trader.live.config import TradingNodeConfig
from nautilus_trader.model.data import QuoteTick

from nautilus_enhanced import ConnectionSettings
from nautilus_enhanced import DispatchSettings
from nautilus_enhanced import EnhancedMessageBusConfig
from nautilus_enhanced import parse_node_config
from nautilus_enhanced.cli.config.checking import check_text
from nautilus_enhanced.infrastructure.messagebus import ConfigurationError
from nautilus_enhanced.migration import migrate_text
from nautilus_enhanced.migration import revert_text
from nautilus_enhanced.node_config import CONFIG_PATH
from nautilus_enhanced.node_config import CONFIG_PATHS


STOCK = {
    "trader_id": "NODE-007",
    "environment": "sandbox",
    "logging": {"log_level": "ERROR"},
    "message_bus": {"database": {"host": "db", "port": 1}, "streams_prefix": "mine"},
    "exec_engine": {"qsize": 10},
    "data_clients": {"X": {"path": "a:B", "config": {"api_secret": "s"}}},
    "strategies": [{"strategy_path": "a:B", "config_path": "a:C", "config": {"x": 1.5}}],
}


def parse(**fields):
    return parse_node_config(json.dumps(STOCK | fields))


def bus(**fields):
    return {"path": CONFIG_PATH, **fields}


@pytest.mark.parametrize("document", [STOCK, {}, {"message_bus": None}, {"message_bus": {}}])
def test_a_stock_file_is_read_as_stock_does(document):
    raw = json.dumps(document)
    assert parse_node_config(raw) == TradingNodeConfig.parse(raw)
    assert parse_node_config(raw.encode()) == TradingNodeConfig.parse(raw)
    assert not isinstance(parse_node_config(raw).message_bus, EnhancedMessageBusConfig)


@pytest.mark.parametrize("path", CONFIG_PATHS)
def test_an_enhanced_bus_is_read_and_all_else_is_stocks(path):
    fields = {
        "path": path,
        "database": {"host": "db"},
        "types_filter": ["nautilus_trader.model.data:QuoteTick"],
        "dispatch": {"slice_us": 100},
        "connection": {"connect_timeout_ms": 50},
    }
    config = parse(message_bus=fields)
    assert config.message_bus == EnhancedMessageBusConfig(
        database=DatabaseConfig(host="db"),
        types_filter=[QuoteTick],
        dispatch=DispatchSettings(slice_us=100),
        connection=ConnectionSettings(connect_timeout_ms=50),
    )
    stock = TradingNodeConfig.parse(json.dumps(STOCK))
    for name in TradingNodeConfig.__struct_fields__:
        if name != "message_bus":
            assert getattr(config, name) == getattr(stock, name)


def test_a_field_that_only_ours_has_is_enough():
    assert parse(message_bus={"dispatch": None}).message_bus.dispatch is None


def test_what_a_node_writes_of_itself_is_read_back():
    config = TradingNodeConfig(
        message_bus=EnhancedMessageBusConfig.high_frequency(
            database=DatabaseConfig(host="db", password="hunter2")
        )
    )
    assert parse_node_config(config.json()).message_bus == config.message_bus
    stock = TradingNodeConfig(message_bus=MessageBusConfig(streams_prefix="s"))
    assert parse_node_config(stock.json()) == stock


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        (
            {"message_bus": bus(nonsense=1)},
            "`message_bus.nonsense` was 'given', allowed: no field of",
        ),
        ({"message_bus": bus(dispach={})}, "Did you mean `dispatch`?"),
        (
            {"message_bus": bus(dispatch={"slice_us": "250"})},
            "`message_bus.dispatch.slice_us` was '250', allowed: `int`",
        ),
        (
            {"message_bus": bus(dispatch={"slice_us": 5})},
            "`message_bus.dispatch.slice_us` was 5, allowed: 50 to 100,000 µs",
        ),
        (
            {"message_bus": bus(buffers={"normal": {"flush_interval_ms": 1001}})},
            "`message_bus.buffers.normal.flush_interval_ms` was 1001, allowed: 0 to 1,000 ms",
        ),
        (
            {"message_bus": bus(buffers={"low": {"low_water": 0.9}})},
            "`message_bus.buffers.low.low_water, message_bus.buffers.low.high_water` was",
        ),
        (
            {"message_bus": bus(priorities={"topics": [{"pattern": "a b", "priority": "low"}]})},
            "`message_bus.priorities.topics[0].pattern` was 'a b'",
        ),
        (
            {
                "message_bus": bus(
                    publishing={"rules": [{"pattern": "events.order.*", "publish": False}]}
                )
            },
            "`message_bus.publishing.rules.pattern` was 'events.order.*'",
        ),
        (
            {"message_bus": bus(dispatch={"rules": [{"flow": "orders", "kinds": ["quotes"]}]})},
            "`message_bus.dispatch.rules[0].kinds` was",
        ),
        ({"message_bus": bus(connection="http://h")}, "`message_bus.connection.url` was"),
        (
            {"message_bus": bus(database={"host": "h"}, connection="redis://h")},
            "`message_bus.database, message_bus.connection.url` was 'both given'",
        ),
        ({"message_bus": bus(database={"port": "x"})}, "`message_bus.database.port` was 'x'"),
        (
            {"message_bus": bus(database={"type": "postgres"})},
            "`message_bus.database.type` was 'postgres', allowed: 'redis'",
        ),
        ({"message_bus": bus(types_filter=["a"])}, "`message_bus.types_filter[0]` was 'a'"),
        ({"message_bus": bus(types_filter=["nowhere_at:all"])}, "message_bus.types_filter"),
        ({"message_bus": {"path": "a:B"}}, "`message_bus.path` was 'a:B', allowed: 'nautilus_enh"),
        ({"message_bus": bus(config={})}, "write them beside `path`"),
        ({"message_bus": bus(buffer_interval_ms=0)}, "`message_bus.buffer_interval_ms` was 0"),
        ({"message_bus": {"redis_host": "h"}}, "`nt-enhanced config migrate` rewrites it"),
        ({"exec_engine": {"qsize": "x"}}, "`exec_engine.qsize` was 'x', allowed: `int`"),
        ({"trader_id": "x"}, "`trader_id` was 'x', allowed: a name and a tag with a hyphen"),
        ({"trader_id": "é-1"}, "`trader_id`"),
        ({"trader_id": 5}, "`trader_id` was 5"),
        ({"environment": "x"}, "`environment` was 'x', allowed: 'backtest', 'sandbox', 'live'"),
        (
            {"message_bus": bus(fallback="none")},
            "`message_bus.fallback` was 'none', allowed: 'raise', 'stock'",
        ),
        ({"instance_id": "x"}, "`instance_id` was 'x'"),
        ({"strategies": [{"strategy_path": "a"}]}, "`strategies[0].config_path` was None"),
    ],
    ids=str,
)
def test_an_error_is_a_sentence_with_the_path_of_the_field(fields, sentence):
    with pytest.raises(ConfigurationError) as caught:
        parse(**fields)
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (b'{"a": 1,\n "b" 2}', "not JSON at line 2, column 6"),
        (b"", "not JSON"),
        (b"\xff{}", "not JSON"),
        (b"[]", "`file` was 'list', allowed: a JSON object"),
        ("[" * 100_000, "not JSON"),
        (b'{"a": NaN}', "not JSON at line 1, column 7"),
    ],
    ids=lambda v: str(v)[:20],
)
def test_what_is_not_json_is_said_with_its_place(raw, sentence):
    with pytest.raises(ConfigurationError) as caught:
        parse_node_config(raw)
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    "message_bus",
    [
        bus(database={"host": "h", "password": ["Zq7Xw"]}),
        bus(database={"host": "h", "pasword": "Zq7Xw", "password": 5}),
        bus(conection="redis://:Zq7Xw@h"),
        bus(connection={"uri": "redis://:Zq7Xw@h"}),
        bus(connection="redis://:Zq7Xw@h:port"),
        bus(redis_password="Zq7Xw"),
        {"redis_url": "redis://:Zq7Xw@h"},
        "redis://u:Zq7Xw@h:6379",
        ["redis://u:Zq7Xw@h:6379"],
        bus(database="redis://u:Zq7Xw@h:6379"),
        bus(database={"type": "redis://u:Zq7Xw@h"}),
        bus(database={"timeout": "redis://u:Zq7Xw@h"}),
        bus(database={"password": "Zq7Xw"}, redis_password="Zq7Xw"),
        bus(connection=["redis://u:Zq7Xw@h"]),
        bus(connection={"url": "redis://:Zq7Xw@h", "password_env": "A"}),
        bus(connection={"url": {"redis": "redis://u:Zq7Xw@h"}}),
        bus(types_filter=["redis://u:Zq7Xw@h"]),
        bus(default_buffer_config={"redis_password": "Zq7Xw"}),
        bus(publishing_topics="redis://u:Zq7Xw@h"),
        bus(path="redis://u:Zq7Xw@h"),
        bus(redis_url="redis://u:Zq7Xw@h", redis_host="h"),
        bus(redis_url=["redis://u:Zq7Xw@h"]),
        bus(command_timeout="redis://u:Zq7Xw@h"),
        bus(subscriptions=["redis://u:Zq7Xw@h"]),
        bus(encoding="redis://u:Zq7Xw@h"),
        bus(external_streams=["a"], connection="unix://:Zq7Xw@/run/x.sock", ingress="stock"),
    ],
    ids=str,
)
def test_no_error_shows_a_password(message_bus):
    text = json.dumps(STOCK | {"message_bus": message_bus})
    with pytest.raises(ConfigurationError) as caught:
        parse_node_config(text)
    assert "Zq7Xw" not in str(caught.value)
    assert "Zq7Xw" not in repr(caught.value)
    assert "Zq7Xw" not in "".join(check_text("node.json", text).problems)
    for change in (migrate_text, revert_text):
        # Some of it a migration mends, and of some the way back takes no notice.
        try:
            notes = "".join(change(text).notes)
        except ConfigurationError as error:
            notes = f"{error}{error!r}"
        assert "Zq7Xw" not in notes
