"""Secrets: found by their place, hidden wherever they stand."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from hypothesis import assume
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from nautilus_enhanced.common.redaction import HIDDEN
from nautilus_enhanced.common.redaction import Redactor
from nautilus_enhanced.common.redaction import is_secret_name
from nautilus_enhanced.common.redaction import redacted
from nautilus_enhanced.common.redaction import secrets_in
from nautilus_enhanced.common.redaction import secrets_of_environment


PASSWORDS = st.text(st.characters(codec="utf-8", exclude_characters="*"), min_size=4, max_size=20)


@pytest.mark.parametrize(
    "name",
    ["password", "BINANCE_API_SECRET", "api_key", "DB_PASS", "passwd", "GITHUB_TOKEN", "PASS2"],
)
def test_names_of_secrets(name):
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    ["password_env", "password_file", "url", "use_instance_id", "passive", "compass_bearing"],
)
def test_names_of_other_things(name):
    assert not is_secret_name(name)


def test_a_password_in_the_place_of_a_variable_s_name_is_one():
    data = {"password_env": "Zq7-Xw", "also": "it is Zq7-Xw", "file_env": "a b"}
    assert redacted(data) == {"password_env": HIDDEN, "also": "it is ***", "file_env": "a b"}
    assert redacted({"password_env": "BUS_PASSWORD"}) == {"password_env": "BUS_PASSWORD"}


@settings(deadline=None)
@given(password=PASSWORDS, raw=st.booleans())
def test_no_password_of_a_configuration_is_left(password, raw):
    assume(password.lower() not in {"true", "false", "none", "null"})
    shown = password if raw else quote(password, "")
    data = {
        "connection": {"url": f"redis://user:{shown}@localhost:6379/0"},
        "database": {"password": password, "port": 6379},
        "list": [f"it said: {password}", {"note": shown}],
    }
    redactor = Redactor(secrets_in(data))
    clean = redactor.data(data)
    assert not redactor.found_in(clean)
    assert clean["database"] == {"password": HIDDEN, "port": 6379}
    assert password not in clean["list"][0].removeprefix("it said: ")
    assert "user" not in clean["connection"]["url"]
    # With a distinctive one, in the bytes that are written too.
    if len(password) > 8 and password.isalnum():
        assert password not in json.dumps(clean, ensure_ascii=False)


PLAIN = st.recursive(
    st.none() | st.integers() | st.booleans(),
    lambda inner: (
        st.lists(inner)
        # A number under such a name may be the secret.
        | st.dictionaries(st.text().filter(lambda name: not is_secret_name(name)), inner)
    ),
)


@settings(deadline=None)
@given(PLAIN)
def test_what_is_no_text_stays_as_it_is(data):
    assert Redactor(["1234"]).data(data) == data


def test_variables_of_the_environment_are_looked_at_by_name_and_as_urls():
    environ = {
        "EXCHANGE_SECRET": "by-its-name",
        "REDIS_URL": "redis://:in-a-url@host:1",
        "CACHE": "redis://host?password=as-an-option",
        "HOME": "/home/me",
        "USE_TOKEN": "true",
    }
    redactor = Redactor(secrets_of_environment(environ))
    text = redactor.text("by-its-name in-a-url as-an-option /home/me true")
    assert text == f"{HIDDEN} {HIDDEN} {HIDDEN} /home/me true"


def test_a_secret_that_is_a_number_or_deeper_is_hidden_too():
    data = {"password": 12345678, "credentials": {"user": "me-too", "on": True}, "port": 6379}
    redactor = Redactor(secrets_in(data))
    clean = redactor.data(data | {"note": "12345678 by me-too"})
    assert clean == {
        "password": HIDDEN,
        "credentials": {"user": HIDDEN, "on": True},
        "port": 6379,
        "note": f"{HIDDEN} by {HIDDEN}",
    }


def test_short_secrets_are_hidden_where_they_stand_alone():
    redactor = Redactor(["ab"])
    assert redactor.data(["ab", "about"]) == [HIDDEN, "about"]


def test_a_login_is_hidden_though_nobody_knew_it():
    text = Redactor([]).text("no way to rediss://me:unknown@host:1/0?password=x&a=1, sorry")
    assert text == f"no way to rediss://{HIDDEN}@host:1/0?password={HIDDEN}&a=1, sorry"


def test_it_does_not_show_what_it_looks_for():
    assert repr(Redactor(["hidden-value"])) == "Redactor(1 secrets)"
