"""Migration of files: only the bus changes, formatting stays, and the way back is exact."""

from __future__ import annotations

import json

import pytest
from hypothesis import assume
from hypothesis import given
from hypothesis import strategies as st
from nautilus_trader.common.config import MessageBusConfig
from nautilus_trader.live.config import TradingNodeConfig

from nautilus_enhanced import EnhancedMessageBusConfig
from nautilus_enhanced import parse_node_config
from nautilus_enhanced.common.redaction import redacted
from nautilus_enhanced.infrastructure.messagebus import ConfigurationError
from nautilus_enhanced.migration import migrate_text
from nautilus_enhanced.migration import revert_text
from nautilus_enhanced.migration.json_text import find
from nautilus_enhanced.migration.json_text import members
from nautilus_enhanced.migration.json_text import put_in
from nautilus_enhanced.migration.json_text import redact_text
from nautilus_enhanced.migration.json_text import take_out


PRESETS = [None, "development", "production", "high_frequency"]
FILE = """\
{
    "trader_id" : "NODE-007",

    "message_bus": {
        "database": {"host": "db", "port": 6379},
        "encoding": "json"
    },
    "strategies": [ ]
}
"""


def test_only_lines_of_the_bus_are_put_in():
    change = migrate_text(FILE, preset="production")
    assert change.notes == ()
    assert change.text == FILE.replace(
        '        "database"',
        '        "path": "nautilus_enhanced:EnhancedMessageBusConfig",\n        "database"',
    ).replace(
        '"encoding": "json"\n',
        '"encoding": "json",\n'
        '        "fallback": "raise",\n'
        '        "streams": {"close_timeout_ms": 15000},\n'
        '        "durability": {\n'
        '            "critical": "always",\n'
        '            "high": "always",\n'
        '            "normal": "spill",\n'
        '            "fsync": true\n'
        "        }\n",
    )


def test_what_does_not_fit_a_line_is_indented():
    text = migrate_text(FILE, preset="high_frequency").text
    assert (
        '        "buffers": {\n            "normal": {\n                "max_messages": 1000000,'
    ) in text


def test_line_ends_stay_as_they_are():
    text = migrate_text(FILE.replace("\n", "\r\n"), preset="high_frequency").text
    assert text.count("\r\n") == text.count("\n")


def test_steps_forward_and_back():
    first = migrate_text(FILE, publisher_only=True).text
    assert parse_node_config(first).message_bus.dispatch is None
    assert parse_node_config(first).message_bus.serializer == "stock"
    second = migrate_text(first).text
    assert second == migrate_text(FILE).text
    assert migrate_text(second, publisher_only=True).text == first
    assert revert_text(second).text == revert_text(first).text == FILE


# -- any file ------------------------------------------------------------------------------------

SPACE = st.sampled_from(["", " ", "\n", "\n  ", "\n\n\t", "\r\n    ", "  "])


@st.composite
def written(draw, value):
    """Draw a way to write a JSON value."""
    space = draw(SPACE)
    if isinstance(value, dict):
        pairs = [
            f"{json.dumps(k)}{draw(SPACE)}:{draw(SPACE)}{draw(written(v))}"
            for k, v in value.items()
        ]
        return f"{{{space}{f'{draw(SPACE)},{space}'.join(pairs)}{draw(SPACE)}}}"
    return json.dumps(value, ensure_ascii=draw(st.booleans()))


BUSES = st.fixed_dictionaries(
    {},
    optional={
        "database": st.sampled_from(
            [None, {}, {"host": "h"}, {"port": 1, "ssl": False}, {"password": 'p"ä\\'}]
        ),
        "encoding": st.sampled_from(["json", "msgpack"]),
        "buffer_interval_ms": st.sampled_from([None, 10, 5_000]),
        "streams_prefix": st.sampled_from(["stream", "ü{}[],:"]),
        "external_streams": st.sampled_from([None, ["a"]]),
    },
)
NODES = st.fixed_dictionaries(
    {},
    optional={
        "message_bus": st.none() | BUSES,
        "trader_id": st.just("NODE-007"),
        "loop_debug": st.booleans(),
        "logging": st.sampled_from([None, {"log_level": "ERROR"}]),
    },
).flatmap(lambda node: st.tuples(st.just(node), written(node)))


@given(node=NODES, preset=st.sampled_from(PRESETS), publisher_only=st.booleans())
def test_any_file_is_migrated_and_comes_back(node, preset, publisher_only):
    document, text = node
    options = {"preset": preset, "publisher_only": publisher_only}
    change = migrate_text(text, **options)
    migrated, config = json.loads(change.text), parse_node_config(change.text)
    stock = TradingNodeConfig.parse(text)
    assert isinstance(config.message_bus, EnhancedMessageBusConfig)
    # Nothing that was there is another, and it stands in the same order.
    given_bus = document.get("message_bus") or {}
    assert {k: v for k, v in migrated.items() if k != "message_bus"} == {
        k: v for k, v in document.items() if k != "message_bus"
    }
    assert {k: migrated["message_bus"][k] for k in given_bus} == given_bus
    assert [k for k in migrated["message_bus"] if k in given_bus] == list(given_bus)
    if stock.message_bus is not None and "connection" not in migrated["message_bus"]:
        assert config.message_bus.to_stock() == stock.message_bus
    assert migrate_text(change.text, **options).text == change.text
    # And back: to the byte, but for a bus that says nothing.
    assert revert_text(change.text, (text,)).text == text
    reverted = revert_text(change.text)
    if given_bus:
        assert reverted.text == text
    else:
        assert (TradingNodeConfig.parse(reverted.text).message_bus or MessageBusConfig()) == (
            stock.message_bus or MessageBusConfig()
        )


@given(data=st.data(), value=BUSES, first=st.booleans())
def test_taking_out_what_was_put_in_gives_the_text_from_before(data, value, first):
    text = data.draw(written(value))
    more = put_in(text, 0, "path", {"a": [1, {"b": "c" * 80}]}, first=first)
    assert json.loads(more) == value | {"path": {"a": [1, {"b": "c" * 80}]}}
    keys = [member.key for member in members(more, 0)]
    assert keys == (["path", *value] if first else [*value, "path"])
    assert take_out(more, 0, "path") == text
    assert take_out(text, 0, "path") == text


# -- the way back of what was edited -------------------------------------------------------------


def test_the_original_is_known_also_after_an_edit_of_our_settings():
    original = '{"message_bus": {}, "loop_debug":true}'
    text = migrate_text(original).text.replace("Config", "Config", 1)
    edited = text.replace('Config"', 'Config", "dispatch": {"slice_us": 99}')
    assert edited != text
    change = revert_text(edited, ("not JSON", FILE, original))
    assert change.text == original
    assert change.notes == ("The original is given back as it was.",)


def test_an_edit_of_stock_settings_is_kept_and_losses_are_said():
    text = migrate_text(FILE, preset="production").text.replace("NODE-007", "NODE-008")
    change = revert_text(text, (FILE,))
    assert change.text == FILE.replace("NODE-007", "NODE-008")
    assert change.notes == (
        "Settings of the enhanced bus only, taken out: `fallback`, `streams`, `durability`.",
    )


@pytest.mark.parametrize(
    ("connection", "database"),
    [
        ("redis://u:p@h:1/0", {"host": "h", "port": 1, "username": "u", "password": "p"}),
        ({"url": "rediss://h"}, {"host": "h", "ssl": True}),
    ],
)
def test_the_server_of_a_url_becomes_the_database(connection, database):
    text = json.dumps({"message_bus": {"connection": connection, "encoding": "json"}})
    change = revert_text(text)
    assert json.loads(change.text) == {"message_bus": {"encoding": "json", "database": database}}
    assert any("names the server" in note for note in change.notes)


@pytest.mark.parametrize("url", ["redis://:Zq7Xw@h/3", "unix:///run/x.sock", "embedded"])
def test_a_server_that_stock_cannot_name_is_said(url):
    change = revert_text(json.dumps({"message_bus": {"connection": url}}))
    assert json.loads(change.text) == {}
    assert "publishes nowhere" in change.notes[-1]
    assert "Zq7Xw" not in str(change.notes)


@pytest.mark.parametrize(
    ("bus", "database", "note"),
    [
        (
            {"database": {"host": "h"}, "connection": {"password_env": "NT_TEST_PASSWORD"}},
            {"host": "h"},
            "`connection.password_env` keeps elsewhere is not written",
        ),
        (
            {"connection": {"url": "redis://bus@h:1", "password_file": "PLACE"}},
            {"host": "h", "port": 1, "username": "bus"},
            "`connection.password_file` keeps elsewhere is not written",
        ),
        (
            {
                "database": {"host": "h", "ssl": True},
                "connection": {"tls_ca_file": "ca.pem", "tls_verify": False},
            },
            {"host": "h", "ssl": True},
            "nothing like `connection.tls_ca_file`, `connection.tls_verify`",
        ),
        (
            # What else is wrong does not stand in the way.
            {
                "database": {"host": "h"},
                "connection": {"password_env": "NT_TEST_PASSWORD"},
                "dispatch": {"slice_us": -1},
            },
            {"host": "h"},
            "`connection.password_env`",
        ),
    ],
    ids=str,
)
def test_a_login_that_is_lost_on_the_way_back_is_said_and_not_written(
    bus, database, note, monkeypatch, tmp_path
):
    monkeypatch.setenv("NT_TEST_PASSWORD", "Zq7Xw")
    place = tmp_path / "password"
    place.write_text("Zq7Xw")
    text = json.dumps({"message_bus": bus}).replace("PLACE", str(place))
    change = revert_text(text)
    assert json.loads(change.text) == {"message_bus": {"database": database}}
    assert note in change.notes[-1]
    assert "Zq7Xw" not in change.text + str(change.notes)


def test_a_stock_file_is_left_alone():
    assert revert_text(FILE) == (FILE, ())


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            '{"message_bus": {"encoding": "json", "encoding": "json"}}',
            "`message_bus.encoding` was 'given twice', allowed: each name once",
        ),
        ('{"strategies": [1, {"a": {"b": 1, "c": [], "b": 2}}]}', "`strategies[1].a.b` was 'given"),
        ('{"loop_debug": true, "loop_debug": true}', "`loop_debug` was 'given twice'"),
        ('{"message_bus": [1]}', "an object, or null"),
        ('{"environment": "backtest"}', "A backtest has no live bus"),
        ('{"exec_engine": {"qsize": "x"}}', "exec_engine.qsize"),
        ('{"message_bus": {"encoding": "pickle"}}', "message_bus.encoding"),
        ("{", "not JSON"),
    ],
)
def test_a_file_that_is_no_configuration_is_refused(text, sentence):
    with pytest.raises(ConfigurationError) as caught:
        migrate_text(text)
    assert sentence in str(caught.value)


def test_the_way_back_refuses_a_name_that_comes_twice():
    with pytest.raises(ConfigurationError, match=r"`message_bus\.publisher` was 'given twice'"):
        revert_text('{"message_bus": {"publisher": true, "publisher": false}}')


def test_flat_names_are_rewritten():
    text = json.dumps({"message_bus": {"redis_host": "h", "client_id": "x", "max_workers": 3}})
    change = migrate_text(text)
    assert json.loads(change.text) == {
        "message_bus": {
            "path": "nautilus_enhanced:EnhancedMessageBusConfig",
            "database": {"host": "h"},
            "workers": {"max_workers": 3},
        }
    }
    assert any("`client_id`" in note for note in change.notes)


def test_a_filter_that_stock_cannot_read_is_taken_out_on_the_way_back():
    text = json.dumps(
        {
            "message_bus": {
                "publisher": True,
                "encoding": "json",
                "types_filter": ["nautilus_trader.model.data:QuoteTick"],
            }
        }
    )
    change = revert_text(text)
    assert json.loads(change.text) == {"message_bus": {"encoding": "json"}}
    assert "`message_bus.types_filter` is taken out" in change.notes[-1]
    # The original had it, too: it is what was there, and cannot be run.
    original = text.replace('"publisher": true, ', "")
    change = revert_text(text, (original,))
    assert change.text == original
    assert "cannot read its `message_bus.types_filter`: remove it" in change.notes[0]
    with pytest.raises(ConfigurationError) as caught:
        parse_node_config(original)
    assert str(caught.value).startswith("`message_bus.types_filter[0]` was 'nautilus_trader.")
    assert "Remove the field" in str(caught.value)


# -- secrets -------------------------------------------------------------------------------------


def test_a_redacted_text_differs_in_its_secrets_only():
    text = """{ "a" : {"password": "Zq7Xw", "url":"redis://u:Zq7Xw@h:1/0"},
      "clients": [{"api_secret": ["Zq7Xw", {"x": "Zq7Xw"}], "password": null,
      "passphrase": 5}, "https://x/y"] }"""
    assert redact_text(text) == (
        text.replace('"Zq7Xw"', '"***"').replace("u:Zq7Xw@", "***@").replace("5}", '"***"}')
    )


@given(node=NODES)
def test_redacting_a_text_is_redacting_its_data(node):
    document, text = node
    assume(document)
    assert json.loads(redact_text(text)) == redacted(document)


def test_a_member_is_found():
    assert find(FILE, 0, "strategies").key == "strategies"
    assert find(FILE, 0, "nothing") is None
