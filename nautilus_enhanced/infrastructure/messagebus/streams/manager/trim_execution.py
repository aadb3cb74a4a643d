"""Trim streams as planned: ask the server how they are, decide, and send what was decided."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nautilus_enhanced.infrastructure.messagebus.streams.manager.refusals import checked
from nautilus_enhanced.infrastructure.messagebus.streams.manager.session import MAX_TOGETHER
from nautilus_enhanced.infrastructure.messagebus.streams.manager.trim_plan import plan_trim


if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Generator
    from collections.abc import Sequence

    from nautilus_enhanced.infrastructure.messagebus.streams.manager.inspecting import Inspector
    from nautilus_enhanced.infrastructure.messagebus.streams.manager.inspecting import StreamState
    from nautilus_enhanced.infrastructure.messagebus.streams.manager.session import Session
    from nautilus_enhanced.infrastructure.messagebus.streams.manager.trim_plan import TrimOutcome
    from nautilus_enhanced.infrastructure.messagebus.streams.manager.trim_plan import TrimPlan
    from nautilus_enhanced.infrastructure.messagebus.streams.manager.trim_plan import TrimStep
    from nautilus_enhanced.infrastructure.messagebus.streams.manager.trimming_settings import (
        TrimmingSettings,
    )


class TrimExecutor:
    """
    Plan and carry out the trimming of streams.

    Parameters
    ----------
    session : Session
        Asks the server.
    inspector : Inspector
        Asks it how streams are.
    """

    def __init__(self, session: Session, inspector: Inspector) -> None:
        self._session = session
        self._inspector = inspector

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._session!r})"

    def plan(
        self,
        keys: Sequence[bytes],
        settings: TrimmingSettings,
        unattended: Callable[[StreamState], dict[str, int]] | None = None,
    ) -> list[TrimPlan]:
        """
        Return what of streams may go; those that do not exist are left out.

        Parameters
        ----------
        keys : sequence of bytes
            The streams.
        settings : TrimmingSettings
            How long entries stay.
        unattended : Callable, optional
            For how long the groups of a stream are known to have no consumer, in milliseconds.

        Raises
        ------
        ServerError
            If the server does not tell.
        """
        plans: list[TrimPlan] = []
        # What is planned is old by the time it is done, so not too many at once.
        for first in range(0, len(keys), MAX_TOGETHER):
            part = keys[first : first + MAX_TOGETHER]
            now_ms = self._inspector.now_ms(part[0])
            plans += [
                plan_trim(state, settings, now_ms, unattended and unattended(state))
                for state in self._inspector.states(part)
            ]
        return plans

    def run(self, plans: Sequence[TrimPlan]) -> list[TrimOutcome]:
        """
        Carry out plans, the same step of all of them together.

        Raises
        ------
        ServerError
            If the server refuses. What was removed before that stays so.
        """
        running: dict[int, Generator[TrimStep, int, TrimOutcome]] = {
            number: plan.steps() for number, plan in enumerate(plans)
        }
        outcomes: dict[int, TrimOutcome] = {}
        answers: dict[int, int | None] = dict.fromkeys(running)
        while running:
            steps: dict[int, TrimStep] = {}
            for number, generator in list(running.items()):
                answer = answers[number]
                try:
                    steps[number] = next(generator) if answer is None else generator.send(answer)
                except StopIteration as end:
                    outcomes[number] = end.value
                    del running[number]
            queries = [(plans[n].key, step.encode(plans[n].key)) for n, step in steps.items()]
            # The answer to the first of two would be the number that matters.
            raw = self._session.ask(queries, repeatable=False)
            answers = {
                number: int(checked(answer, "XTRIM", key))
                for (number, (key, _)), answer in zip(
                    zip(steps, queries, strict=True), raw, strict=True
                )
            }
        return [outcomes[number] for number in range(len(plans))]
