"""What a run says of the machine: who else was at work on it."""

import multiprocessing
import os
import sys

import pytest

from nautilus_enhanced.benchmarks.harness.machine import describe_run


def spin(has_begun):
    has_begun.set()
    while True:
        pass


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it is the load average")
def test_a_process_that_keeps_a_processor_busy_is_seen_at_once():
    context = multiprocessing.get_context("spawn")
    has_begun = context.Event()
    other = context.Process(target=spin, args=(has_begun,), daemon=True)
    other.start()
    try:
        assert has_begun.wait(30.0)
        load = float(describe_run("tiny")["load"])
    finally:
        other.kill()
        other.join(5.0)
    # On a machine that is busy otherwise it gets a share of one processor.
    assert 0.4 <= load <= os.cpu_count()
