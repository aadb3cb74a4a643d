"""`nt-enhanced patches` as the maintainer of a fork uses it, and a node on the patched tree."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


CONTRACT = Path(__file__).resolve().parents[1] / "contract"
KERNEL = Path("nautilus_trader", "system", "kernel.py")


def run(*command, **env):
    return subprocess.run(
        [sys.executable, *map(str, command)],
        check=False,
        capture_output=True,
        text=True,
        timeout=90.0,
        env=os.environ | {name: str(value) for name, value in env.items()},
    )


def patches(*options):
    return run("-m", "nautilus_enhanced.cli", "patches", *options)


@pytest.fixture
def tree(tmp_path):
    """Return a folder with a tree that has the installed kernel as its own."""
    done = run(CONTRACT / "patched_tree.py", tmp_path / "fork")
    assert done.returncode == 0, done.stderr
    return tmp_path / "fork"


def test_a_fork_is_checked_changed_and_restored(tree):
    kernel = tree / KERNEL
    before = kernel.read_bytes()
    checked = patches("check", "--tree", tree)
    assert checked.returncode == 0, checked.stderr
    assert "every part of the bus can run on it" in checked.stdout
    shown = patches("diff", "--tree", tree)
    assert shown.returncode == 0
    assert "+    @kernel_hook" in shown.stdout
    assert kernel.read_bytes() == before
    for words in ("has the hook now", "has the hook already: nothing was changed"):
        applied = patches("apply", "--tree", tree)
        assert applied.returncode == 0
        assert words in applied.stdout
    assert patches("diff", "--tree", tree).stdout == ""
    for words in ("is without the hook again", "has no hook: nothing was changed"):
        reverted = patches("revert", "--tree", tree)
        assert reverted.returncode == 0
        assert words in reverted.stdout
    assert kernel.read_bytes() == before


def test_a_tree_that_is_unknown_or_half_patched_is_refused(tree):
    kernel = tree / KERNEL
    patches("apply", "--tree", tree)
    half = kernel.read_text().replace("    @kernel_hook  # nt-enhanced: kernel hook 1\n", "")
    unknown = "class NautilusKernel:\n    def __init__(self, name):\n        pass\n"
    for text, words in (
        (half, "a part of a hook"),
        (unknown, "expected ('self', 'name', 'config'"),
    ):
        kernel.write_text(text)
        refused = patches("apply", "--tree", tree)
        assert refused.returncode == 1
        assert "was left as it is" in refused.stderr
        assert words in refused.stderr
        assert "Traceback" not in refused.stderr
        assert kernel.read_text() == text
        assert patches("check", "--tree", tree).returncode == 1
    assert patches("apply", "--tree", tree / "nowhere").returncode == 2


def test_the_list_and_the_help_need_no_tree():
    listed = patches("list")
    assert "nautilus_trader.system.kernel" in listed.stdout
    shown = patches("--help")
    assert "Examples:" in shown.stdout
    assert "Exits with 0" in shown.stdout


@pytest.mark.parametrize("hook", ["source", "switched off"])
def test_a_node_on_a_patched_tree_needs_no_hook_at_run_time(tree, hook):
    assert patches("apply", "--tree", tree).returncode == 0
    disable = "1" if hook == "switched off" else ""
    done = run(
        CONTRACT / "contract_fallback.py", "fallback", "enhanced", "{}",
        PYTHONPATH=os.pathsep.join((str(tree), str(CONTRACT))), NT_ENHANCED_DISABLE=disable,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "kernel (in the source of this NautilusTrader)" in done.stdout
    is_on = hook == "source"
    assert ("on: dispatch, serializer" in done.stdout) == is_on
    assert ('"EnhancedLiveDataEngine"' in done.stdout) == is_on
    assert '"net": 10.0' in done.stdout


PROGRAM = """
import sys
{before}
from nautilus_trader.system import kernel
print(kernel.__file__)
print(hasattr(kernel.NautilusKernel.__init__, "__wrapped__"))
print(sorted(name for name in sys.modules if name in ("redis", "nautilus_enhanced.config")))
"""


@pytest.mark.parametrize("has_package", [True, False])
def test_a_patched_tree_without_our_configuration_imports_nothing_of_weight(tree, has_package):
    assert patches("apply", "--tree", tree).returncode == 0
    before = "" if has_package else "sys.modules['nautilus_enhanced'] = None"
    done = run("-c", PROGRAM.format(before=before), PYTHONPATH=tree)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:3] == [str(tree / KERNEL), str(has_package), "[]"]
