"""
A child process that serves, says in one line of JSON how to reach it, and ends with its parent.

The child runs in a session of its own, so that Ctrl-C reaches the parent first. Its standard
input is a pipe: however the parent ends, the pipe closes and the child knows.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import select
import signal
import subprocess
import sys
import tempfile
from typing import Any
from typing import Final


STOP_TIMEOUT_S: Final = 3.0


class ServingChild:
    """
    Start a module that serves, and stop it again.

    Parameters
    ----------
    module : str
        The module to run with this interpreter.
    *arguments : str
        Its arguments.
    """

    def __init__(self, module: str, *arguments: str) -> None:
        self._module = module
        # Not from the current folder, where users have files of whatever name (-P).
        self._command = [sys.executable, "-P", "-m", module, *arguments]
        self._process: subprocess.Popen[str] | None = None

    def __repr__(self) -> str:
        state = "stopped" if self._process is None else f"pid={self._process.pid}"
        return f"{type(self).__name__}({self._module}, {state})"

    def start(self, timeout_s: float) -> dict[str, Any]:
        """
        Start the child and return what its first line says.

        Parameters
        ----------
        timeout_s : float
            Seconds to wait for that line.

        Returns
        -------
        dict
            The line's JSON object; with only an ``error`` if the child did not get that far.
        """
        with tempfile.TemporaryFile() as errors:
            self._process = subprocess.Popen(  # noqa: S603 (our own interpreter and modules)
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )
            atexit.register(self.stop)
            try:
                line = self._next_line(timeout_s)
            except BaseException:
                self.stop()
                raise
            if line:
                answer: dict[str, Any] = json.loads(line)
                return answer
            self.stop()
            errors.seek(0)
            last = errors.read().decode(errors="replace").strip().splitlines()[-1:]
            return {"error": "".join(last) or f"it said nothing within {timeout_s:.0f} s"}

    def ask(self, request: str, timeout_s: float) -> dict[str, Any]:
        """
        Send the child a line and return what it answers.

        Parameters
        ----------
        request : str
            The line, without its end.
        timeout_s : float
            Seconds to wait for the answer.

        Returns
        -------
        dict
            The answer's JSON object; with only an ``error`` if there was none.
        """
        if self._process is None:
            return {"error": "it is stopped"}
        stdin = self._process.stdin
        assert stdin is not None  # noqa: S101 (a pipe was asked for)
        try:
            stdin.write(f"{request}\n")
            stdin.flush()
        except OSError as error:
            return {"error": f"it is gone: {error}"}
        line = self._next_line(timeout_s)
        if not line:
            return {"error": f"it gave no answer within {timeout_s:.0f} s"}
        answer: dict[str, Any] = json.loads(line)
        return answer

    def stop(self) -> None:
        """Stop the child, within 3 seconds or by force; calling it twice is harmless."""
        process, self._process = self._process, None
        atexit.unregister(self.stop)
        if process is None:
            return
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                # A request that was interrupted may be left in the pipe to a child that is gone.
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        # The closed pipe asks, then two signals insist.
        for number in (None, signal.SIGTERM, signal.SIGKILL):
            if number is not None:
                process.send_signal(number)
            try:
                process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                continue
            return

    def _next_line(self, timeout_s: float) -> str:
        assert self._process is not None  # noqa: S101 (`start` made it)
        stdout = self._process.stdout
        assert stdout is not None  # noqa: S101 (a pipe was asked for)
        readable, _, _ = select.select([stdout], [], [], timeout_s)
        return stdout.readline() if readable else ""
