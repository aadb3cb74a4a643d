"""
The error tree: one root, one branch for each cause.

Each class says whose fault it is and what to do about it. Errors of redis-py, hiredis and the
operating system never leave the package: they are translated in `connection.py`.
"""

from __future__ import annotations

from typing import Any

from nautilus_enhanced.common.redaction import redacted


class EnhancedBusError(Exception):
    """The root of all errors that this package raises on purpose."""


class ConfigurationError(EnhancedBusError, ValueError):
    """
    A setting is outside of what is allowed: the user's to mend.

    Parameters
    ----------
    field : str
        The full name of the field, such as ``buffers.normal.flush_interval_ms``.
    value : object
        The value it had. What its place or its form tell to be a secret is hidden: who mistakes
        one field for another may have put a password there.
    allowed : str
        What is allowed, as the end of the sentence "allowed: ...".
    remedy : str, optional
        What to do about it, when that does not follow from `allowed`.
    """

    def __init__(self, field: str, value: object, allowed: str, remedy: str = "") -> None:
        self.field = field
        self.value = redacted(value, field.rpartition(".")[2])
        self.allowed = allowed
        self.remedy = remedy
        sentence = f"`{field}` was {self.value!r}, allowed: {allowed}"
        super().__init__(f"{sentence}. {remedy}" if remedy else sentence)

    def __reduce__(self) -> tuple[Any, ...]:
        # The inherited one would make it from its sentence alone, and break the worker that does.
        return type(self), (self.field, self.value, self.allowed, self.remedy)


class HostError(EnhancedBusError):
    """The installed NautilusTrader, or what is installed beside it, cannot carry a feature."""


class UnsupportedVersionError(HostError):
    """The NautilusTrader version was never tried: install one that is supported."""


class PatchVerificationError(HostError):
    """A module of NautilusTrader is not as the patch expects: report the version to us."""


class MissingExtraError(HostError):
    """
    An optional dependency is not installed: install the named extra.

    Parameters
    ----------
    extra : str
        The extra of the ``nt-enhanced`` distribution that brings the dependency.
    needed_for : str
        What was asked for, as the subject of the sentence "... needs the extra".
    """

    def __init__(self, extra: str, needed_for: str) -> None:
        self.extra = extra
        self.needed_for = needed_for
        super().__init__(
            f"{needed_for} needs the extra `{extra}`: run `pip install 'nt-enhanced[{extra}]'`",
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.extra, self.needed_for)


class ServerError(EnhancedBusError):
    """The Redis or Valkey server, or the way to it."""


class ServerUnreachableError(ServerError):
    """No answer within the time limit, or the connection broke: retried by the writer."""


class LoginRefusedError(ServerError):
    """The server refused user or password: the user's to mend, an error in every mode."""


class EmbeddedServerError(ServerError):
    """The embedded server could not be started: the sentence says what stood in the way."""


class JournalError(EnhancedBusError):
    """The journal on disk cannot be read or written: the sentence says why and what is done."""


class JournalBusyError(JournalError):
    """Another process has the journal: end it, or give this node a trader ID of its own."""


class RejectedMessageError(EnhancedBusError):
    """
    A handler will never take this message: it goes to the dead letters at once.

    Raise it in a handler of a subscription, for what no second try can help.
    """


class PublishError(EnhancedBusError):
    """A message was not taken, or its fate is not known."""


class BufferFullError(PublishError):
    """The lane of the message is full and its policy refuses: slow down, or enlarge the lane."""


class ClientClosedError(PublishError):
    """The client is closed: the caller's to mend."""


class AckUnavailableError(PublishError):
    """The server cannot give the acknowledgement asked for: nothing was sent; mend the server."""


class NotConfirmedError(PublishError):
    """The message is in its stream, so do not repeat it, but more than that is not sure."""


class IndeterminateError(PublishError):
    """
    The message was sent and may or may not be in its stream: nobody can know.

    Publish it again only if its readers can tell that they have it already.
    """


class NotAcceptedError(PublishError):
    """The server refused the message for good, or the client was closed before it was sent."""


class RequestError(EnhancedBusError):
    """A request got no good reply."""


class RequestTimeoutError(RequestError):
    """Nobody replied in time: start who responds, or wait longer. It may be done all the same."""


class RequestFailedError(RequestError):
    """
    Who responds raised, or the reply is not what was asked for.

    Parameters
    ----------
    message : str
        The sentence.
    error_type : str
        The class of what was raised there.
    """

    def __init__(self, message: str, error_type: str = "") -> None:
        self.error_type = error_type
        super().__init__(message)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.error_type)


class GroupInUseError(EnhancedBusError):
    """A group or consumer has work in hand that would be forgotten: stop it first, or force it."""
