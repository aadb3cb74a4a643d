"""The Python that the documentation shows runs, and its links lead somewhere."""

import re
import subprocess
import sys
from pathlib import Path

import pytest


ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("**/*.md"))
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
COMMAND = re.compile(r"python (benchmarks/\S+\.py)((?: [^`\n|]*)?)")


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
    for script, options in COMMAND.findall(page.read_text()):
        source = (ROOT / script).read_text()
        shared = (ROOT / "benchmarks/harness.py").read_text()
        for option in re.findall(r"--[a-z]+", options):
            assert f'"{option}"' in source + shared, (script, option)
