"""Reads and writes configuration files: whole or not at all, and never without a copy."""

from __future__ import annotations

import os
import tempfile
from itertools import count
from pathlib import Path
from typing import Final

from nautilus_enhanced.infrastructure.messagebus.errors import ConfigurationError


MAX_BYTES: Final = 16 * 1024 * 1024
MAX_BACKUPS: Final = 999
PRIVATE: Final = 0o600


def read_text(path: Path) -> str:
    """
    Return the text of a file, line ends as they are.

    Raises
    ------
    ConfigurationError
        If it cannot be read, is too large or is not UTF-8.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConfigurationError(
                str(path), f"{path.stat().st_size:,} bytes", f"to {MAX_BYTES:,}"
            )
        return path.read_bytes().decode()
    except UnicodeDecodeError:
        raise ConfigurationError(str(path), "not UTF-8", "a JSON file in UTF-8") from None
    except OSError as error:
        raise ConfigurationError(
            "FILE", str(path), "a file that can be read", f"The system says: {error.strerror}"
        ) from None


def write_text(path: Path, text: str, *, like: Path) -> None:
    """
    Put a text in the place of a file in one step, so that no reader ever finds half of it.

    Parameters
    ----------
    path : Path
        The file; a link is followed.
    text : str
        The text.
    like : Path
        The file whose permissions it gets.

    Raises
    ------
    ConfigurationError
        If nothing can be written in that folder.
    OSError
        If writing fails; the file is as it was.
    """
    target = path.resolve()
    mode = (target if target.exists() else like).stat().st_mode & 0o777
    try:
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    except OSError as error:
        # It would name a temporary file, of which the user has never heard.
        raise ConfigurationError(
            "the folder of the output",
            str(target.parent),
            "one that can be written to",
            f"The system says: {error.strerror}",
        ) from None
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(mode)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def keep_backup(path: Path) -> Path:
    """
    Copy a file to the next free ``NAME.1.bak``, ``NAME.2.bak``, ... beside it, and return that.

    Raises
    ------
    ConfigurationError
        If there are too many already.
    """
    source = path.resolve()
    for number in count(1):
        backup = _backup(source, number)
        if number > MAX_BACKUPS:
            raise ConfigurationError(str(backup), "one more", f"{MAX_BACKUPS} backups of a file")
        try:
            handle = os.open(backup, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
        except FileExistsError:
            continue
        with os.fdopen(handle, "wb") as file:
            file.write(source.read_bytes())
            file.flush()
            os.fsync(file.fileno())
        backup.chmod(source.stat().st_mode & 0o777)
        return backup
    raise AssertionError  # the numbers never end


def backups(path: Path) -> tuple[str, ...]:
    """Return the texts of a file's backups that can be read, the latest first."""
    source, texts = path.resolve(), []
    for number in range(1, MAX_BACKUPS + 1):
        backup = _backup(source, number)
        # Somebody may have tidied up: the numbers can have gaps.
        if not backup.exists():
            continue
        try:
            texts.append(read_text(backup))
        except ConfigurationError:
            continue
    return tuple(reversed(texts))


def _backup(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}.bak")
