"""The hook as a change of source: exact, both ways, and refused where it does not fit."""

from __future__ import annotations

import ast
from pathlib import Path
from types import SimpleNamespace

import nautilus_trader.system
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from nautilus_enhanced.infrastructure.messagebus.errors import ConfigurationError
from nautilus_enhanced.infrastructure.messagebus.errors import MissingExtraError
from nautilus_enhanced.infrastructure.messagebus.errors import PatchVerificationError
from nautilus_enhanced.patches import PATCHES
from nautilus_enhanced.patches import KernelPatch
from nautilus_enhanced.patches import PatchState
from nautilus_enhanced.patches import kernel_hook
from nautilus_enhanced.patches import source
from nautilus_enhanced.patches.source import HookState
from nautilus_enhanced.patches.tree import ForkTree


SMALL = """import sys


class NautilusKernel:
    def __init__(self, name, config, loop=None, loop_sig_callback=None):
        self.name = name
"""
# What may stand around the class in somebody's fork.
PIECES = [
    "",
    "\n",
    "# a comment\n",
    "x = 1\n",
    "try:\n    import uvloop\nexcept ImportError:\n    uvloop = None\n",
    "if x:\n    pass\n    # the last of a block\n",
    "def f():\n    return 1\n\n\n",
    "@final\n",
    '"""Text."""\n',
    "s = 'é'\n",
]
CLASSES = [
    "class NautilusKernel:\n    def __init__(self):\n        pass\n",
    "class NautilusKernel(Base):\n    '''Text.'''\n\n    x = 1\n    # why\n    @a\n    @b()\n"
    "    def __init__(self): pass\n",
    "class NautilusKernel:\n\tx = 1\n\n\tdef __init__(  # noqa\n\t\tself,\n\t):\n\t\tself.y = 1",
]


# Without a time limit for one example, since the first one imports the parser.
@settings(deadline=None)
@given(
    before=st.lists(st.sampled_from(PIECES), max_size=4).map("".join),
    kernel=st.sampled_from(CLASSES),
    after=st.sampled_from(["", "\n", "\n# end", "y = 2\n"]),
    newline=st.sampled_from(["\n", "\r\n"]),
)
def test_what_is_put_in_is_taken_out_exactly(before, kernel, after, newline):
    text = f"{before}{kernel}{after}".replace("\n", newline).encode()
    try:
        ast.parse(text)
    except SyntaxError:
        return
    assert source.hook_state(text) is HookState.ABSENT
    changed = source.hooked(text)
    ast.parse(changed)
    assert source.hook_state(changed) is HookState.PRESENT
    assert source.hooked(changed) == changed
    assert source.unhooked(changed) == text
    assert source.unhooked(text) == text
    # Nothing that was there is gone, and the constructor's own lines are as they were.
    assert set(text.splitlines()) <= set(changed.splitlines())
    assert (b"\r\n" in changed) == (newline == "\r\n")


def test_a_hook_without_our_package_changes_nothing():
    space = {}
    code = source.hooked(SMALL.encode()).decode()
    code = code.replace("nautilus_enhanced.patches", "nautilus_enhanced_is_not_here")
    exec(code, space)
    kernel = space["NautilusKernel"]("name", None)
    assert kernel.name == "name"
    assert not hasattr(space["NautilusKernel"].__init__, "__wrapped__")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("    @kernel_hook  # nt-enhanced: kernel hook 1\n", ""),
        ("try:  # nt-enhanced: kernel hook 1", "try:"),
        ("return init", "return None"),
        ("kernel hook 1", "kernel hook 0"),
        ("@kernel_hook", "@another"),
    ],
)
def test_a_hook_that_was_changed_is_left_alone(before, after):
    damaged = source.hooked(SMALL.encode()).decode().replace(before, after).encode()
    assert source.hook_state(damaged) is HookState.DAMAGED
    for change in (source.hooked, source.unhooked):
        with pytest.raises(PatchVerificationError, match="by hand"):
            change(damaged)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"x = 1\n",
        b"class NautilusKernel:\n    pass\n",
        b"class NautilusKernel(:\n",
        b"\0",
        b"# coding: bogus\n" + SMALL.encode(),
        b"x = '\xe9'\n" + SMALL.encode(),
        b"# coding: ascii\nx = '\xe9'\n" + SMALL.encode(),
    ],
)
def test_a_source_without_a_kernel_is_refused(text):
    for change in (source.hooked, source.unhooked, source.hook_state):
        with pytest.raises(PatchVerificationError) as caught:
            change(text)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-8", "utf-8-sig"])
def test_a_source_in_any_encoding_is_hooked_and_restored(encoding):
    cookie = "" if encoding.startswith("utf-8") else f"# coding: {encoding}\n"
    text = f"{cookie}x = 'é'\n\x0c\n{SMALL}".encode(encoding)
    changed = source.hooked(text)
    assert source.unhooked(changed) == text
    assert "x = 'é'\n" in "".join(source.lines_of(changed))
    assert len(source.lines_of(text)) == text.count(b"\n")


def test_without_the_parser_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "libcst", None)
    with pytest.raises(MissingExtraError, match=r"nt-enhanced\[forks\]"):
        source.hooked(SMALL.encode())


def test_code_is_looked_at_and_not_run():
    text = b"raise SystemExit\nclass A:\n    def f(self, x):\n        return g(x)\n"
    found = source.code_of(text, "A")
    assert found.f.__code__.co_names == ("g",)
    assert source.code_of(text, "B") is None


# -- a tree --------------------------------------------------------------------------------------


@pytest.fixture
def tree(tmp_path):
    """Return a tree with the kernel and engines that are installed."""
    installed = Path(nautilus_trader.system.__file__).parents[1]
    engines = [f"live/{name}_engine.py" for name in ("data", "risk", "execution")]
    for name in ("system/kernel.py", *engines):
        path = tmp_path / "nautilus_trader" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        # In a patched environment the installed one has the hook.
        text = (installed / name).read_bytes()
        path.write_bytes(source.unhooked(text) if name.startswith("system") else text)
    return tmp_path


def test_the_installed_kernel_is_hooked_and_restored(tree):
    fork = ForkTree(tree)
    before = fork.kernel.read_bytes()
    fork.kernel.chmod(0o640)
    assert fork.kernel_problems() == fork.part_problems() == ()
    shown = fork.diff()
    added = [line for line in shown.splitlines()[2:] if line.startswith("+")]
    assert len(added) == 9
    assert not any(line.startswith("-") for line in shown.splitlines()[2:])
    assert fork.kernel.read_bytes() == before
    assert fork.apply()
    assert fork.diff() == ""
    assert fork.state() is HookState.PRESENT
    assert not fork.apply()
    assert fork.kernel_problems() == ()
    assert fork.revert()
    assert not fork.revert()
    assert fork.kernel.read_bytes() == before
    assert fork.kernel.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in fork.kernel.parent.iterdir()] == ["kernel.py"]


def test_what_was_changed_meanwhile_stays(tree):
    fork = ForkTree(tree / "nautilus_trader")
    before = fork.kernel.read_bytes()
    line, other = b"import time\n", b"import time  # theirs\n"
    fork.apply()
    fork.kernel.write_bytes(fork.kernel.read_bytes().replace(line, other))
    fork.revert()
    assert fork.kernel.read_bytes() == before.replace(line, other)


def test_a_kernel_that_builds_something_else_is_refused_and_left_alone(tree):
    fork = ForkTree(tree)
    changed = fork.kernel.read_bytes().replace(b"LiveRiskEngine(", b"TheirRiskEngine(")
    fork.kernel.write_bytes(changed)
    with pytest.raises(PatchVerificationError, match="does not use LiveRiskEngine"):
        fork.apply()
    assert fork.kernel.read_bytes() == changed


def test_engines_that_do_not_fit_are_told(tree):
    path = tree / "nautilus_trader" / "live" / "risk_engine.py"
    path.write_text(path.read_text().replace("_handle_queue_exception", "_handle_it"))
    assert "LiveRiskEngine._handle_queue_exception is missing" in ForkTree(tree).part_problems()


def test_engines_that_are_missing_are_told_once_each(tree):
    for path in (tree / "nautilus_trader" / "live").iterdir():
        path.unlink()
    names = ("LiveDataEngine", "LiveRiskEngine", "LiveExecutionEngine")
    assert ForkTree(tree).part_problems() == tuple(f"{name} is missing" for name in names)


def test_an_engine_that_is_not_python_is_named(tree):
    path = tree / "nautilus_trader" / "live" / "risk_engine.py"
    path.write_text("# coding: bogus\n")
    with pytest.raises(PatchVerificationError, match=r"live/risk_engine\.py: it is not Python"):
        ForkTree(tree).part_problems()


def test_the_diff_of_a_kernel_in_another_encoding(tree):
    fork = ForkTree(tree)
    text = "# coding: latin-1\n# é\n".encode("latin-1") + fork.kernel.read_bytes()
    fork.kernel.write_bytes(text)
    assert "+    @kernel_hook" in fork.diff()
    assert fork.apply()
    assert fork.diff() == ""
    assert fork.revert()
    assert fork.kernel.read_bytes() == text


def test_a_file_outside_of_the_tree_is_not_changed(tree, tmp_path_factory):
    fork = ForkTree(tree)
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "kernel.py"
    fork.kernel.rename(elsewhere)
    fork.kernel.symlink_to(elsewhere)
    before = elsewhere.read_bytes()
    with pytest.raises(PatchVerificationError, match="outside of the tree"):
        fork.apply()
    assert elsewhere.read_bytes() == before


def test_a_folder_without_a_kernel_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="--tree"):
        ForkTree(tmp_path)


# -- the patch at run time -----------------------------------------------------------------------


def test_the_patch_stands_back_where_the_source_has_the_hook(monkeypatch):
    from nautilus_trader.system.kernel import NautilusKernel  # noqa: PLC0415 (it is put back)

    (ours,) = PATCHES
    was = ours.state
    if was is PatchState.RUN_TIME:
        ours.revert()

    def init(self, name, config):
        self.seen = (name, config)

    in_source = kernel_hook(init)
    monkeypatch.setattr(NautilusKernel, "__init__", in_source)
    patch = KernelPatch(lambda _config: False, lambda *_: None)
    assert patch.state is PatchState.SOURCE
    assert patch.is_applied()
    patch.apply()
    assert NautilusKernel.__init__ is in_source
    assert patch.original is init
    patch.revert()
    assert NautilusKernel.__init__ is in_source
    kernel = SimpleNamespace()
    in_source(kernel, "name", SimpleNamespace(message_bus=None))
    assert kernel.seen[0] == "name"
    monkeypatch.undo()
    if was is PatchState.RUN_TIME:
        ours.apply()
