"""What a server that refuses a command means, as a sentence that says what to do."""

from __future__ import annotations

from typing import Any

from nautilus_enhanced.infrastructure.messagebus.errors import LoginRefusedError
from nautilus_enhanced.infrastructure.messagebus.errors import ServerError
from nautilus_enhanced.infrastructure.messagebus.streams.commands import NO_GROUP
from nautilus_enhanced.infrastructure.messagebus.streams.commands import is_error


def is_missing(answer: Any) -> bool:
    """Return whether an answer says that there is no such key."""
    return is_error(answer, "ERR no such key")


def checked(answer: Any, name: str, key: bytes) -> Any:
    """
    Return an answer that is no error.

    Parameters
    ----------
    answer : Any
        The answer.
    name : str
        The command that was run, such as ``XINFO STREAM``.
    key : bytes
        Its key.

    Raises
    ------
    LoginRefusedError
        If the server wants a login.
    ServerError
        If it is any other error.
    """
    if not is_error(answer):
        return answer
    shown = key.decode("utf-8", "backslashreplace")
    if is_error(answer, "NOAUTH") or is_error(answer, "WRONGPASS"):
        raise LoginRefusedError(f"{name}: {answer}")
    if is_error(answer, "NOPERM"):
        raise ServerError(
            f"the login may not run {name} on {shown} ({answer}): have it allowed on the server "
            f"by `ACL SETUSER <user> +{name.split(maxsplit=1)[0].lower()} ~{shown}`"
        )
    if is_error(answer, "WRONGTYPE"):
        raise ServerError(f"{shown} is no stream: something else has that key")
    if is_error(answer, NO_GROUP):
        raise ServerError(f"{name}: {shown} has no such group, or does not exist ({answer})")
    if is_missing(answer) or is_error(answer, "ERR The XGROUP subcommand requires the key"):
        raise ServerError(f"{name}: there is no stream {shown}")
    if is_error(answer, "OOM"):
        raise ServerError(f"{name}: the server's memory is full ({answer}): trim, or enlarge it")
    raise ServerError(f"{name} on {shown}: {answer}")
