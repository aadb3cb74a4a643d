"""The configuration: stock's fields, ours, their limits, and what is said about secrets."""

from __future__ import annotations

import msgspec
import pytest
from nautilus_trader.common.config import DatabaseConfig
from nautilus_trader.common.config import MessageBusConfig
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.data import TradeTick

from nautilus_enhanced import EnhancedMessageBusConfig
from nautilus_enhanced.config import database_of
from nautilus_enhanced.infrastructure.messagebus import BufferedMessageBusClient
from nautilus_enhanced.infrastructure.messagebus import BufferSettings
from nautilus_enhanced.infrastructure.messagebus import ConfigurationError
from nautilus_enhanced.infrastructure.messagebus import ConnectionSettings
from nautilus_enhanced.infrastructure.messagebus import DispatchSettings
from nautilus_enhanced.infrastructure.messagebus import LaneSettings
from nautilus_enhanced.infrastructure.messagebus import MonitoringSettings
from nautilus_enhanced.infrastructure.messagebus import PrioritySettings
from nautilus_enhanced.infrastructure.messagebus import StreamNaming
from nautilus_enhanced.infrastructure.messagebus import StreamSettings
from nautilus_enhanced.infrastructure.messagebus import TopicRule
from nautilus_enhanced.infrastructure.messagebus import TrimmingSettings
from nautilus_enhanced.infrastructure.messagebus import WorkerSettings


# A value that is not the default, for each field that any supported version has.
STOCK_VALUES = {
    "database": DatabaseConfig(host="db", port=1234, username="u", password="hunter2"),
    "encoding": "json" if MessageBusConfig().encoding == "msgpack" else "msgpack",
    "timestamps_as_iso8601": True,
    "buffer_interval_ms": 20,
    "autotrim_mins": 30,
    "use_trader_prefix": False,
    "use_trader_id": False,
    "use_instance_id": True,
    "streams_prefix": "other",
    "stream_per_topic": False,
    "external_streams": ["a", "b"],
    "types_filter": [QuoteTick, TradeTick],
    "heartbeat_interval_secs": 5,
}
OURS = {
    "publisher": False,
    "dispatch": DispatchSettings(slice_us=100, min_share=0.1, hard_limit_factor=3),
    "fallback": "raise",
    "buffers": BufferSettings(low=LaneSettings(flush_interval_ms=500)),
    "priorities": PrioritySettings(topics=(TopicRule(pattern="a.*", priority="low"),)),
    "streams": StreamSettings(batch_messages=10),
    "workers": WorkerSettings(max_workers=9),
    "monitoring": MonitoringSettings(health_interval_secs=2.0),
}


@pytest.mark.parametrize("field", MessageBusConfig.__struct_fields__)
def test_a_stock_field_is_kept_and_means_the_same(field):
    assert field in STOCK_VALUES, "the installed version has a field that this test does not know"
    value = STOCK_VALUES[field]
    stock = MessageBusConfig(**{field: value})
    assert value != getattr(MessageBusConfig(), field)
    ours = EnhancedMessageBusConfig(**{field: value})
    assert isinstance(ours, MessageBusConfig)
    assert getattr(ours, field) == value
    assert ours.to_stock() == stock
    assert type(ours.to_stock()) is MessageBusConfig


def test_the_defaults_of_stock_fields_are_stocks():
    assert EnhancedMessageBusConfig().to_stock() == MessageBusConfig()


def test_json_round_trip_with_everything_set():
    stock = {field: STOCK_VALUES[field] for field in MessageBusConfig.__struct_fields__}
    config = EnhancedMessageBusConfig(**stock, **OURS)
    assert EnhancedMessageBusConfig.parse(config.json()) == config


@pytest.mark.parametrize("name", ["development", "production", "high_frequency"])
def test_a_preset_survives_json(name):
    config = EnhancedMessageBusConfig.preset(name)
    assert EnhancedMessageBusConfig.parse(config.json()) == config
    assert getattr(EnhancedMessageBusConfig, name)() == config


def test_presets_differ_where_they_say():
    development = EnhancedMessageBusConfig.development()
    production = EnhancedMessageBusConfig.production()
    fast = EnhancedMessageBusConfig.high_frequency(streams_prefix="mine")
    assert development.connection_url() == "embedded"
    assert development.fallback == "stock"
    assert production.fallback == "raise"
    assert production.connection_url() is None
    assert fast.dispatch.slice_us < production.dispatch.slice_us
    assert fast.streams_prefix == "mine"
    with pytest.raises(ConfigurationError, match="preset"):
        EnhancedMessageBusConfig.preset("nonsense")


def test_the_development_preset_takes_a_database_that_is_named():
    config = EnhancedMessageBusConfig.development(database=DatabaseConfig(host="db"))
    assert config.connection_url() == "redis://db:6379"


@pytest.mark.parametrize(
    "json",
    [b'{"nonsense": 1}', b'{"dispatch": {"nonsense": 1}}', b'{"connection": {"nonsense": 1}}'],
)
def test_an_unknown_field_is_refused(json):
    with pytest.raises(msgspec.ValidationError, match="nonsense"):
        EnhancedMessageBusConfig.parse(json)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("publisher", "yes"),
        ("ingress", "nonsense"),
        ("serializer", "nonsense"),
        ("fallback", "explode"),
        ("encoding", "pickle"),
        ("dispatch", {}),
        ("buffers", 1),
        ("streams", None),
        ("connection", 1),
        ("monitoring", None),
        ("external", None),
        ("database", {"host": "h"}),
        ("database", "redis://h"),
        ("external_streams", "abc"),
        ("external_streams", [b"abc"]),
        ("external_streams", {"abc": 1}),
    ],
)
def test_a_value_of_the_wrong_kind_is_named(field, value):
    with pytest.raises(ConfigurationError) as caught:
        EnhancedMessageBusConfig(**{field: value})
    assert f"message_bus.{field}" in str(caught.value)


def test_what_a_field_must_be_is_named():
    with pytest.raises(ConfigurationError, match="allowed: a DatabaseConfig or None"):
        EnhancedMessageBusConfig(database={"host": "h"})
    with pytest.raises(ConfigurationError, match=r"allowed: a StreamSettings$"):
        EnhancedMessageBusConfig(streams={})


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"autotrim_mins": 30}, r"message_bus\.autotrim_mins"),
        ({"publisher": False}, r"message_bus\.streams\.trimming"),
    ],
)
def test_streams_are_trimmed_in_one_way(fields, field):
    trimming = StreamSettings(trimming=TrimmingSettings())
    assert EnhancedMessageBusConfig(streams=trimming, autotrim_mins=0).streams is trimming
    with pytest.raises(ConfigurationError, match=field):
        EnhancedMessageBusConfig(streams=trimming, **fields)


def test_a_client_trims_nothing_by_a_nodes_setting():
    with pytest.raises(ConfigurationError, match=r"streams\.trimming.*start a StreamTrimmer"):
        BufferedMessageBusClient(
            "redis://localhost",
            naming=StreamNaming(trader_id="T-1"),
            streams=StreamSettings(trimming=TrimmingSettings()),
        )
    with pytest.raises(ConfigurationError, match="a TrimmingSettings or None"):
        StreamSettings(trimming={})


@pytest.mark.parametrize(
    ("settings", "field", "low", "high"),
    [
        (DispatchSettings, "slice_us", 50, 100_000),
        (DispatchSettings, "min_share", 0.01, 0.5),
        (DispatchSettings, "hard_limit_factor", 1, 1_000),
        (StreamSettings, "batch_messages", 1, 4_096),
        (StreamSettings, "close_timeout_ms", 0, 60_000),
        (MonitoringSettings, "health_interval_secs", 0.1, 3_600),
        (ConnectionSettings, "connect_timeout_ms", 10, 60_000),
        (LaneSettings, "flush_interval_ms", 0, 1_000),
    ],
)
def test_limits_are_inclusive_and_an_error_names_field_value_and_range(settings, field, low, high):
    for value in (low, high):
        assert getattr(settings(**{field: value}), field) == value
    for value in (low - 1, high + 1):
        with pytest.raises(ConfigurationError) as caught:
            settings(**{field: value})
        assert field in str(caught.value)
        assert repr(value) in str(caught.value)
        assert f"{high:,}" in str(caught.value)


def test_the_stock_flush_interval_is_the_interval_of_the_lanes_that_can_wait():
    settings = EnhancedMessageBusConfig(buffer_interval_ms=25).buffer_settings()
    assert [
        lane.flush_interval_ms
        for lane in (settings.critical, settings.high, settings.normal, settings.low)
    ] == [0, 0, 25, 25]
    own = BufferSettings()
    assert EnhancedMessageBusConfig(buffer_interval_ms=25, buffers=own).buffer_settings() is own
    with pytest.raises(ConfigurationError):
        EnhancedMessageBusConfig(buffer_interval_ms=1_001)


# -- the server ----------------------------------------------------------------------------------


@pytest.mark.parametrize("publisher", [True, False])
def test_a_database_that_nautilus_trader_does_not_know_is_refused(publisher):
    with pytest.raises(ConfigurationError) as caught:
        EnhancedMessageBusConfig(database=DatabaseConfig(type="postgres"), publisher=publisher)
    assert str(caught.value) == "`message_bus.database.type` was 'postgres', allowed: 'redis'"


def test_two_servers_are_refused():
    with pytest.raises(ConfigurationError, match="both given"):
        EnhancedMessageBusConfig(database=DatabaseConfig(), connection="redis://localhost")
    # Time limits of the connection go with either.
    config = EnhancedMessageBusConfig(
        database=DatabaseConfig(host="db", port=1), connection=ConnectionSettings()
    )
    assert config.connection_url() == "redis://db:1"


def test_a_url_is_all_that_a_connection_needs():
    config = EnhancedMessageBusConfig(connection="redis://localhost:1/0")
    assert config.connection == ConnectionSettings(url="redis://localhost:1/0")
    with pytest.raises(ConfigurationError, match=r"connection\.url"):
        EnhancedMessageBusConfig(connection="http://localhost")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (None, None),
        ("embedded", None),
        ("unix:///run/redis.sock", None),
        ("redis://h/3", None),
        ("redis://h?db=3", None),
        ("redis://h", DatabaseConfig(host="h")),
        ("redis://h:1/0", DatabaseConfig(host="h", port=1)),
        (
            "rediss://u:p%40ss@h:1",
            DatabaseConfig(host="h", port=1, username="u", password="p@ss", ssl=True),
        ),
    ],
    ids=str,
)
def test_the_stock_database_of_a_url(url, expected):
    assert database_of(url) == expected
    if expected is not None:
        assert EnhancedMessageBusConfig(connection=url).to_stock().database == expected


@pytest.mark.parametrize(
    "connection",
    [
        ConnectionSettings(url="unix:///run/valkey.sock"),
        ConnectionSettings(url="redis://h/3"),
        ConnectionSettings(url="redis://h", sentinels=("s:26379",)),
        ConnectionSettings(url="rediss://h", tls_ca_file="ca.pem"),
        ConnectionSettings(url="rediss://h", tls_verify=False),
        # One that cannot be read, too.
        ConnectionSettings(url="redis://h", password_file="password"),
    ],
    ids=str,
)
def test_external_streams_from_where_the_stock_reader_cannot_go_are_refused(connection):
    assert EnhancedMessageBusConfig(connection=connection).to_stock().database is None
    with pytest.raises(ConfigurationError, match="External streams are read by the stock reader"):
        EnhancedMessageBusConfig(connection=connection, external_streams=["a"], ingress="stock")
    EnhancedMessageBusConfig(connection=connection, external_streams=["a"])


@pytest.mark.parametrize(
    "server",
    [
        {},
        {"connection": "embedded"},
        {"connection": "rediss://user:word@h:1"},
        {"database": DatabaseConfig(host="h", ssl=True)},
    ],
    ids=str,
)
def test_external_streams_from_where_the_stock_reader_goes_are_allowed(server):
    EnhancedMessageBusConfig(external_streams=["a"], ingress="stock", **server)


@pytest.mark.parametrize("named_by", ["database", "connection"])
@pytest.mark.parametrize("kept_in", ["password_env", "password_file"])
def test_the_stock_publisher_gets_the_password_from_elsewhere(
    named_by, kept_in, tmp_path, monkeypatch
):
    place = "NT_TEST_PASSWORD" if kept_in == "password_env" else str(tmp_path / "password")
    monkeypatch.setenv("NT_TEST_PASSWORD", "hun@ter 2")
    (tmp_path / "password").write_text("hun@ter 2\n")
    database = DatabaseConfig(host="h", port=1, username="bus")
    config = (
        EnhancedMessageBusConfig(
            database=database, connection=ConnectionSettings(**{kept_in: place})
        )
        if named_by == "database"
        else EnhancedMessageBusConfig(
            connection=ConnectionSettings(url="redis://bus@h:1", **{kept_in: place})
        )
    )
    expected = msgspec.structs.replace(database, password="hun@ter 2")
    assert config.to_stock().database == expected
    assert config.stock_server(with_password=False).database == database
    # It is read each time, and stays out of the configuration itself.
    assert b"hun@ter" not in config.json()


@pytest.mark.parametrize(
    ("fields", "obstacle"),
    [
        ({"password_env": "NT_TEST_NOT_SET"}, "NT_TEST_NOT_SET"),
        ({"tls_ca_file": "ca.pem"}, "`connection.tls_ca_file`"),
        ({"tls_cert_file": "cert.pem", "tls_key_file": "key.pem"}, "`connection.tls_key_file`"),
        ({"tls_verify": False}, "`connection.tls_verify`"),
        ({"cluster": True}, "`connection.cluster`"),
        ({"sentinels": ("s:26379",)}, "`connection.sentinels`"),
    ],
    ids=str,
)
def test_a_database_that_stock_cannot_reach_as_it_must_be_is_not_handed_over(fields, obstacle):
    config = EnhancedMessageBusConfig(
        database=DatabaseConfig(host="h", ssl=True),
        connection=ConnectionSettings(**fields),
        # Sentinels do not go with a port, which every database has: refused with the publisher.
        publisher="sentinels" not in fields,
    )
    assert config.to_stock().database is None
    assert obstacle in config.stock_server().obstacle


def test_a_connection_must_go_with_the_stock_database_too():
    database = DatabaseConfig(host="h", password="word")
    with pytest.raises(ConfigurationError, match="password_env"):
        EnhancedMessageBusConfig(
            database=database, connection=ConnectionSettings(password_env="PASSWORD")
        )
    with pytest.raises(ConfigurationError, match="tls_verify"):
        EnhancedMessageBusConfig(database=database, connection=ConnectionSettings(tls_verify=False))


@pytest.mark.parametrize(
    "fields",
    [
        {"connection": "redis://user:hunter2@localhost"},
        {"connection": ConnectionSettings(url="rediss://:hunter2@localhost/0")},
        {"connection": "redis://localhost?password=hunter2"},
        {"database": DatabaseConfig(host="h", password="hunter2")},
        # NautilusTrader 1.221 shows a password of less than four characters.
        {"database": DatabaseConfig(host="h", password="p!w")},
    ],
    ids=str,
)
def test_a_password_is_never_in_what_is_printed(fields):
    config = EnhancedMessageBusConfig(**fields)
    for text in (repr(config), str(config), str(config.connection)):
        assert "hunter2" not in text
        assert "p!w" not in text


@pytest.mark.parametrize("fields", [{}, {"external_streams": ["a"], "publisher": False}])
def test_subscriptions_need_streams_and_the_publisher_that_reads_them(fields):
    dispatch = DispatchSettings(subscriptions=("data.*",))
    EnhancedMessageBusConfig(dispatch=dispatch, external_streams=["a"])
    with pytest.raises(ConfigurationError, match="external_streams"):
        EnhancedMessageBusConfig(dispatch=dispatch, **fields)


@pytest.mark.parametrize(("minutes", "age_ms"), [(None, None), (0, None), (2, 120_000)])
def test_no_minutes_of_trimming_keep_everything_as_stock_does(minutes, age_ms):
    client = BufferedMessageBusClient(
        "redis://localhost", naming=StreamNaming(trader_id="T-1"), autotrim_mins=minutes
    )
    assert client._writer._trim.max_age_ms == age_ms
    with pytest.raises(ConfigurationError, match=r"message_bus\.autotrim_mins"):
        EnhancedMessageBusConfig(autotrim_mins=-1)


def test_a_traceback_of_rich_shows_no_password():
    config = EnhancedMessageBusConfig(database=DatabaseConfig(host="h", password="hunter2"))
    assert "hunter2" not in str(config.__rich_repr__())
    assert "hunter2" not in str(dict(config.__rich_repr__())["database"].__rich_repr__())
