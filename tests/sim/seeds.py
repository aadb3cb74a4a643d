"""Live through seeds, and say how to see again what one of them found."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING
from typing import Any

import pytest
from virtual_time import Found


if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Iterable


_LINES = 60


def live(make_world: Callable[..., Any], seed: int, trace: list[str] | None = None) -> str:
    """Live through one seed; return what was found wrong, or an empty string."""
    try:
        make_world(seed, trace).run()
    except Found as found:
        return str(found)
    except Exception:  # noqa: BLE001 (whatever escapes from the code that is tried is a finding)
        return traceback.format_exc(limit=-6)
    return ""


def check(make_world: Callable[..., Any], seeds: Iterable[int]) -> None:
    """Fail at the first seed that finds something wrong."""
    for seed in seeds:
        if live(make_world, seed):
            trace: list[str] = []
            wrong = live(make_world, seed, trace)
            lines = "\n".join(line[:200] for line in trace[-_LINES:])
            pytest.fail(
                f"seed {seed}: {wrong or 'found only the first time: it is not deterministic'}\n\n"
                f"{lines}\n\nSee it again with: "
                f"python -m pytest tests/sim -k seeds --sim-seed {seed}",
                pytrace=False,
            )


def check_found(make_world: Callable[..., Any], seeds: Iterable[int]) -> None:
    """Fail if no seed finds a mistake, or if it only brings the code to a halt."""
    found = next(filter(None, (live(make_world, seed) for seed in seeds)), "")
    assert found, "nothing was found"
    assert "Traceback" not in found
    assert "the writer failed" not in found
