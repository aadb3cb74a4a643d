"""
Find secrets, and take them out of what is shown to others.

By their place, such as a field named ``password`` or the login of a URL, and by their value: what
is known to be a secret is hidden wherever it stands.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from typing import Any
from typing import Final
from urllib.parse import quote
from urllib.parse import unquote


if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Iterator
    from collections.abc import Mapping


HIDDEN: Final = "***"
# A shorter one would be found in any text; it is hidden only where it stands alone.
MIN_SEARCHED: Final = 4

_NAMES: Final = re.compile(
    r"(?<![a-z])pass(word|wd|phrase)?(?![a-z])|password|passphrase|secret|token|credential|(api|private|access|secret)_?key|auth",
    re.IGNORECASE,
)
# These say where a secret is kept.
_PLACES: Final = re.compile(r"_(env|file)$", re.IGNORECASE)
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_NO_SECRETS: Final = frozenset({"", "true", "false", "yes", "no", "on", "off", "none", "null"})
_LOGIN: Final = re.compile(r"([a-z][a-z0-9+.-]*://)\S*@", re.IGNORECASE)
# The value of a field is one URL at most, and a password may have anything in it.
_LOGIN_OF_FIELD: Final = re.compile(r"[a-z][a-z0-9+.-]*://(.*)@", re.IGNORECASE | re.DOTALL)
_OPTION: Final = re.compile(
    r"([?&][^=&\s]*(?:pass|secret|token)[^=&\s]*=)([^&\s'\"]+)", re.IGNORECASE
)


def is_secret_name(name: str) -> bool:
    """Return whether a field or variable of this name holds a secret."""
    return bool(_NAMES.search(name)) and not _PLACES.search(name)


def is_variable_name(value: str) -> bool:
    """Return whether an environment variable can have that name, as shells see it."""
    return _VARIABLE.fullmatch(value) is not None


def _is_secret(value: str, name: str) -> bool:
    # What stands in the place of a variable's name and is none may be what the variable holds.
    is_misplaced = (
        name.lower().endswith("_env")
        and _NAMES.search(name) is not None
        and not is_variable_name(value)
    )
    return is_secret_name(name) or is_misplaced


def secrets_in(value: Any, name: str = "") -> Iterator[str]:
    """
    Yield the secrets in plain data: values under telling names, logins and options of URLs.

    Parameters
    ----------
    value : object
        A string, or dictionaries and lists of them, as JSON has them.
    name : str, default ''
        The name that it stands under.
    """
    if isinstance(value, dict):
        inner = name if is_secret_name(name) else ""
        for key, item in value.items():
            yield from secrets_in(item, inner or str(key))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from secrets_in(item, name)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        if is_secret_name(name):
            # A password of digits that somebody wrote without quotes.
            yield str(value)
    elif isinstance(value, str):
        if _is_secret(value, name):
            yield value
        for login in _LOGIN_OF_FIELD.findall(value):
            user, colon, password = login.partition(":")
            yield password if colon else user
        for _, option in _OPTION.findall(value):
            yield option


def secrets_of_environment(environ: Mapping[str, str]) -> Iterator[str]:
    """Yield the secrets in environment variables."""
    yield from secrets_in(dict(environ))


def redacted(value: Any, name: str = "") -> Any:
    """
    Return plain data without the secrets that its own names and URLs tell of.

    Parameters
    ----------
    value : object
        A string, or dictionaries and lists of them, as JSON has them.
    name : str, default ''
        The name that it stands under.
    """
    return Redactor(secrets_in(value, name)).data(value, name)


class Redactor:
    """
    Hide secrets in text and in plain data.

    Parameters
    ----------
    secrets : Iterable[str]
        What is known to be secret. It is hidden as it is and as it stands in a URL.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        known = {secret for secret in secrets if secret.lower() not in _NO_SECRETS}
        known |= {form for secret in known for form in (quote(secret, ""), unquote(secret))}
        self._known = known
        # The longest first, so that no piece of one is left when another is part of it.
        searched = sorted((s for s in known if len(s) >= MIN_SEARCHED), key=len, reverse=True)
        self._searched = re.compile("|".join(map(re.escape, searched))) if searched else None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.count} secrets)"

    @property
    def count(self) -> int:
        """Return how many values are looked for."""
        return len(self._known)

    def text(self, text: str) -> str:
        """Return `text` without secrets."""
        if text in self._known:
            return HIDDEN
        # By value first: what a login in a URL leaves behind could be a piece of one.
        if self._searched is not None:
            text = self._searched.sub(HIDDEN, text)
        text = _LOGIN.sub(rf"\1{HIDDEN}@", text)
        return _OPTION.sub(rf"\1{HIDDEN}", text)

    def data(self, value: Any, name: str = "") -> Any:
        """Return plain data without secrets; what is nobody's secret keeps its type."""
        if isinstance(value, dict):
            inner = name if is_secret_name(name) else ""
            return {key: self.data(item, inner or str(key)) for key, item in value.items()}
        if isinstance(value, list | tuple):
            items = [self.data(item, name) for item in value]
            return tuple(items) if isinstance(value, tuple) else items
        if value is None or value == "" or isinstance(value, bool):
            return value
        if is_secret_name(name) or (isinstance(value, str) and _is_secret(value, name)):
            return HIDDEN
        return self.text(value) if isinstance(value, str) else value

    def found_in(self, value: Any) -> bool:
        """Return whether a secret is left in plain data."""
        if isinstance(value, dict):
            return any(self.found_in(item) for item in value.values())
        if isinstance(value, list | tuple):
            return any(self.found_in(item) for item in value)
        if not isinstance(value, str) or value == HIDDEN:
            return False
        return value in self._known or (
            self._searched is not None and self._searched.search(value) is not None
        )
