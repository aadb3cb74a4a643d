"""
Run programs with nodes in processes of their own, without importing NautilusTrader in each.

Importing it takes a process longer than most scenarios do afterwards. So one process imports it
once, and is forked for each program: what the program then sees is a fresh process that has
NautilusTrader among its modules, and nothing of ours.

Not by `multiprocessing`, whose processes end without an end of the interpreter: how a node's
process ends is a part of what is tested.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import warnings
from functools import cache
from pathlib import Path
from typing import IO
from typing import NamedTuple


HERE = Path(__file__).parent
PRELOADED = ("nautilus_trader.live.node", "nautilus_trader.backtest.engine", "redis")
MAX_REQUEST = 150_000
# Plays on several buses begin at the same time, and it is to be one process for all.
_STARTING = threading.Lock()


class Ended(NamedTuple):
    """How a program ended, and all that it wrote."""

    code: int
    output: str


def run_program(
    program: Path, *arguments: str, timeout_s: float, env: dict[str, str] | None = None
) -> Ended:
    """
    Run a program with a node and return how it ended.

    Raises
    ------
    TimeoutError
        If it had not ended in time; it is killed then.
    RuntimeError
        If there is no process to be forked any more.
    """
    request = {
        "program": str(program),
        "arguments": arguments,
        "env": dict(os.environ) | (env or {}),
        "folder": str(Path.cwd()),
    }
    told, status = socket.socketpair()
    with told, tempfile.TemporaryFile() as output:
        with status:
            packet = json.dumps(request).encode()
            socket.send_fds(_server(), [packet], [output.fileno(), status.fileno()])
        told.settimeout(timeout_s)
        # The number of the process, and when it has ended its code.
        with told.makefile("r") as lines:
            process = _number(lines)
            try:
                code = _number(lines)
            except TimeoutError:
                os.killpg(process, signal.SIGKILL)
                raise
        output.seek(0)
        return Ended(code, output.read().decode(errors="replace"))


def _number(lines: IO[str]) -> int:
    line = lines.readline()
    if not line:
        raise RuntimeError("the process that is forked for programs has ended")
    return int(line)


def _server() -> socket.socket:
    """Return the way to the process that is forked."""
    with _STARTING:
        return _start()


@cache
def _start() -> socket.socket:
    """Start the process that is forked, which ends with this one; return the way to it."""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with its:
        subprocess.Popen(
            [sys.executable, __file__, str(its.fileno())],
            pass_fds=[its.fileno()],
            stdin=subprocess.DEVNULL,
        )
    return ours


# -- in the process that is forked -----------------------------------------------------------------


def serve(number: int) -> None:
    """Fork for each request until nobody is there to make one."""
    for module in PRELOADED:
        importlib.import_module(module)
    # Who has ended is of interest to the process in between alone.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(fileno=number) as control:
        while True:
            packet, descriptors, *_ = socket.recv_fds(control, MAX_REQUEST, 2)
            if not packet:
                return
            if _fork() == 0:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                control.close()
                break
            for descriptor in descriptors:
                os.close(descriptor)
    output, status = descriptors
    if process := _fork():
        _tell_end(process, status)
    os.close(status)
    os.setsid()
    _become(json.loads(packet), output)


def _fork() -> int:
    """Fork; the one other thread is the allocator's, which sees to itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def _tell_end(process: int, status: int) -> None:
    """Say which process it is and how it ends, and end without a trace."""
    with contextlib.suppress(BrokenPipeError):
        os.write(status, b"%d\n" % process)
        _, ended = os.waitpid(process, 0)
        os.write(status, b"%d\n" % os.waitstatus_to_exitcode(ended))
    os._exit(0)


def _become(request: dict, output: int) -> None:
    """Be the program."""
    for stream in (1, 2):
        os.dup2(output, stream)
    os.close(output)
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["folder"])
    program = request["program"]
    sys.argv = [program, *request["arguments"]]
    # As an interpreter that was not told to be safe does.
    sys.path.insert(0, str(Path(program).parent))
    runpy.run_path(program, run_name="__main__")


if __name__ == "__main__":
    serve(int(sys.argv[1]))
