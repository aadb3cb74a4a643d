"""What the build ships is what the checkout has."""

import os
import subprocess
import sys
import sysconfig
import tomllib
from importlib import import_module
from pathlib import Path

import pytest


ROOT = Path(__file__).resolve().parents[2]
MAPPED = {
    "nautilus_enhanced.adapters": "adapters",
    "nautilus_enhanced.benchmarks": "benchmarks",
    "nautilus_enhanced.patches": "patches",
}


def listed_packages() -> list[str]:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return pyproject["tool"]["setuptools"]["packages"]


def packages_in_the_checkout() -> set[str]:
    tops = {"nautilus_enhanced": ROOT / "nautilus_enhanced"}
    tops |= {name: ROOT / folder for name, folder in MAPPED.items()}
    return {
        ".".join((name, *init.parent.relative_to(top).parts))
        for name, top in tops.items()
        for init in top.rglob("__init__.py")
    }


@pytest.mark.skipif(not (ROOT / "patches").exists(), reason="about a checkout")
def test_every_folder_is_listed_in_the_build():
    assert set(listed_packages()) == packages_in_the_checkout()


def test_the_list_is_sorted_and_without_doubles():
    assert listed_packages() == sorted(set(listed_packages()))


@pytest.mark.parametrize("name", listed_packages())
def test_every_package_can_be_imported_and_says_what_it_is(name):
    assert import_module(name).__doc__


@pytest.mark.parametrize("folder", MAPPED.values())
def test_the_mapped_folders_are_not_top_level_packages_of_the_installation(folder):
    # In a process of its own: here the folders of the tests themselves can be imported.
    code = f"import importlib.util as u; raise SystemExit(u.find_spec({folder!r}) is not None)"
    done = subprocess.run([sys.executable, "-I", "-c", code], cwd="/", check=False)
    assert done.returncode == 0


@pytest.mark.skipif(
    "NT_ENHANCED_TEST_INSTALLED" not in os.environ, reason="about an installed package"
)
@pytest.mark.parametrize("start", [["-c"], ["-I", "-c"]])
def test_the_processes_that_tests_start_import_the_installed_package(start):
    code = "import nautilus_enhanced, nautilus_enhanced.patches as p; print(p.__file__)"
    done = subprocess.run(
        [sys.executable, *start, code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    installed = Path(sysconfig.get_path("purelib"))
    assert done.stdout.strip() == str(installed / "nautilus_enhanced" / "patches" / "__init__.py")
