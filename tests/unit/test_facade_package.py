"""The package's facade: its names, and that importing it changes nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

import nautilus_enhanced


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=30.0
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_all_names_are_there():
    names = nautilus_enhanced.__all__
    assert len(set(names)) == len(names)
    assert dir(nautilus_enhanced) == sorted(names)
    for name in names:
        assert getattr(nautilus_enhanced, name) is not None


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="nonsense"):
        _ = nautilus_enhanced.nonsense


def test_importing_the_package_imports_no_nautilus_trader():
    assert run("import sys, nautilus_enhanced; print('nautilus_trader' in sys.modules)") == "False"


def test_the_bus_for_other_processes_needs_no_nautilus_trader():
    module = "nautilus_enhanced.infrastructure.messagebus"
    code = f"import sys, {module}; print('nautilus_trader' in sys.modules)"
    assert run(code) == "False"


def test_importing_the_configuration_patches_nothing_and_making_one_does():
    code = """
from nautilus_trader.system.kernel import NautilusKernel
original = NautilusKernel.__init__
from nautilus_enhanced import EnhancedMessageBusConfig, features, MessagePriority
print(NautilusKernel.__init__ is original)
EnhancedMessageBusConfig()
print(NautilusKernel.__init__ is original)
"""
    assert run(code).split() == ["True", "False"]
