"""What of a lane is written to the journal, and when: decided here, without I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Final


if TYPE_CHECKING:
    from nautilus_enhanced.infrastructure.messagebus.settings.durability import Durability


# A lane that spills does so from here on, though the server is there.
SPILL_ABOVE: Final = 0.5


def must_store(
    durability: Durability,
    waiting: int,
    utilization: float,
    *,
    is_connected: bool,
    is_busy: bool,
    is_ending: bool,
) -> bool:
    """
    Return whether what waits in a lane is moved to the journal now.

    Parameters
    ----------
    durability : {'memory', 'spill', 'always'}
        What the settings say of the lane.
    waiting : int
        Messages in the lane.
    utilization : float
        How full the lane is, 0 to 1.
    is_connected : bool
        Whether the server answers.
    is_busy : bool
        Whether the writer waits for an answer, so that it will not take them at once. Else it
        takes them, and writes itself what must be written.
    is_ending : bool
        Whether the process is about to end.
    """
    if not waiting or durability == "memory":
        return False
    if is_ending or not is_connected:
        return True
    return is_busy if durability == "always" else utilization >= SPILL_ABOVE
