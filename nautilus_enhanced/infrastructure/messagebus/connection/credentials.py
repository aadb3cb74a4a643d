"""User and password from elsewhere than the URL: a variable, a file, or the user's own object."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

import redis

from nautilus_enhanced.infrastructure.messagebus.errors import ConfigurationError
from nautilus_enhanced.infrastructure.messagebus.errors import ServerUnreachableError


if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from nautilus_enhanced.infrastructure.messagebus.settings.connection import ConnectionSettings


class GuardedCredentials(redis.CredentialProvider):
    """
    Ask another provider, and translate whatever it raises.

    Parameters
    ----------
    provider : redis.CredentialProvider
        The provider, code of the user's or of a cloud's.
    """

    def __init__(self, provider: Any) -> None:
        self._provider = provider

    def __repr__(self) -> str:
        return f"{type(self).__name__}({type(self._provider).__name__})"

    def get_credentials(self) -> Any:
        """
        Return user and password.

        Raises
        ------
        ServerUnreachableError
            If the provider failed; it is asked again at the next attempt to connect. The text
            of its error is not shown, since it may quote a secret.
        """
        try:
            return self._provider.get_credentials()
        except Exception as error:  # noqa: BLE001 (code of somebody else, on the writer's thread)
            raise ServerUnreachableError(
                f"the credential provider {type(self._provider).__name__} raised "
                f"{type(error).__name__}"
            ) from None


class PasswordSource(redis.CredentialProvider):
    """
    Read the password where it is kept, each time that it is asked for.

    Parameters
    ----------
    user : str or None
        The user's name, if it is not the server's default user.
    place : str
        Where the password is kept, as the subject of "... cannot be read".
    read : Callable[[], str]
        Reads it.
    """

    def __init__(self, user: str | None, place: str, read: Callable[[], str]) -> None:
        self._user = user
        self._place = place
        self._read = read

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._place})"

    @classmethod
    def of(cls, settings: ConnectionSettings, user: str | None) -> Self | None:
        """
        Return the source that the settings name, or None if they name none.

        Raises
        ------
        ConfigurationError
            If it cannot be read.
        """
        variable, file = settings.password_env, settings.password_file
        if variable is not None:
            field, value = "password_env", variable
            allowed = "the name of an environment variable that is set"
            source = cls(user, f"the variable {variable}", lambda: os.environ[variable])
        elif file is not None:
            field, value = "password_file", file
            allowed = "a text file that can be read and is not empty"
            source = cls(user, f"the file {file}", lambda: Path(file).read_text().rstrip("\r\n"))
        else:
            return None
        try:
            source.get_credentials()
        except ServerUnreachableError as error:
            raise ConfigurationError(f"connection.{field}", value, allowed, str(error)) from None
        return source

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        """
        Return user and password.

        Raises
        ------
        ServerUnreachableError
            If the password cannot be read; it is tried again at the next attempt to connect.
        """
        try:
            password = self._read()
        except KeyError:
            raise ServerUnreachableError(f"{self._place} is not set") from None
        except (OSError, ValueError) as error:
            # The text of a decoding error would quote the file.
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            raise ServerUnreachableError(f"{self._place} cannot be read: {reason}") from None
        if not password:
            raise ServerUnreachableError(f"{self._place} is empty")
        return (self._user, password) if self._user else (password,)
