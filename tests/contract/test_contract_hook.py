"""Where the kernel's hook is: put in at run time, or in the source of the tree under test."""

from __future__ import annotations

import os

from contract_play import run_process


PLACES = {"source": "in the source of this NautilusTrader", "": "applied at run time"}


def test_the_hook_is_where_it_is_said_to_be(enhanced_bus):
    place = PLACES[os.environ.get("NT_ENHANCED_TEST_HOOK", "")]
    code, output, _ = run_process("contract_fallback.py", "fallback", "enhanced", {})
    assert code == 0, output
    assert f"patches: nautilus_trader.system.kernel ({place})" in output
    assert "on: dispatch, serializer" in output
