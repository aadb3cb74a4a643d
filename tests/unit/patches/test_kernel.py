"""The kernel's patch: what it checks, and that it can be put in place and taken away."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from nautilus_trader.live.data_engine import LiveDataEngine
from nautilus_trader.live.execution_engine import LiveExecutionEngine
from nautilus_trader.live.risk_engine import LiveRiskEngine
from nautilus_trader.system.kernel import NautilusKernel

from nautilus_enhanced.infrastructure.messagebus.errors import PatchVerificationError
from nautilus_enhanced.live.assembly import is_supported
from nautilus_enhanced.live.verification import engine_problems
from nautilus_enhanced.patches import PATCHES
from nautilus_enhanced.patches.kernel import Bindings
from nautilus_enhanced.patches.kernel import KernelPatch
from nautilus_enhanced.patches.kernel import kernel_problems
from nautilus_enhanced.patches.kernel import kernel_serializer_problems
from nautilus_enhanced.patches.kernel import run_with_globals


GLOBAL = "the module's"


@pytest.fixture
def patch():
    """Return a patch of its own on the unpatched kernel; everything is put back afterwards."""
    (ours,) = PATCHES
    was_applied = ours.is_applied()
    if was_applied:
        ours.revert()
    original = NautilusKernel.__init__
    calls = []
    patch = KernelPatch(
        lambda config: config == "ours", lambda *args, **kw: calls.append((args, kw))
    )
    patch.calls = calls
    yield patch
    NautilusKernel.__init__ = original
    if was_applied:
        ours.apply()


def test_the_installed_kernel_and_engines_are_as_expected():
    assert PATCHES[0].problems() == ()
    assert kernel_serializer_problems(PATCHES[0].original) == ()
    engines = (LiveDataEngine, LiveRiskEngine, LiveExecutionEngine)
    assert engine_problems({engine.__name__: engine for engine in engines}) == ()


def test_a_kernel_that_is_not_as_expected_is_described():
    def init(self, name):
        return name

    problems = kernel_problems(init)
    assert any("takes ('self', 'name')" in problem for problem in problems)
    (unused,) = (problem for problem in problems if "does not use" in problem)
    for name in ("LiveDataEngine", "LiveRiskEngine", "LiveExecutionEngine", "MessageBus"):
        assert name in unused
    assert any("builds none of" in problem for problem in problems)
    assert kernel_serializer_problems(init) == (
        "NautilusKernel.__init__ does not use MsgSpecSerializer",
    )
    assert kernel_serializer_problems(object.__init__)
    assert kernel_problems(object.__init__) == ("NautilusKernel.__init__ is not a Python function",)


def test_engines_that_are_not_as_expected_are_described():
    class LiveDataEngine:
        async def _run_cmd_queue(self):
            self._something_else()

        def execute(self, command):
            self._queue.put(command)

    problems = engine_problems({"LiveDataEngine": LiveDataEngine})
    assert "LiveDataEngine._run_cmd_queue does not call _execute_command" in problems
    assert "LiveDataEngine._run_req_queue is missing" in problems
    assert "LiveDataEngine.execute does not use an enqueuer" in problems
    assert "LiveDataEngine._handle_queue_exception is missing" in problems
    assert "LiveRiskEngine is missing" in problems


def test_only_configurations_of_ours_reach_the_builder(patch):
    original = NautilusKernel.__init__
    patch.apply()
    patch.apply()
    assert patch.is_applied()
    kernel = NautilusKernel("name", "ours", loop=None)
    assert patch.calls == [((original, kernel, "name", "ours"), {"loop": None})]
    with pytest.raises((TypeError, AttributeError)):
        NautilusKernel("name", "not a configuration")
    assert len(patch.calls) == 1


def test_the_original_is_put_back(patch):
    original = NautilusKernel.__init__
    patch.revert()
    patch.apply()
    assert NautilusKernel.__init__ is not original
    assert NautilusKernel.__init__.__wrapped__ is original
    assert patch.original is original
    patch.revert()
    patch.revert()
    assert NautilusKernel.__init__ is original
    assert not patch.is_applied()


def test_somebody_elses_wrapper_is_not_taken_away(patch):
    patch.apply()
    ours = NautilusKernel.__init__

    def theirs(self, *args, **kwargs):
        ours(self, *args, **kwargs)

    NautilusKernel.__init__ = theirs
    with pytest.raises(PatchVerificationError, match="somebody else"):
        patch.revert()
    assert NautilusKernel.__init__ is theirs
    NautilusKernel.__init__ = ours
    patch.revert()


def test_globals_are_replaced_for_one_call_and_nowhere_else():
    seen = []

    def function(first, second="default", *, third="keyword"):
        seen.append((GLOBAL, first, second, third))

    run_with_globals(function, {"GLOBAL": "ours"}, 1)
    function(2, third=3)
    assert seen == [("ours", 1, "default", "keyword"), ("the module's", 2, "default", 3)]
    assert GLOBAL == "the module's"


def test_the_stand_in_for_the_bindings_has_everything_else():
    bindings = Bindings(SimpleNamespace(a=1, b=2), {"b": 3})
    assert (bindings.a, bindings.b) == (1, 3)
    with pytest.raises(AttributeError):
        _ = bindings.c


@pytest.mark.parametrize(
    ("version", "supported"),
    [
        ("1.221.0", True),
        ("1.225.3", True),
        ("1.231.0", True),
        ("1.231.0rc1", True),
        ("1.220.9", False),
        ("1.232.0", False),
        ("2.0.0", False),
        ("1", False),
        ("unknown", False),
        ("", False),
    ],
)
def test_supported_versions(version, supported):
    assert is_supported(version) is supported
