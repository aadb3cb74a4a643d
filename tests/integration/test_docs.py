"""The Python that the documentation shows runs, and its links lead somewhere."""

import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from nautilus_enhanced.benchmarks import registry
from nautilus_enhanced.cli.app import cli


pytestmark = pytest.mark.usefixtures("unmeasured")


ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("**/*.md"))
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
OURS = re.compile(r"^nt-enhanced (.+?)(?:\s+#.*|\s+\|.*)?$|`nt-enhanced ([^`]+)`", re.MULTILINE)
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
CONTRACT = ROOT / "tests" / "contract"
BENCHMARK = re.compile(r"nt-enhanced bench ((?:[a-z_0-9]+ ?)+)")


def python_of(page):
    return "\n".join(re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL))


@pytest.mark.parametrize(
    "page", [page for page in PAGES if python_of(page)], ids=lambda page: page.stem
)
def test_the_python_of_a_page_runs_from_top_to_bottom(page):
    done = subprocess.run(
        [sys.executable, "-c", python_of(page)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_links_of_a_page_lead_somewhere(page):
    for link in LINK.findall(page.read_text()):
        if not link.startswith(("http://", "https://")):
            assert (page.parent / link).exists(), link


def test_the_index_lists_every_page():
    listed = set(LINK.findall((DOCS / "index.md").read_text()))
    pages = {str(page.relative_to(DOCS)) for page in PAGES} - {"index.md"}
    assert pages <= listed


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_benchmarks_that_a_page_names_are_there(page):
    for names in BENCHMARK.findall(page.read_text()):
        assert set(names.split()) <= set(registry.NAMES)


# -- the command ---------------------------------------------------------------------------------


def resolved(words):
    """Return the command that a command line names, and the words that are left."""
    command = cli
    with click.Context(cli) as context:
        while isinstance(command, click.Group) and words:
            found = command.get_command(context, words[0])
            if found is None:
                break
            command, words = found, words[1:]
    return command, words


def options_of(command):
    """Return the options of a command and of those below it."""
    found = {name for param in command.params for name in param.opts} | {"--help"}
    if isinstance(command, click.Group):
        with click.Context(command) as context:
            for name in command.list_commands(context):
                found |= options_of(command.get_command(context, name))
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_commands_that_a_page_shows_are_there(page):
    for line in (" ".join(found).strip() for found in OURS.findall(page.read_text())):
        # "config check|migrate|revert" stands for three.
        head, *rest = line.split()
        for words in [[head, each, *rest[1:]] for each in rest[0].split("|")] if rest else [[head]]:
            command, left = resolved(words)
            assert command is not cli, line
            if isinstance(command, click.Group):
                assert not left, line
            for option in OPTION.findall(" ".join(left)):
                assert option in options_of(command), line


@pytest.mark.parametrize(
    ("page", "group"),
    [("migration", "config"), ("forks", "patches"), ("streams-tools", "streams")],
    ids=lambda name: name,
)
def test_the_options_that_a_page_speaks_of_are_there(page, group):
    text = (DOCS / f"{page}.md").read_text()
    command, _ = resolved([group])
    named = {option for code in re.findall(r"`([^`]+)`", text) for option in OPTION.findall(code)}
    assert named <= options_of(command)
    assert named
    if group == "patches":
        # The table has a row for each command.
        table = text.partition("| command | what it does |")[2].partition("\n\n")[0]
        rows = re.findall(r"^\| `(\w+)", table, re.MULTILINE)
        with click.Context(command) as context:
            assert sorted(rows) == command.list_commands(context)


# -- the contract --------------------------------------------------------------------------------


def test_every_test_that_the_contract_names_is_there():
    text = (CONTRACT / "README.md").read_text()
    files = {path.stem: path.read_text() for path in CONTRACT.glob("*.py")}
    tests = [
        name
        for source in files.values()
        for name in re.findall(r"^def (test_\w+)\(", source, re.MULTILINE)
    ]
    named = re.findall(r"`((?:test_|contract_|record_|\.\.\._)[\w.]*)`", text)
    assert len(named) > 50
    for name in named:
        if name.removesuffix(".py") in files:
            continue
        begin, dots, end = name.partition("...")
        assert any(
            test.startswith(begin) and test.endswith(end) if dots else test == name
            for test in tests
        ), name
