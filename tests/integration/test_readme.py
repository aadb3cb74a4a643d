"""What the README shows works as it stands there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest


pytestmark = pytest.mark.usefixtures("unmeasured")


ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
PYTHON = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
SHELL = re.findall(r"```\n(.*?)```", README, re.DOTALL)


def test_the_python_snippets_run_one_after_the_other(server):
    # The one thing to change is where the server is.
    code = "\n".join(PYTHON).replace("port=6379", f"port={server.port}")
    code = code.replace("redis://localhost:6379", server.connection_url)
    done = subprocess.run(
        [sys.executable, "-c", code + "\nnode.dispose()"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    promised = re.search(r"^# (dispatch: .*); \.\.\.$", code, re.MULTILINE).group(1)
    assert promised in done.stdout
    assert "# healthy ()" in code
    assert "healthy ()" in done.stdout


def test_every_make_target_that_is_named_exists():
    named = set(
        re.findall(
            r"(?:^|`)make (\w+)", README + (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE
        )
    )
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert named <= targets
    assert {"demo", "test"} <= named


@pytest.mark.parametrize("path", sorted(set(re.findall(r"(?:python )(examples/\S+\.py)", README))))
def test_every_example_that_is_named_exists(path):
    assert (ROOT / path).is_file()


def test_every_option_of_the_demo_that_is_named_exists():
    done = subprocess.run(
        [sys.executable, "-m", "nautilus_enhanced.cli", "demo", "--help"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    lines = [line for line in README.splitlines() if "demo" in line]
    for option in set(re.findall(r"--[a-z-]+", "\n".join(lines))) - {"--help"}:
        assert option in done.stdout


def test_the_columns_of_the_demo_are_those_that_are_shown():
    from nautilus_enhanced.cli.demo import report  # noqa: PLC0415 (this test only)

    source = Path(report.__file__).read_text()
    block = next(block for block in SHELL if "orders submitted / filled" in block)
    rows, _, sentence = block.partition("\n\n")
    for line in rows.strip().splitlines()[1:]:
        label = re.split(r"\s{2,}", line.strip())[0]
        assert label.split(",")[0] in source
    assert sentence.startswith("OK: ")


def test_the_statement_of_independence_is_there():
    assert "not affiliated with, endorsed by, or supported by Nautech" in " ".join(README.split())
