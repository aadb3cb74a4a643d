"""The child processes of the demo: started together, heard together, never left behind."""

from __future__ import annotations

import contextlib
import queue
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Final
from typing import NamedTuple


STOP_TIMEOUT_S: Final = 2.5
KILL_TIMEOUT_S: Final = 1.0
MAX_LINES: Final = 10_000


class Line(NamedTuple):
    """A line that a child wrote, or None when it has ended."""

    child: Child
    text: str | None


class Child:
    """
    Run a module of ours with this interpreter.

    The child has a session of its own, so that Ctrl-C reaches the parent alone, which then
    stops everything in order. Its standard input is a pipe from the parent: it ends when the
    parent says so or is gone, however that came about.

    Parameters
    ----------
    name : str
        What to call it.
    module : str
        The module to run.
    arguments : list[str]
        Its arguments.
    lines : queue.Queue[Line]
        Gets what it writes to standard output.
    log_dir : Path
        Where its standard error goes.
    """

    def __init__(
        self,
        name: str,
        module: str,
        arguments: list[str],
        lines: queue.Queue[Line],
        log_dir: Path,
    ) -> None:
        self.name = name
        self.log_path = log_dir / f"{name}.err"
        self._lines = lines
        with self.log_path.open("wb") as errors:
            self.process = subprocess.Popen(  # noqa: S603 (our own interpreter and modules)
                # Not from the current folder, where users have files of whatever name (-P).
                [sys.executable, "-P", "-m", module, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name}, pid={self.process.pid})"

    def ask_to_finish(self) -> None:
        """Close the child's standard input; doing it twice is harmless."""
        if self.process.stdin is not None and not self.process.stdin.closed:
            self.process.stdin.close()

    def errors(self) -> str:
        """Return what the child wrote to standard error."""
        return self.log_path.read_text(errors="replace").strip()

    def _read(self) -> None:
        assert self.process.stdout is not None  # noqa: S101 (a pipe was asked for)
        for text in self.process.stdout:
            self._lines.put(Line(self, text.rstrip("\n")))
        self.process.wait()
        self._lines.put(Line(self, None))


class Family:
    """
    The children of one demo run; leaving the ``with`` block stops all of them.

    Parameters
    ----------
    log_dir : Path
        Where the children's standard errors go.
    """

    def __init__(self, log_dir: Path) -> None:
        self._log_dir = log_dir
        self._children: list[Child] = []
        self.lines: queue.Queue[Line] = queue.Queue(MAX_LINES)

    def __enter__(self) -> Family:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, name: str, module: str, *arguments: str) -> Child:
        """Start a child."""
        child = Child(name, module, list(arguments), self.lines, self._log_dir)
        self._children.append(child)
        return child

    def next_line(self, timeout_s: float) -> Line | None:
        """Return the next line of any child, or None when none came in time."""
        try:
            return self.lines.get(timeout=timeout_s)
        except queue.Empty:
            return None

    def stop(self) -> None:
        """Ask all children to finish, then force them: within 3.5 seconds in all."""
        children, self._children = self._children, []
        for child in reversed(children):
            child.ask_to_finish()
        deadline = time.monotonic() + STOP_TIMEOUT_S
        for child in reversed(children):
            _wait(child, max(0.0, deadline - time.monotonic()))
        for child in children:
            if child.process.poll() is None:
                child.process.kill()
        for child in children:
            _wait(child, KILL_TIMEOUT_S)


def _wait(child: Child, timeout_s: float) -> None:
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.process.wait(timeout_s)
