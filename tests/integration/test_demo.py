"""The demo as a user runs it: the real command, processes, venue, server and node."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import nautilus_trader
import pytest

from nautilus_enhanced.cli.demo.venues import DEMO_VENUES


# As the command is run: what it imports is not looked for in the current folder.
DEMO = [sys.executable, "-P", "-m", "nautilus_enhanced.cli", "demo"]
SHARED = Path(__file__).resolve().parents[3] / "shared" / "market_data"
PRIORITIES = {"CRITICAL", "HIGH", "NORMAL", "LOW"}


def run_demo(*arguments, timeout=120, **kwargs):
    return subprocess.run(
        [*DEMO, *arguments], capture_output=True, text=True, timeout=timeout, check=False, **kwargs
    )


def processes_of(folder):
    """Return the command lines of processes whose temporary folder it is."""
    found = []
    for process in Path("/proc").iterdir():
        if not process.name.isdecimal():
            continue
        try:
            environment = (process / "environ").read_bytes()
            state = (process / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if f"TMPDIR={folder}\0".encode() in environment and state != "Z":
            found.append((process / "cmdline").read_bytes().replace(b"\0", b" "))
    return found


def wait_until_nothing_runs(folder):
    deadline = time.monotonic() + 15
    while processes_of(folder) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert processes_of(folder) == []


@pytest.fixture(scope="module")
def both_buses(tmp_path_factory):
    path = tmp_path_factory.mktemp("demo") / "both.json"
    # In a folder of somebody who has files of whatever name.
    for name in ("aiohttp.py", "msgspec.py", "redis.py"):
        (path.parent / name).write_text("raise SystemExit('not this one')")
    env = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
    arguments = ("--seconds", "4", "--bus", "both", "--json", str(path))
    done = run_demo(*arguments, cwd=path.parent, env=env)
    return done, json.loads(path.read_text()) if path.exists() else None


def test_both_buses_pass(both_buses):
    done, result = both_buses
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith("OK: ")
    assert set(result) == {"stock", "enhanced"}


@pytest.mark.parametrize("bus", ["stock", "enhanced"])
def test_orders_were_filled_and_nothing_was_lost_or_doubled(both_buses, bus):
    report = both_buses[1][bus]
    assert report["ok"] is True
    assert report["bus"] == bus
    assert report["server"] == "embedded"
    assert report["quotes"] > 1_000
    assert report["trades"] > 10
    assert report["orders_submitted"] >= report["orders_filled"] > 5
    assert report["orders_rejected"] > 0
    assert report["orders_canceled"] > 0
    assert report["lost"] == report["duplicated"] == report["undecodable"] == 0
    assert set(report["published"]) == set(report["acknowledged"]) == PRIORITIES
    assert report["consumed"] >= sum(report["published"].values())
    latency = report["order_event_latency_ms"]
    assert 0 < latency["p50"] <= latency["p99"] <= latency["max"]


def test_the_server_acknowledged_everything_on_the_enhanced_bus_only(both_buses):
    result = both_buses[1]
    expected = ["dispatch", "publisher", "ingress", "serializer", "adapters"]
    assert result["enhanced"]["features"] == expected
    for lane, published in result["enhanced"]["published"].items():
        assert result["enhanced"]["acknowledged"][lane] >= published
    assert result["enhanced"]["published"]["HIGH"] > 50
    assert sum(result["stock"]["acknowledged"].values()) == 0
    assert result["stock"]["features"] == []


ONLY_1231 = pytest.mark.skipif(
    nautilus_trader.__version__.startswith("1.221."),
    reason="the venue's clients of 1.221 cannot be pointed at a loopback venue",
)


@ONLY_1231
def test_one_node_trades_on_all_venues(tmp_path):
    path = tmp_path / "all.json"
    done = run_demo("--venue", "all", "--seconds", "4", "--json", str(path))
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(path.read_text())
    assert report["venues"] == list(DEMO_VENUES)
    assert report["problems"] == []
    assert report["lost"] == report["duplicated"] == 0
    each = report["order_event_latency_by_venue_ms"]
    assert list(each) == list(DEMO_VENUES)
    assert sum(one["events"] for one in each.values()) == report["order_event_latency_ms"]["events"]
    # A message leaves before it arrives: what is measured came by no other way.
    assert all(0 < one["p50"] <= one["p99"] for one in each.values())
    for name in DEMO_VENUES:
        assert f"  on {name}, p99" in done.stdout


@ONLY_1231
@pytest.mark.parametrize("venue", ["bybit", "okx"])
def test_a_recording_is_replayed_by_any_venue(venue, tmp_path):
    recording = tmp_path / "quotes.csv"
    rows = [f"{1_600_000_000_000 + 20 * i},{100 + i % 7}.10,{100 + i % 7}.20" for i in range(400)]
    recording.write_text("timestamp,bid,ask\n" + "\n".join(rows) + "\n")
    done = run_demo(
        "--venue", venue, "--seconds", "2", "--replay", str(recording), "--symbol", "ETH/USDT"
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(
    not nautilus_trader.__version__.startswith("1.221."), reason="about a version's clients"
)
@pytest.mark.parametrize("venue", ["bybit", "okx", "all"])
def test_clients_of_another_version_get_a_sentence(venue):
    done = run_demo("--venue", venue, timeout=60)
    assert done.returncode == 2
    assert "version 1.231" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_a_recording_is_replayed_on_a_server_of_the_users_own(tmp_path, server):
    recording = tmp_path / "quotes.csv"
    rows = [f"{1_600_000_000_000 + 20 * i},{100 + i % 7}.10,{100 + i % 7}.20" for i in range(400)]
    recording.write_text("timestamp,bid,ask\n" + "\n".join(rows) + "\n")
    done = run_demo(
        "--seconds", "3", "--replay", str(recording), "--symbol", "BTC/USDT",
        "--redis-url", server.connection_url, "--json", "-",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    # Standard output is the result and nothing else; what is for people is beside it.
    assert json.loads(done.stdout)["quotes"] > 50
    assert "OK: " in done.stderr
    # A server that is not ours is left as it was.
    import redis  # noqa: PLC0415 (this test only)

    assert not list(redis.Redis.from_url(server.connection_url).scan_iter(match="trader-DEMO-*"))


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared recordings are not beside the checkout")
@pytest.mark.parametrize("name", ["btcusdt-quotes.parquet", "usdjpy-ticks.csv"])
def test_shared_recordings_are_replayed(name):
    # The ticks have a gap of 3.1 s (at this speed) behind the first quote, which is sent at the
    # first subscription and may be over before the one for quotes: trade beyond it.
    done = run_demo("--seconds", "6", "--speed", "50", "--replay", str(SHARED / name))
    assert done.returncode == 0, done.stdout + done.stderr


# -- outages --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def chaos(tmp_path_factory):
    path = tmp_path_factory.mktemp("demo") / "chaos.json"
    done = run_demo("--chaos", "--bus", "enhanced", "--seconds", "8", "--json", str(path))
    return done, json.loads(path.read_text()) if path.exists() else None


def test_nothing_is_lost_or_doubled_when_the_server_is_killed(chaos):
    done, report = chaos
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith("OK: 0 lost, 0 doubled of ")
    assert report["ok"] is True
    assert report["problems"] == []
    assert report["lost"] == report["duplicated"] == report["out_of_order"] == 0
    figures = report["chaos"]
    # What was acknowledged is in the streams, and the consumer got all of it.
    assert figures["stored"] == report["consumed"] == sum(report["acknowledged"].values())
    assert figures["stored"] >= sum(report["published"].values()) > 1_000
    assert figures["consumer_missed"] == figures["consumer_doubled"] == 0
    assert figures["consumer_reconnects"] == len(figures["outages"])


def test_the_server_was_really_killed_and_kept_what_it_had(chaos):
    outages = chaos[1]["chaos"]["outages"]
    # A machine that is very busy gets to one only.
    assert outages
    pids = [outages[0]["killed_pid"], *(outage["started_pid"] for outage in outages)]
    assert len(set(pids)) == 1 + len(outages)
    assert [outage["killed_pid"] for outage in outages] == pids[:-1]
    for outage in outages:
        assert 0 < outage["entries_before"] <= outage["entries_after"]
        assert outage["down_s"] >= 0.5
    assert outages[-1]["entries_after"] < chaos[1]["chaos"]["stored"]


def test_the_figures_of_outages_go_with_each_other(chaos):
    done, report = chaos
    figures = report["chaos"]
    outages = figures["outages"]
    assert figures["down_s"] == pytest.approx(sum(outage["down_s"] for outage in outages), abs=0.01)
    resumed_ms = [outage["resumed_ms"] for outage in outages]
    assert resumed_ms[-1] >= 0.0
    assert figures["resumed_ms_max"] == (None if None in resumed_ms else max(resumed_ms))
    # 200 quotes a second come at least while the server is away.
    assert figures["waiting_max"] > 100
    down, all_events = figures["order_event_latency_down_ms"], report["order_event_latency_ms"]
    assert 0 < down["events"] < all_events["events"]
    assert down["max"] <= all_events["max"]
    lines = done.stdout.splitlines()
    for number, outage in enumerate(outages, 1):
        killed = f"outage {number}/2: server killed (pid {outage['killed_pid']}), for "
        back = f"outage {number}/2: server back (pid {outage['started_pid']}) after "
        (first,) = (i for i, line in enumerate(lines) if killed in line)
        (second,) = (i for i, line in enumerate(lines) if back in line)
        assert first < second


# -- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--seconds", "0"], "Invalid value for '--seconds'"),
        (["--replay", "nowhere.csv"], "'nowhere.csv' is not a file that can be read"),
        (["--json", "/nowhere/x.json"], "'/nowhere/x.json' cannot be written"),
        (["--redis-url", "http://x"], "`--redis-url` was 'http://x', allowed:"),
        (["--redis-url", "redis://127.0.0.1:1/0"], "does not answer"),
        (["--chaos", "--redis-url", "redis://127.0.0.1:1/0"], "is not the demo's to kill"),
        (["--chaos", "--seconds", "3"], "outages need `--seconds` 6 or more, was 3"),
        (["--venue", "kraken"], "'kraken' is not one of 'binance', 'bybit', "),
        (["--venue", "all", "--venue-port", "9001"], "one port cannot be that of several venues"),
        (["--bus", "fast"], "'fast' is not one of 'stock', 'enhanced', 'both'"),
        (["--nonsense"], "No such option"),
    ],
)
def test_bad_input_gets_a_sentence_and_exit_code_2(arguments, sentence):
    done = run_demo(*arguments, timeout=60)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    "content", [b"", b"\x00\x01garbage", b"a,b\n1,2\n", b"timestamp,bid,ask\n"]
)
@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_a_corrupt_recording_gets_a_sentence_and_exit_code_2(tmp_path, content, ending):
    recording = tmp_path / f"bad{ending}"
    recording.write_bytes(content)
    done = run_demo("--replay", str(recording), timeout=60)
    assert done.returncode == 2
    assert str(recording) in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_a_port_in_use_gets_a_sentence_and_exit_code_2():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = run_demo("--venue-port", str(taken.getsockname()[1]), timeout=60)
    assert done.returncode == 2
    assert "choose another port" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_no_folder_for_temporary_files_gets_a_sentence_and_exit_code_2(tmp_path):
    # Making every candidate of `tempfile` unusable needs a user without rights; root has them
    # everywhere, so an unusable TMPDIR is all that can be shown here.
    code = (
        "import tempfile, sys; tempfile._candidate_tempdir_list = lambda: ['/nowhere'];"
        "sys.argv = ['nt-enhanced', 'demo']; from nautilus_enhanced.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "No usable temporary directory" in done.stderr
    assert "Traceback" not in done.stderr


# -- interruption --------------------------------------------------------------------------------


def unmeasured():
    """
    Return the environment without what has coverage measured.

    What coverage runs before a process's first line swallows any exception, so an interruption
    that comes just then as well.
    """
    return {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}


def demo_in_an_outage(folder):
    """Start the demo and return it when the server has just been killed."""
    process = subprocess.Popen(
        [*DEMO, "--chaos", "--bus", "enhanced", "--seconds", "60"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env=os.environ | {"TMPDIR": str(folder)},
    )
    for line in process.stdout:
        if "server killed" in line:
            return process
    raise AssertionError("the server was not killed")


@pytest.mark.parametrize("delay_s", [0.0, 0.6])
def test_an_interruption_in_an_outage_stops_everything(tmp_path, delay_s):
    # Of seed 1 the first outage lasts 1.8 s.
    process = demo_in_an_outage(tmp_path)
    time.sleep(delay_s)  # the moment of the interruption is the parameter of this test
    process.send_signal(signal.SIGINT)
    # Within five seconds where nothing else is at work.
    out, _ = process.communicate(timeout=30)
    wait_until_nothing_runs(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert "Traceback" not in out
    assert process.returncode == 130


def test_nothing_runs_on_when_the_demo_is_killed_in_an_outage(tmp_path):
    process = demo_in_an_outage(tmp_path)
    process.kill()
    process.communicate()
    wait_until_nothing_runs(tmp_path)


@pytest.mark.parametrize(
    ("number", "delay_s"),
    [
        *((signal.SIGINT, delay_s) for delay_s in (0.25, 0.6, 1.0, 2.0, 4.0)),
        (signal.SIGTERM, 2.0),
    ],
)
def test_an_interruption_stops_everything_soon(tmp_path, delay_s, number):
    process = subprocess.Popen(
        [*DEMO, "--seconds", "60"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env=unmeasured() | {"TMPDIR": str(tmp_path)},
    )
    time.sleep(delay_s)  # the moment of the interruption is the parameter of this test
    os.killpg(process.pid, number)
    # Within five seconds where nothing else is at work.
    out, _ = process.communicate(timeout=30)
    wait_until_nothing_runs(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert "Traceback" not in out
    # A signal that comes before Python has set up anything ends the process by itself.
    assert process.returncode in (130, -number)


def test_nothing_runs_on_when_the_demo_is_killed(tmp_path):
    process = subprocess.Popen(
        [*DEMO, "--seconds", "60"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | {"TMPDIR": str(tmp_path)},
    )
    for line in process.stdout:
        if "trading" in line:
            break
    process.kill()
    process.wait()
    process.stdout.close()
    wait_until_nothing_runs(tmp_path)
