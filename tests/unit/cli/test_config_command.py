"""The command ``nt-enhanced config``: exit codes, what is written, and what is never shown."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace

import pytest

from nautilus_enhanced import EnhancedMessageBusConfig
from nautilus_enhanced import parse_node_config
from nautilus_enhanced.cli import app
from nautilus_enhanced.cli.config import files
from nautilus_enhanced.infrastructure.messagebus import ConfigurationError


SECRET = "Zq7Xw"
STOCK = f"""{{
  "trader_id": "NODE-007",
  "message_bus": {{
    "database": {{"host": "db", "password": "{SECRET}"}},
    "encoding": "json"
  }},
  "data_clients": {{"X": {{"path": "a:B", "config": {{"api_secret": "{SECRET}"}}}}}}
}}
"""


@pytest.fixture
def node(tmp_path):
    path = tmp_path / "node.json"
    path.write_text(STOCK)
    path.chmod(0o640)
    return path


@pytest.fixture
def config(monkeypatch, capsys):
    """Return a function that runs the command; no output of any run may show a secret."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["nt-enhanced", "config", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            app.run()
        output = capsys.readouterr()
        if arguments[-2:] != ("--output", "-"):
            assert SECRET not in output.out + output.err
        assert "\x1b" not in output.out + output.err
        return SimpleNamespace(code=caught.value.code, out=output.out, err=output.err)

    return run


# -- check ---------------------------------------------------------------------------------------


def test_a_stock_file_is_right(config, node):
    done = config("check", node)
    assert done.code == 0
    assert "a node with the stock bus" in done.out
    assert done.out.endswith("OK\n")


def test_an_enhanced_file_says_what_will_run(config, node):
    config("migrate", node, "--in-place")
    done = config("check", node)
    assert done.code == 0
    for line in ("server: redis://:***@db:6379", "dispatch: on", "publisher: on", "serializer: on"):
        assert f"  {line}\n" in done.out
    result = json.loads(config("check", node, "--json").out)
    assert result["valid"]
    assert result["bus"] == "enhanced"
    states = {state["feature"]: state["active"] for state in result["features"]}
    assert states == {
        "dispatch": True,
        "publisher": True,
        "ingress": True,
        "serializer": True,
        "adapters": False,
    }
    assert result["problems"] == []


def test_the_kill_switch_is_shown(config, node, monkeypatch):
    config("migrate", node, "--in-place")
    monkeypatch.setenv("NT_ENHANCED_DISABLE", "1")
    done = config("check", node)
    assert done.code == 0
    assert "dispatch: off (switched off by NT_ENHANCED_DISABLE)" in done.out


@pytest.mark.parametrize(
    ("bus", "sentence"),
    [
        ({"connection": {"url": "redis://h", "password_env": "NT_NOT_SET_AT_ALL"}}, "password_env"),
        ({"connection": {"url": "rediss://h", "tls_ca_file": "/nowhere/ca.pem"}}, "tls_ca_file"),
    ],
)
def test_what_cannot_run_here_is_exit_code_1(config, tmp_path, bus, sentence):
    path = tmp_path / "node.json"
    path.write_text(json.dumps({"message_bus": bus}))
    done = config("check", path)
    assert done.code == 1
    assert f"Problem: `connection.{sentence}` was" in done.out
    assert "OK" not in done.out


@pytest.mark.parametrize(
    ("bus", "sentence"),
    [
        ({"external_streams": ["a"], "publisher": True}, "are not read, since no server is"),
        ({"external_streams": ["a"], "publisher": False}, "are not read, since no server is"),
        ({"external_streams": ["a"]}, "the stock node fails when it starts to read them"),
        (
            {"publisher": False, "connection": "unix:///run/x.sock"},
            "unix:///run/x.sock is beyond the stock publisher, nothing is published",
        ),
        (
            {
                "publisher": False,
                "database": {"ssl": True},
                "connection": {"tls_verify": False},
            },
            "nothing is published (`connection.tls_verify`)",
        ),
    ],
    ids=str,
)
def test_what_is_asked_for_and_would_not_happen_is_exit_code_1(config, tmp_path, bus, sentence):
    path = tmp_path / "node.json"
    path.write_text(json.dumps({"message_bus": bus}))
    done = config("check", path)
    assert done.code == 1
    assert sentence in done.out


@pytest.mark.parametrize("fallback", ["stock", "raise"])
def test_a_version_that_was_never_tried_is_exit_code_1(config, tmp_path, monkeypatch, fallback):
    from nautilus_enhanced.live import assembly  # noqa: PLC0415 (this test only)

    monkeypatch.setattr(assembly, "is_supported", lambda _: False)
    path = tmp_path / "node.json"
    path.write_text(json.dumps({"message_bus": {"fallback": fallback}}))
    done = config("check", path)
    assert done.code == 1
    assert ("the node will not start" in done.out) is (fallback == "raise")
    assert ("the stock bus will be used for it" in done.out) is (fallback == "stock")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"a" 1}', "not JSON at line 1, column 6"),
        ('{"message_bus": {"dispatch": {"slice_us": 5}}}', "50 to 100,000"),
        ('{"message_bus": {"redis_host": "h"}}', "config migrate"),
        (
            '{"message_bus": {"publisher": true, "database": {"type": "postgres"}}}',
            "message_bus.database.type",
        ),
        ('{"message_bus": {"database": {"type": "postgres"}}}', "message_bus.database.type"),
        ('{"cache": {"database": {"type": "postgres"}}}', "cache.database.type"),
        ('{"message_bus": {"publisher": true, "publisher": false}}', "message_bus.publisher"),
        ('{"strategies": [], "strategies": []}', "strategies"),
    ],
)
def test_a_wrong_file_is_exit_code_2(config, tmp_path, text, sentence):
    path = tmp_path / "node.json"
    path.write_text(text)
    for arguments in ((), ("--json",)):
        done = config("check", path, *arguments)
        assert done.code == 2
        assert sentence in done.out


@pytest.mark.parametrize("command", ["check", "migrate", "revert"])
def test_a_file_that_cannot_be_read_is_a_sentence(config, tmp_path, command):
    (tmp_path / "latin").write_bytes(b'{"a": "\xff"}')
    for name in ("nowhere", ".", "latin"):
        done = config(command, tmp_path / name)
        assert done.code == 2
        assert "Traceback" not in done.err
        assert "Errno" not in done.err
        assert str(tmp_path / name) in done.err
        assert done.err.count("\n") == 1


# -- migrate -------------------------------------------------------------------------------------


def test_nothing_is_written_unasked(config, node):
    done = config("migrate", node)
    assert done.code == 2
    assert '+    "path": "nautilus_enhanced:EnhancedMessageBusConfig",' in done.out
    assert "Nothing was written: say --in-place" in done.err
    assert node.read_text() == STOCK
    assert config("migrate", node, "--dry-run").code == 0
    assert config("migrate", node, "--dry-run", "--in-place").code == 0
    assert [path.name for path in node.parent.iterdir()] == ["node.json"]


def test_in_place_keeps_a_backup_and_names_the_way_back(config, node):
    done = config("migrate", node, "--in-place", "--preset", "production")
    assert done.code == 0
    backup = node.with_name("node.json.1.bak")
    assert backup.read_text() == STOCK
    assert f"what was there is in {backup}" in done.out
    assert f"The way back: `nt-enhanced config revert {node} --in-place`" in done.out
    assert "parse_node_config" in done.out
    assert {path.stat().st_mode & 0o777 for path in (node, backup)} == {0o640}
    bus = parse_node_config(node.read_text()).message_bus
    assert isinstance(bus, EnhancedMessageBusConfig)
    assert bus.fallback == "raise"
    assert bus.database.password == SECRET
    again = config("migrate", node, "--in-place", "--preset", "production")
    assert again.code == 0
    assert "nothing to change" in again.out
    assert len(list(node.parent.iterdir())) == 2


def test_forward_in_steps_and_back_to_the_byte(config, node):
    assert config("migrate", node, "--publisher-only", "--in-place").code == 0
    assert "dispatch: off" in config("check", node).out
    assert config("migrate", node, "--in-place").code == 0
    assert "dispatch: on" in config("check", node).out
    done = config("revert", node, "--in-place")
    assert done.code == 0
    assert "The original is given back as it was." in done.out
    assert node.read_text() == STOCK
    assert config("revert", node).code == 0
    names = sorted(path.name for path in node.parent.iterdir())
    assert names == ["node.json", *(f"node.json.{number}.bak" for number in (1, 2, 3))]


def test_output_overwrites_only_by_force(config, node, tmp_path):
    target = tmp_path / "new.json"
    assert config("migrate", node, "--output", target).code == 0
    assert node.read_text() == STOCK
    first = target.read_text()
    assert target.stat().st_mode & 0o777 == 0o640
    refused = config("migrate", node, "--output", target, "--publisher-only")
    assert refused.code == 2
    assert "--force" in refused.err
    assert target.read_text() == first
    assert config("migrate", node, "--output", target, "--publisher-only", "--force").code == 0
    assert target.with_name("new.json.1.bak").read_text() == first
    assert config("revert", target, "--in-place").code == 0
    assert target.read_text() == STOCK


def test_output_into_a_folder_that_is_missing_names_the_folder(config, node, tmp_path):
    done = config("migrate", node, "--output", tmp_path / "nowhere" / "new.json")
    assert done.code == 2
    assert f"was '{tmp_path / 'nowhere'}', allowed: one that can be written to" in done.err
    assert ".new.json." not in done.err
    assert "Errno" not in done.err


def test_a_password_in_the_place_of_a_variable_s_name_is_not_shown(config, node):
    for bus in (
        {"connection": {"url": "redis://h", "password_env": f"{SECRET}!"}},
        {"database": {"host": "h"}, "connection": {"password_env": f"{SECRET}!"}},
    ):
        node.write_text(json.dumps({"message_bus": bus}))
        assert "the name of a variable" in config("check", node).out
        for command in ("migrate", "revert"):
            config(command, node)


def test_a_backup_is_found_behind_a_gap(config, node):
    for _ in range(2):
        assert config("migrate", node, "--in-place").code == 0
        assert config("revert", node, "--in-place").code == 0
    node.with_name("node.json.1.bak").unlink()
    node.with_name("node.json.2.bak").unlink()
    assert files.backups(node) != ()


def test_output_to_stdout_is_the_file_alone(config, node):
    done = config("migrate", node, "--output", "-")
    assert done.code == 0
    assert isinstance(parse_node_config(done.out).message_bus, EnhancedMessageBusConfig)
    assert "+++" in done.err
    assert SECRET not in done.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("--in-place", "--output", "x"),
        ("--json", "--output", "-"),
        ("--preset", "nonsense"),
    ],
)
def test_options_that_contradict_are_refused(config, node, arguments):
    assert config("migrate", node, *arguments).code == 2
    assert config("migrate", node, "--output", node).code == 2
    assert node.read_text() == STOCK


def test_the_result_as_json(config, node):
    result = json.loads(config("migrate", node, "--in-place", "--json").out)
    assert result["changed"]
    assert result["written"] == str(node)
    assert result["backup"].endswith("node.json.1.bak")
    assert result["diff"].startswith("--- ")
    assert "config revert" in result["way_back"]


def test_what_is_refused_leaves_the_file(config, node):
    node.write_text('{"message_bus": {"subscriptions": ["data.*"]}}')
    done = config("migrate", node, "--in-place")
    assert done.code == 2
    assert "external_streams" in done.err
    assert node.read_text() == '{"message_bus": {"subscriptions": ["data.*"]}}'


# -- files ---------------------------------------------------------------------------------------


def test_a_write_that_fails_leaves_the_file_and_nothing_else(node, monkeypatch):
    monkeypatch.setattr(files.os, "fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        files.write_text(node, "new", like=node)
    assert node.read_text() == STOCK
    assert [path.name for path in node.parent.iterdir()] == ["node.json"]


def test_a_link_is_followed(config, node):
    link = node.with_name("link.json")
    link.symlink_to(node.name)
    assert config("migrate", link, "--in-place").code == 0
    assert link.is_symlink()
    assert node.read_text() != STOCK
    assert config("revert", link, "--in-place").code == 0
    assert node.read_text() == STOCK


def test_backups_are_bounded(node, monkeypatch):
    monkeypatch.setattr(files, "MAX_BACKUPS", 2)
    files.keep_backup(node)
    files.keep_backup(node)
    with pytest.raises(ConfigurationError, match="2 backups"):
        files.keep_backup(node)
    monkeypatch.setattr(files, "MAX_BYTES", 3)
    assert files.backups(node) == ()
