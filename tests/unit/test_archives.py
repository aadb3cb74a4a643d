"""What is in the archives that users get; `tox run -e wheel` makes them and says where."""

import os
import tarfile
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path
from pathlib import PurePosixPath

import pytest


FOLDER = os.environ.get("NT_ENHANCED_TEST_DIST")
PYPROJECT = tomllib.loads((Path(__file__).resolve().parents[2] / "pyproject.toml").read_text())
PACKAGES = PYPROJECT["tool"]["setuptools"]["packages"]
SOURCES = PYPROJECT["tool"]["setuptools"]["package-dir"]
# Beside the package, and nothing else: no tests, docs or files of anyone's machine.
BESIDE_IN_SOURCES = {
    "COPYING",
    "LICENSE",
    "PKG-INFO",
    "README.md",
    "pyproject.toml",
    "setup.cfg",
}

pytestmark = pytest.mark.skipif(not FOLDER, reason="no archives: run by `tox run -e wheel`")


def inner(member):
    """Return the path of a source below the folder that all are in."""
    return PurePosixPath(*PurePosixPath(member.name).parts[1:])


def only(pattern):
    (found,) = Path(FOLDER).glob(pattern)
    return found


@pytest.fixture(scope="module")
def wheel():
    with zipfile.ZipFile(only("*.whl")) as archive:
        yield archive


@pytest.fixture(scope="module")
def sources():
    with tarfile.open(only("*.tar.gz")) as archive:
        yield archive


def metadata_of(wheel):
    (name,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    return Parser().parsestr(wheel.read(name).decode())


def test_the_wheel_has_every_package_and_nothing_beside_them(wheel):
    files = {PurePosixPath(name) for name in wheel.namelist()}
    assert {file.parts[0].partition("-")[0] for file in files} == {
        "nautilus_enhanced",
        "nt_enhanced",
    }
    modules = {file for file in files if file.parts[0] == "nautilus_enhanced"}
    assert {".".join(file.parent.parts) for file in modules} == set(PACKAGES)
    assert {file.suffix for file in modules - {PurePosixPath("nautilus_enhanced/py.typed")}} == {
        ".py"
    }


def test_the_wheel_says_that_it_is_typed(wheel):
    assert "nautilus_enhanced/py.typed" in wheel.namelist()


def test_the_wheel_has_the_licence_and_names_it(wheel):
    texts = {PurePosixPath(name).name for name in wheel.namelist() if "/licenses/" in name}
    assert texts == {"LICENSE", "COPYING"}
    assert metadata_of(wheel)["License-Expression"] == "LGPL-3.0-or-later"


def test_the_wheel_is_for_the_pythons_that_are_tested(wheel):
    assert metadata_of(wheel)["Requires-Python"] == "<3.14,>=3.11"
    assert only("*.whl").name.endswith("-py3-none-any.whl")


def test_the_wheel_has_the_command(wheel):
    (name,) = [name for name in wheel.namelist() if name.endswith("/entry_points.txt")]
    assert "nt-enhanced = nautilus_enhanced.cli:main" in wheel.read(name).decode()


def source_of(package):
    """Return where a package is in the checkout: below what it is mapped from, if it is."""
    for name, folder in SOURCES.items():
        if package == name or package.startswith(f"{name}."):
            return PurePosixPath(folder, *package.removeprefix(name).split(".")[1:])
    return PurePosixPath(package.replace(".", "/"))


def test_the_sources_have_every_package_and_what_a_build_needs_only(sources):
    files = {
        PurePosixPath(*PurePosixPath(member.name).parts[1:])
        for member in sources
        if member.isfile()
    }
    beside = {file for file in files if len(file.parts) == 1}
    assert {str(file) for file in beside} == BESIDE_IN_SOURCES
    folders = {file.parent for file in files - beside}
    expected = {source_of(name) for name in PACKAGES}
    assert folders == expected | {PurePosixPath("nt_enhanced.egg-info")}


def test_both_archives_have_the_same_modules(wheel, sources):
    in_sources = {
        inner(member): sources.extractfile(member).read()
        for member in sources
        if member.name.endswith(".py")
    }
    for name, folder in SOURCES.items():
        target = PurePosixPath(name.replace(".", "/"))
        for file in [file for file in in_sources if file.parts[0] == folder]:
            in_sources[target / file.relative_to(folder)] = in_sources.pop(file)
    in_wheel = {
        PurePosixPath(name): wheel.read(name) for name in wheel.namelist() if name.endswith(".py")
    }
    assert in_wheel == in_sources
