"""
Record what the publishers of the installed version write, for the tests of the other version.

Run it with each version that is supported: ``python tests/contract/record_wire.py``.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import nautilus_trader
from contract_play import run_process

from nautilus_enhanced.sandbox.embedded import EmbeddedServer


ENTRIES = Path(__file__).with_name("wire_entries.json")


def record() -> None:
    """Replace what is recorded of the installed version."""
    recorded = json.loads(ENTRIES.read_text()) if ENTRIES.exists() else {}
    version = recorded[nautilus_trader.__version__] = {}
    for bus, encoding in itertools.product(("stock", "enhanced"), ("json", "msgpack")):
        with EmbeddedServer() as server:
            arguments = {"url": server.url, "encoding": encoding, "until_read": False}
            code, output, result = run_process("contract_wire.py", "publish", bus, arguments)
            if code:
                raise SystemExit(output)
            version[f"{bus} {encoding}"] = json.loads(result)["entries"]
    ENTRIES.write_text(json.dumps(recorded, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    record()
