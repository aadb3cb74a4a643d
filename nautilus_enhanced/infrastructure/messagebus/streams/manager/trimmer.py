"""Trim streams every few seconds, in a thread of its own, for who runs consumers and for nodes."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING
from typing import Final

import msgspec

from nautilus_enhanced.infrastructure.messagebus.errors import EnhancedBusError
from nautilus_enhanced.infrastructure.messagebus.errors import ServerError
from nautilus_enhanced.infrastructure.messagebus.monitoring.health import HealthFinding
from nautilus_enhanced.infrastructure.messagebus.monitoring.health import HealthReport
from nautilus_enhanced.infrastructure.messagebus.monitoring.health import HealthState
from nautilus_enhanced.infrastructure.messagebus.monitoring.statistics import Statistics
from nautilus_enhanced.infrastructure.messagebus.streams.manager.finding import StreamFinder
from nautilus_enhanced.infrastructure.messagebus.streams.manager.inspecting import Inspector
from nautilus_enhanced.infrastructure.messagebus.streams.manager.selection import StreamSelector
from nautilus_enhanced.infrastructure.messagebus.streams.manager.session import Session
from nautilus_enhanced.infrastructure.messagebus.streams.manager.trim_execution import TrimExecutor
from nautilus_enhanced.infrastructure.messagebus.streams.manager.trimming_settings import (
    TrimmingSettings,
)


if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Sequence

    import redis

    from nautilus_enhanced.infrastructure.messagebus.settings.connection import ConnectionSettings
    from nautilus_enhanced.infrastructure.messagebus.streams.manager.inspecting import StreamState


# Between two looks through the keys for streams that nobody told of.
SCAN_EVERY_S: Final = 60.0
# Keys that a round looks at, and streams that are trimmed together.
SCANNED_A_ROUND: Final = 10_000
TOGETHER: Final = 50
# Of the time, what the thread may work: beside it a node trades, on the same interpreter.
WORKING_SHARE: Final = 0.05
_MS: Final = 1_000


class TrimmerStatistics(Statistics, frozen=True, kw_only=True):
    """
    Figures of a trimmer.

    Attributes
    ----------
    running : bool
        Gauge: whether its thread runs.
    rounds : int
        Times that all streams were trimmed.
    failed_rounds : int
        Times that this broke off.
    streams : int
        Gauge: streams that were looked at in the last round.
    removed : int
        Entries removed.
    gap : int
        Those of them that a live group had still to read or to acknowledge, and that the hard cap
        removed.
    capped : int
        Times that a stream was longer than the hard cap.
    last_capped : str
        The stream that was so last, or an empty string.
    held_back : int
        Gauge: streams in which entries that are too old stay for a group.
    expired_groups : int
        Gauge: groups of streams that hold nothing back, since nobody has read for them for too
        long.
    last_round_ms : float
        Gauge: milliseconds that the last round took, pauses included.
    last_error : str
        What the last round that broke off ended with; empty when one went well since.
    """

    running: bool = False
    rounds: int = 0
    failed_rounds: int = 0
    streams: int = 0
    removed: int = 0
    gap: int = 0
    capped: int = 0
    last_capped: str = ""
    held_back: int = 0
    expired_groups: int = 0
    last_round_ms: float = 0.0
    last_error: str = ""


def trimmer_findings(figures: TrimmerStatistics, *, stopped: bool) -> list[HealthFinding]:
    """Return what is not well with a trimmer, given its figures."""
    findings = []
    if not figures.running and not stopped:
        findings.append(
            HealthFinding(
                state=HealthState.UNHEALTHY,
                reason=f"streams are not trimmed: {figures.last_error or 'it was not started'}",
                remedy="start the trimmer; if it was started, report this as a bug",
            )
        )
    elif figures.last_error and not stopped:
        findings.append(
            HealthFinding(
                state=HealthState.DEGRADED,
                reason=f"streams are not trimmed as they should be: {figures.last_error}",
                remedy="mend what it says; the trimmer tries again in each interval",
            )
        )
    if figures.gap:
        findings.append(
            HealthFinding(
                state=HealthState.UNHEALTHY,
                reason=(
                    f"{figures.gap:,} entries that live groups had not handled were removed since "
                    f"the start, lately from {figures.last_capped}, to keep to the hard cap"
                ),
                remedy="see why the groups are slow, or raise `hard_cap_entries`",
            )
        )
    elif figures.capped:
        findings.append(
            HealthFinding(
                state=HealthState.DEGRADED,
                reason=(
                    f"{figures.last_capped} was longer than the hard cap, and lost entries that "
                    "are not too old, and that no live group needed"
                ),
                remedy="lower `max_age_mins`, or raise `hard_cap_entries`",
            )
        )
    return findings


class StreamTrimmer:
    """
    Trim the streams that patterns mean, again and again, on a connection of its own.

    Its thread works for a twentieth of the time at most: where there are thousands of streams, a
    round takes longer.

    Parameters
    ----------
    url : str
        The server's URL.
    settings : TrimmingSettings, optional
        How long entries stay.
    patterns : sequence of str, default ('*',)
        The streams, by topic or by key. One that carries all topics of a node is trimmed only
        where its key matches.
    trader_id : str, optional
        Only the streams of this trader.
    keys_only : bool, default False
        If the patterns are those of whole keys, and never of topics.
    connection : ConnectionSettings, optional
        How to reach the server.
    credential_provider : redis.CredentialProvider, optional
        Asked for user and password at every connect.

    Raises
    ------
    ConfigurationError
        If the URL, a pattern or a setting is not allowed.
    """

    def __init__(
        self,
        url: str,
        settings: TrimmingSettings | None = None,
        *,
        patterns: Sequence[str] = ("*",),
        trader_id: str | None = None,
        keys_only: bool = False,
        connection: ConnectionSettings | None = None,
        credential_provider: redis.CredentialProvider | None = None,
    ) -> None:
        self._settings = settings or TrimmingSettings()
        self._selectors = [
            StreamSelector(one, trader_id=trader_id, streams_prefix=None, keys_only=keys_only)
            for one in patterns
        ]
        self._session = Session(url, connection, credential_provider)
        self._finder = StreamFinder(self._session, SCANNED_A_ROUND)
        self._executor = TrimExecutor(self._session, Inspector(self._session))
        self._scanned: set[str] = set()
        self._scan_at = float("-inf")
        # Since when a group is known to have no consumer, by the monotonic clock.
        self._unattended_since: dict[tuple[bytes, str], float] = {}
        self._seen_unattended: set[tuple[bytes, str]] = set()
        self._figures = TrimmerStatistics()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def __repr__(self) -> str:
        figures = self._figures
        return f"{type(self).__name__}({self._session.name}, {figures.rounds} rounds)"

    def __enter__(self) -> StreamTrimmer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Trim from now on; calling it twice is harmless."""
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._run, name="nt-enhanced-trimmer", daemon=True
            )
            self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> bool:
        """
        Trim no more; what waits for an answer is interrupted.

        Returns
        -------
        bool
            Whether the thread has ended within `timeout_s`.
        """
        self._stopping.set()
        self._session.interrupt()
        thread = self._thread
        if thread is not None:
            thread.join(timeout_s)
            return not thread.is_alive()
        self._session.close()
        return True

    def statistics(self) -> TrimmerStatistics:
        """Return the figures, from any thread."""
        thread = self._thread
        return msgspec.structs.replace(
            self._figures, running=thread is not None and thread.is_alive()
        )

    def health(self) -> HealthReport:
        """Return how the trimmer is, why, and what to do about it."""
        findings = trimmer_findings(self.statistics(), stopped=self._stopping.is_set())
        return HealthReport(component="trimmer", findings=tuple(findings))

    def trim_once(self) -> TrimmerStatistics:
        """
        Trim all streams now, and return the figures; not while the thread runs.

        Raises
        ------
        ServerError
            If the server cannot be reached, or refuses.
        """
        return self._round(lambda _: self._stopping.is_set())

    def _round(self, pause: Callable[[float], bool]) -> TrimmerStatistics:
        """Trim all streams; `pause` is told how long a part took, and tells if that is enough."""
        begun = time.monotonic()
        streams = removed = gap = capped = held_back = expired = 0
        self._seen_unattended.clear()
        keys = [key.encode() for key in self._find()]
        part_begun = begun
        for first in range(0, len(keys), TOGETHER):
            if pause(time.monotonic() - part_begun):
                break
            part_begun = time.monotonic()
            part = keys[first : first + TOGETHER]
            plans = self._executor.plan(part, self._settings, self._unattended)
            streams += len(plans)
            held_back += sum(plan.is_held_back for plan in plans)
            expired += sum(len(plan.expired) for plan in plans)
            for plan, outcome in zip(plans, self._executor.run(plans), strict=True):
                removed += outcome.removed
                gap += outcome.gap
                capped += outcome.capped
                if outcome.capped:
                    name = plan.key.decode("utf-8", "backslashreplace")
                    self._figures = msgspec.structs.replace(self._figures, last_capped=name)
            # Counted as it happens: the next part may break off.
            self._figures = msgspec.structs.replace(
                self._figures,
                removed=self._figures.removed + removed,
                gap=self._figures.gap + gap,
                capped=self._figures.capped + capped,
            )
            removed = gap = capped = 0
        for known in set(self._unattended_since) - self._seen_unattended:
            del self._unattended_since[known]
        self._figures = msgspec.structs.replace(
            self._figures,
            rounds=self._figures.rounds + 1,
            streams=streams,
            held_back=held_back,
            expired_groups=expired,
            last_round_ms=(time.monotonic() - begun) * _MS,
            last_error="",
        )
        return self.statistics()

    def _run(self) -> None:
        try:
            while not self._stopping.wait(self._settings.interval_secs):
                self._try()
        finally:
            self._session.close()

    def _try(self) -> None:
        try:
            self._round(lambda took_s: self._stopping.wait(took_s / WORKING_SHARE - took_s))
        except EnhancedBusError as error:
            if not self._stopping.is_set():
                self._fail(str(error))
        except Exception as error:  # noqa: BLE001 (a mistake of ours must not end the trimming)
            self._fail(f"{type(error).__name__}: {error}")

    def _fail(self, error: str) -> None:
        failed = self._figures.failed_rounds + 1
        self._figures = msgspec.structs.replace(
            self._figures, failed_rounds=failed, last_error=error
        )

    def _find(self) -> list[str]:
        """Return the streams: those that were told of, and at times what the keys show."""
        now = time.monotonic()
        scans = now - self._scan_at >= SCAN_EVERY_S
        found: set[str] = set()
        complete = True
        problems: list[str] = []
        for selector in self._selectors:
            result = self._finder.find(selector, scan=scans)
            found.update(result.streams)
            problems += result.problems
            complete = complete and result.complete
        if scans:
            self._scanned = set(found)
            # A look that is not at its end goes on in the next round.
            if complete:
                self._scan_at = now
        if problems and not found and not self._scanned:
            raise ServerError("; ".join(problems))
        return sorted(found | self._scanned)

    def _unattended(self, state: StreamState) -> dict[str, int]:
        """Return for how long each group of a stream is known to have no consumer."""
        now = time.monotonic()
        known = {}
        for name, consumers in state.consumers.items():
            if not consumers:
                self._seen_unattended.add((state.key, name))
                since = self._unattended_since.setdefault((state.key, name), now)
                known[name] = int((now - since) * _MS)
        return known
