"""The block that a node logs at its start: short, complete and without secrets."""

from __future__ import annotations

import platform

import pytest
from nautilus_trader.common.config import DatabaseConfig

import nautilus_enhanced
from nautilus_enhanced import ConnectionSettings
from nautilus_enhanced import EnhancedMessageBusConfig
from nautilus_enhanced.common.features import Facts
from nautilus_enhanced.common.features import decide
from nautilus_enhanced.infrastructure.messagebus import DurabilitySettings
from nautilus_enhanced.live.banner import banner
from nautilus_enhanced.live.banner import durability_line


PATCHES = {"nautilus_trader.system.kernel": "applied at run time"}
SECRET = "correct-horse"
URL = f"redis://someone:{SECRET}@localhost:6379"
GOOD = {
    "nautilus_trader": "1.231.0",
    "is_supported_version": True,
    "kill_switch": False,
    "is_backtest": False,
    "has_embedded_server": True,
    "kernel_problems": (),
    "engine_problems": (),
    "serializer_problems": (),
    "ingress_problems": (),
}


def lines_of(config, server=None, **facts):
    return banner(decide(config, Facts(**GOOD | facts)), config, PATCHES, server)


def test_it_says_versions_patches_features_durability_and_server():
    lines = lines_of(EnhancedMessageBusConfig(connection=URL), URL)
    assert [line.text for line in lines] == [
        f"nt-enhanced {nautilus_enhanced.__version__}, nautilus_trader 1.231.0, "
        f"Python {platform.python_version()}",
        "patches: nautilus_trader.system.kernel (applied at run time)",
        "on: dispatch, publisher, ingress, serializer",
        "off: adapters (switched off in the configuration) - set `adapters='all'`",
        "durability: memory for all lanes (memory is lost with the process)",
        "server: redis://someone:***@localhost:6379",
    ]
    assert not any(line.is_warning for line in lines)


def test_features_that_are_off_for_one_reason_share_a_line():
    lines = lines_of(EnhancedMessageBusConfig(connection=URL), kill_switch=True)
    (warning,) = (line.text for line in lines if line.is_warning)
    assert warning.startswith("off: dispatch, publisher, ingress, serializer (switched off by")
    assert warning.endswith("unset NT_ENHANCED_DISABLE")
    assert lines[-1].text == "server: redis://someone:***@localhost:6379, by the stock publisher"


def test_a_switch_of_the_user_s_is_no_warning():
    config = EnhancedMessageBusConfig(dispatch=None, publisher=False, serializer="stock")
    lines = lines_of(config)
    assert not any(line.is_warning for line in lines)
    assert lines[-1].text == "server: none, nothing is published"
    assert not any(line.text.startswith("on:") for line in lines)


@pytest.mark.parametrize("connection", ["embedded", f"unix://:{SECRET}@/run/redis.sock"])
def test_a_server_that_only_we_can_reach_is_a_warning_when_we_do_not_publish(connection):
    lines = lines_of(EnhancedMessageBusConfig(connection=connection), kill_switch=True)
    assert lines[-1].is_warning
    assert lines[-1].text.endswith("is beyond the stock publisher, nothing is published")


def test_what_keeps_the_stock_publisher_from_the_server_is_said():
    for connection, obstacle in (
        (ConnectionSettings(tls_verify=False), "(`connection.tls_verify`)"),
        (ConnectionSettings(password_env="NT_NOT_SET"), "(the variable NT_NOT_SET is not set)"),
    ):
        config = EnhancedMessageBusConfig(
            database=DatabaseConfig(host="h", ssl=True), connection=connection
        )
        (*_, line) = lines_of(config, kill_switch=True)
        assert line.is_warning
        assert "rediss://h:6379 is beyond the stock publisher, nothing is published" in line.text
        assert obstacle in line.text


def test_a_backtest_gets_one_line():
    lines = lines_of(EnhancedMessageBusConfig(connection=URL), is_backtest=True)
    assert len(lines) == 1
    assert not lines[0].is_warning


def test_no_password_is_in_it():
    database = DatabaseConfig(host="localhost", username="someone", password=SECRET)
    for config in (
        EnhancedMessageBusConfig(connection=URL),
        EnhancedMessageBusConfig(connection=f"redis://localhost?password={SECRET}"),
        EnhancedMessageBusConfig(database=database),
    ):
        for facts in ({}, {"kill_switch": True}, {"is_supported_version": False}):
            url = config.connection_url() if not facts else None
            assert SECRET not in "".join(line.text for line in lines_of(config, url, **facts))


def test_lanes_that_are_kept_in_different_places_are_told_apart():
    durability = DurabilitySettings(
        critical="always", high="always", normal="spill", directory="/var/lib/bus", fsync=True
    )
    assert durability_line(durability) == (
        "durability: always for critical, high; spill for normal; memory for low; "
        "journal in /var/lib/bus, on disk before it is sent (memory is lost with the process)"
    )
