"""
Call a function in a process of its own, which has imported what it needs already.

For what can end its process (a node's shutdown) or changes it for good (its logger), for arms that
must not share an interpreter, and so that no benchmark inherits another one's heap. The processes
are forked from one that only imports: a new interpreter would need a second for NautilusTrader
alone, and most of a quick run would be imports.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import select
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable
from importlib import import_module
from typing import IO
from typing import TYPE_CHECKING
from typing import Any
from typing import Final

import msgspec


if TYPE_CHECKING:
    from multiprocessing.connection import Connection


# Imports that most benchmarks need, made once.
PRELOADED: Final = ("nautilus_enhanced.benchmarks.harness.preloaded",)
JOIN_LIMIT_S: Final = 10.0
OUTPUT_SHOWN: Final = 4_000
EXIT_UNHEARD: Final = 4


class ApartError(RuntimeError):
    """
    What was called in a process of its own did not return.

    Either it failed, which the text tells, or the process ended, or took too long.
    """


class Apart:
    """
    A function that runs in a process of its own, from `with` until its end at the latest.

    Parameters
    ----------
    function : Callable
        A function of a module, whose name is passed on, not the function.
    *arguments : Any
        What it is called with: what JSON can tell.
    """

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self._name = f"{function.__module__}:{function.__qualname__}"
        self._arguments = msgspec.json.encode(arguments)
        self._output: IO[bytes] | None = None

    def __enter__(self) -> Apart:
        # Who runs a benchmark may do so in a checkout, or have a file of the name of a module: what
        # this process starts imports nothing from the current folder.
        os.environ["PYTHONSAFEPATH"] = "1"
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(list(PRELOADED))
        self._output = tempfile.TemporaryFile()
        self._receiver, sender = context.Pipe(duplex=False)
        stdout = f"/proc/{os.getpid()}/fd/{self._output.fileno()}"
        self._process = context.Process(
            target=_serve, args=(sender, self._name, self._arguments, stdout)
        )
        self._process.start()
        sender.close()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.exitcode is None:
            self._process.kill()
            self._process.join(JOIN_LIMIT_S)
        self._receiver.close()
        if self._output is not None:
            self._output.close()

    @property
    def pid(self) -> int:
        """Return the process."""
        return self._process.pid or 0

    def result(self, timeout_s: float) -> Any:
        """
        Wait for what the function returns.

        Raises
        ------
        ApartError
            If it raised, if its process ended, or if that took longer than the timeout.
        """
        answer = self._next(timeout_s)
        while "result" not in answer:
            answer = self._next(timeout_s)
        # What it still has to end ends before the next one is measured.
        self._process.join(JOIN_LIMIT_S)
        return answer["result"]

    def told(self, timeout_s: float) -> Any:
        """
        Wait for the next thing that the function tells.

        Raises
        ------
        ApartError
            If it raised, if its process ended, or if that took longer than the timeout.
        """
        return self._next(timeout_s)["told"]

    def has_told(self, timeout_s: float) -> bool:
        """Return whether it has told something, or does so in time."""
        return self._receiver.poll(timeout_s)

    def _next(self, timeout_s: float) -> Any:
        if not self._receiver.poll(timeout_s):
            raise ApartError(f"{self._name} took more than {timeout_s:g} s{self._said()}")
        try:
            raw = self._receiver.recv_bytes()
        except EOFError:
            self._process.join(JOIN_LIMIT_S)
            code = self._process.exitcode
            raise ApartError(f"{self._name} ended with {code}{self._said()}") from None
        answer = msgspec.json.decode(raw)
        if "error" in answer:
            raise ApartError(f"{self._name} failed:\n{answer['error']}")
        return answer

    def _said(self) -> str:
        if self._output is None:
            return ""
        size = self._output.seek(0, os.SEEK_END)
        self._output.seek(max(0, size - OUTPUT_SHOWN))
        text = self._output.read().decode(errors="replace").strip()
        return f", after:\n{text}" if text else ""


def call_apart(function: Callable[..., Any], *arguments: Any, timeout_s: float = 120.0) -> Any:
    """
    Return what a function of a module returns, called in a process of its own.

    Parameters
    ----------
    function : Callable
        The function.
    *arguments : Any
        What it is called with: what JSON can tell, as its result is.
    timeout_s : float, default 120.0
        For how long at most.

    Raises
    ------
    ApartError
        If it raised, if its process ended, or if that took longer than the timeout.
    """
    with Apart(function, *arguments) as apart:
        return apart.result(timeout_s)


def spare_imports() -> None:
    """
    Have collections pass over what was imported, in a process that stands for one without it.

    Consumers need not import NautilusTrader, and this process has. To look at all that its imports
    have left takes a full collection of the garbage collector 70 ms: most of a p99.
    """
    gc.collect()
    gc.freeze()


class _Teller:
    """Where a function that runs in a process of its own sends what it tells."""

    sender: Connection | None = None


def tell(message: str) -> None:
    """Tell whoever called this process's function something before it returns."""
    if _Teller.sender is None:
        raise RuntimeError("this process was not started by call_apart")
    _Teller.sender.send_bytes(msgspec.json.encode({"told": message}))


def _end_unheard(descriptor: int) -> None:
    """End this process when nobody hears it any more: who asked was killed, or gave up."""
    waiting = select.poll()
    # The end that writes is told of nothing but the other end's closing.
    waiting.register(descriptor, 0)
    waiting.poll()
    os._exit(EXIT_UNHEARD)


def _serve(sender: Connection, name: str, arguments: bytes, stdout: str) -> None:
    """Call a function and send what it returns; nobody sees what it prints unless it fails."""
    descriptor = os.open(stdout, os.O_WRONLY | os.O_APPEND)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    _Teller.sender = sender
    threading.Thread(target=_end_unheard, args=(sender.fileno(),), daemon=True).start()
    module, _, function = name.partition(":")
    try:
        result = getattr(import_module(module), function)(*msgspec.json.decode(arguments))
        answer = msgspec.json.encode({"result": result})
    except Exception:  # noqa: BLE001 (whatever it was is told to who asked)
        answer = msgspec.json.encode({"error": traceback.format_exc()[-OUTPUT_SHOWN:]})
    sender.send_bytes(answer)
    sender.close()
