"""What a node says about its bus when it starts: one short block."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING
from typing import NamedTuple

import nautilus_enhanced
from nautilus_enhanced.common.features import FALLBACK_REASONS
from nautilus_enhanced.common.features import Feature
from nautilus_enhanced.common.features import FeatureState
from nautilus_enhanced.common.features import Reason
from nautilus_enhanced.infrastructure.messagebus.connection.urls import EMBEDDED
from nautilus_enhanced.infrastructure.messagebus.connection.urls import database_url
from nautilus_enhanced.infrastructure.messagebus.connection.urls import redact_url
from nautilus_enhanced.infrastructure.messagebus.settings.publishing import PRIORITY_NAMES


if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Mapping

    from nautilus_enhanced.common.features import Features
    from nautilus_enhanced.config import EnhancedMessageBusConfig
    from nautilus_enhanced.infrastructure.messagebus.settings.durability import DurabilitySettings


class BannerLine(NamedTuple):
    """A line, and whether it is one to act on."""

    text: str
    is_warning: bool = False


def banner(
    decided: Features,
    settings: EnhancedMessageBusConfig,
    patches: Mapping[str, str],
    server: str | None,
) -> list[BannerLine]:
    """
    Return what is worth knowing about a node's bus, line by line.

    Parameters
    ----------
    decided : Features
        What was decided for the node.
    settings : EnhancedMessageBusConfig
        The bus configuration.
    patches : Mapping[str, str]
        Where each patched module has its patch.
    server : str or None
        The URL that the enhanced publisher writes to, if there is one.
    """
    versions = (
        f"nt-enhanced {nautilus_enhanced.__version__}, "
        f"nautilus_trader {decided.nautilus_trader}, Python {platform.python_version()}"
    )
    if any(state.reason is Reason.BACKTEST for state in decided.states):
        return [BannerLine(f"{versions}: {Reason.BACKTEST.value}, everything is stock")]
    patched = ", ".join(f"{module} ({place})" for module, place in patches.items())
    lines = [BannerLine(versions), BannerLine(f"patches: {patched}")]
    if decided.active:
        lines.append(BannerLine(f"on: {', '.join(decided.active)}"))
    lines.extend(_off_lines(decided.states))
    if server is not None:
        lines.append(BannerLine(durability_line(settings.durability)))
    lines.append(server_line(settings, server))
    return lines


def _off_lines(states: Iterable[FeatureState]) -> list[BannerLine]:
    """Return one line for each reason, however many features are off for it."""
    groups: dict[FeatureState, list[Feature]] = {}
    for state in states:
        if not state.active:
            why = FeatureState(
                feature=Feature.DISPATCH,
                active=False,
                reason=state.reason,
                detail=state.detail,
                remedy=state.remedy,
            )
            groups.setdefault(why, []).append(state.feature)
    return [_off_line(why, features) for why, features in groups.items()]


def _off_line(why: FeatureState, features: list[Feature]) -> BannerLine:
    is_warning = why.reason in FALLBACK_REASONS or why.reason is Reason.KILL_SWITCH
    text = f"off: {', '.join(features)} ({why.detail or why.reason.value})"
    if is_warning:
        text += ", stock is used instead"
    return BannerLine(f"{text} - {why.remedy}" if why.remedy else text, is_warning)


def durability_line(durability: DurabilitySettings) -> str:
    """Return what outlives the process, by lane."""
    places: dict[str, list[str]] = {}
    for lane in PRIORITY_NAMES:
        places.setdefault(getattr(durability, lane), []).append(lane)
    text = "; ".join(
        f"{place} for {'all lanes' if len(places) == 1 else ', '.join(lanes)}"
        for place, lanes in places.items()
    )
    if durability.has_journal:
        text += f"; journal in {durability.folder()}"
        text += ", on disk before it is sent" if durability.fsync else ""
    return f"durability: {text} (memory is lost with the process)"


def server_line(settings: EnhancedMessageBusConfig, server: str | None) -> BannerLine:
    """Return which server is published to and by whom; passwords are hidden."""
    if server is not None:
        return BannerLine(f"server: {redact_url(server)}")
    url, (database, obstacle) = settings.connection_url(), settings.stock_server()
    if database is not None:
        return BannerLine(f"server: {redact_url(database_url(database))}, by the stock publisher")
    if url is None:
        return BannerLine("server: none, nothing is published")
    shown = url if url == EMBEDDED else redact_url(url)
    text = f"server: {shown} is beyond the stock publisher, nothing is published"
    return BannerLine(f"{text} ({obstacle})" if obstacle else text, is_warning=True)
