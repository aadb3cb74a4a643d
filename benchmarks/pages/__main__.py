"""
Write the pages of the documentation from what a run found.

Run: python -m nautilus_enhanced.benchmarks.pages ROWS.json docs [--before EARLIER.json]
"""

from __future__ import annotations

import argparse
from pathlib import Path

from nautilus_enhanced.benchmarks.harness.rows import decode_rows
from nautilus_enhanced.benchmarks.pages import overview
from nautilus_enhanced.benchmarks.pages import tables


def main() -> None:
    """Write the tables of all pages, the page of all benchmarks, and its images."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("rows", type=Path, help="what `nt-enhanced bench --json` wrote")
    parser.add_argument("docs", type=Path, help="the folder of the pages")
    parser.add_argument(
        "--before", type=Path, help="the same of an earlier run, to say how far the two agree"
    )
    options = parser.parse_args()
    rows = decode_rows(options.rows.read_bytes())
    if not rows:
        parser.error(f"{options.rows} has no rows")
    before = [] if options.before is None else decode_rows(options.before.read_bytes())
    for page in sorted(options.docs.glob("*.md")):
        page.write_text(tables.fill(page.read_text(), rows))
    (options.docs / "benchmarks.md").write_text(overview.render(rows, before))
    images = options.docs / "images"
    images.mkdir(exist_ok=True)
    for name, image in overview.drawings(rows).items():
        (images / name).write_text(image + "\n")


if __name__ == "__main__":
    main()
