"""Functions in processes of their own."""

import os
import subprocess
import sys
import time

import pytest

from nautilus_enhanced.benchmarks.harness.apart import EXIT_UNHEARD
from nautilus_enhanced.benchmarks.harness.apart import Apart
from nautilus_enhanced.benchmarks.harness.apart import ApartError
from nautilus_enhanced.benchmarks.harness.apart import call_apart
from nautilus_enhanced.benchmarks.harness.apart import tell


def add(left, right):
    sys.stdout.write("this is not seen")
    return {"sum": left + right, "pid": os.getpid()}


def fail():
    raise ValueError("for this reason")


def end():
    sys.stderr.write("before the end")
    sys.stderr.flush()
    os._exit(3)


def hang():
    time.sleep(60)


def talk(word):
    tell(word)
    return "done"


def test_a_result_comes_back_and_nothing_is_printed(capfd):
    told = call_apart(add, 1, 2)
    assert told["sum"] == 3
    assert told["pid"] != os.getpid()
    assert capfd.readouterr() == ("", "")


def test_one_that_fails_says_why():
    with pytest.raises(ApartError, match="for this reason"):
        call_apart(fail)


def test_one_that_ends_is_shown_with_what_it_said_last():
    with pytest.raises(ApartError, match=r"ended with 3, after:\nbefore the end"):
        call_apart(end)


def test_one_that_hangs_is_ended():
    with Apart(hang) as apart:
        process = apart._process
        with pytest.raises(ApartError, match=r"more than 0\.1 s"):
            apart.result(0.1)
    assert not process.is_alive()


def test_one_that_nobody_hears_ends():
    with Apart(hang) as apart:
        apart._receiver.close()
        apart._process.join(60.0)
        assert apart._process.exitcode == EXIT_UNHEARD


def test_one_may_tell_something_before_it_returns():
    with Apart(talk, "ready") as apart:
        assert apart.told(60.0) == "ready"
        assert apart.has_told(60.0)
        assert apart.result(60.0) == "done"


def test_nobody_is_told_anything_by_a_process_that_was_not_started_so():
    with pytest.raises(RuntimeError, match="not started by call_apart"):
        tell("x")


PROGRAM = """
from nautilus_enhanced.benchmarks.harness import call_apart
from nautilus_enhanced.benchmarks.harness.statistics import coverage

if __name__ == "__main__":
    print(call_apart(coverage, 5, 0))
"""


def test_a_checkout_in_the_current_folder_is_not_taken_for_the_package(tmp_path):
    # Run by a script of another folder, as the command is.
    program, here = tmp_path / "bin" / "program.py", tmp_path / "here"
    program.parent.mkdir()
    program.write_text(PROGRAM)
    (here / "nautilus_enhanced").mkdir(parents=True)
    (here / "nautilus_enhanced" / "__init__.py").touch()
    done = subprocess.run(
        [sys.executable, str(program)],
        cwd=here,
        env={name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.returncode) == ("0.9375\n", 0), done.stderr
