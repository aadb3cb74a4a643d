"""
What is active on a node, and why or why not.

The deciding part is `decide`, a plain function of the configuration and of facts about the
machine; `features` reads back what was decided for a node.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING
from typing import Any
from typing import Final
from weakref import WeakKeyDictionary

import msgspec

from nautilus_enhanced.infrastructure.messagebus.connection.urls import EMBEDDED
from nautilus_enhanced.infrastructure.messagebus.errors import EnhancedBusError
from nautilus_enhanced.infrastructure.messagebus.errors import MissingExtraError
from nautilus_enhanced.infrastructure.messagebus.errors import PatchVerificationError
from nautilus_enhanced.infrastructure.messagebus.errors import UnsupportedVersionError


if TYPE_CHECKING:
    from collections.abc import Mapping

    from nautilus_enhanced.config import EnhancedMessageBusConfig


KILL_SWITCH: Final = "NT_ENHANCED_DISABLE"
_NAME_A_SERVER: Final = "set `connection='redis://...'` or `database=DatabaseConfig(...)`"
# Whoever sets the switch to anything else wants everything off, however it is spelled.
_NOT_PULLED: Final = frozenset({"", "0", "false", "no", "off"})


class Feature(StrEnum):
    """Name the parts that can be active or not, each by itself."""

    DISPATCH = "dispatch"
    PUBLISHER = "publisher"
    INGRESS = "ingress"
    SERIALIZER = "serializer"
    ADAPTERS = "adapters"


class Reason(StrEnum):
    """Name every reason that a feature can be active or not for."""

    ACTIVE = "active"
    STOCK_CONFIG = "the configuration is a stock one"
    SWITCHED_OFF = "switched off in the configuration"
    KILL_SWITCH = f"switched off by {KILL_SWITCH}"
    BACKTEST = "a backtest has no live bus"
    NO_SERVER = "no server is configured"
    UNSUPPORTED_VERSION = "this version of NautilusTrader is not supported"
    PATCH_FAILED = "NautilusTrader is not as expected"
    MISSING_EXTRA = "an optional dependency is not installed"


FALLBACK_REASONS: Final[dict[Reason, type[EnhancedBusError]]] = {
    Reason.UNSUPPORTED_VERSION: UnsupportedVersionError,
    Reason.PATCH_FAILED: PatchVerificationError,
    Reason.MISSING_EXTRA: MissingExtraError,
}


class FeatureState(msgspec.Struct, frozen=True, kw_only=True):
    """
    Whether a feature is active, and why.

    Attributes
    ----------
    feature : Feature
        Which one.
    active : bool
        Whether it is.
    reason : Reason
        Why it is or is not.
    detail : str
        What exactly was found.
    remedy : str
        What to do to have it, where something can be done.
    """

    feature: Feature
    active: bool
    reason: Reason
    detail: str = ""
    remedy: str = ""

    def __str__(self) -> str:
        parts = [f"{self.feature.value}: {'on' if self.active else 'off'}"]
        if not self.active:
            parts.append(f"({self.detail or self.reason.value})")
        if self.remedy:
            parts.append(f"- {self.remedy}")
        return " ".join(parts)


class Features(msgspec.Struct, frozen=True, kw_only=True):
    """
    What is active on a node.

    Attributes
    ----------
    nautilus_trader : str
        The version of NautilusTrader.
    states : tuple[FeatureState, ...]
        One for each feature.
    """

    nautilus_trader: str
    states: tuple[FeatureState, ...]

    def __getitem__(self, feature: Feature | str) -> FeatureState:
        return next(state for state in self.states if state.feature == feature)

    def __str__(self) -> str:
        return "; ".join(map(str, self.states))

    @property
    def active(self) -> tuple[Feature, ...]:
        """Return the features that are active."""
        return tuple(state.feature for state in self.states if state.active)


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """
    What `decide` must know about the machine and the installed NautilusTrader.

    Attributes
    ----------
    nautilus_trader : str
        Its version.
    is_supported_version : bool
        Whether that version is one this package was tried with.
    kill_switch : bool
        Whether the environment switches everything off.
    is_backtest : bool
        Whether the kernel is one of a backtest.
    has_embedded_server : bool
        Whether the extra ``embedded`` is installed.
    kernel_problems, engine_problems, serializer_problems : tuple[str, ...]
        What verification found in the kernel, in the live engines, and in what the enhanced
        serializer writes.
    ingress_problems, adapter_problems : tuple[str, ...]
        What it found in how the node reads external streams, and in how clients are built and
        what they are made of.
    """

    nautilus_trader: str
    is_supported_version: bool
    kill_switch: bool
    is_backtest: bool
    has_embedded_server: bool
    kernel_problems: tuple[str, ...]
    engine_problems: tuple[str, ...]
    serializer_problems: tuple[str, ...]
    ingress_problems: tuple[str, ...]
    adapter_problems: tuple[str, ...] = ()


def is_switched_off(environ: Mapping[str, str]) -> bool:
    """Return whether the environment switches everything off."""
    return environ.get(KILL_SWITCH, "").strip().lower() not in _NOT_PULLED


def decide(config: EnhancedMessageBusConfig, facts: Facts) -> Features:
    """
    Decide which features run, without changing anything.

    Raises
    ------
    UnsupportedVersionError, PatchVerificationError, MissingExtraError
        If a feature that is switched on cannot work here and `fallback` is ``'raise'``.
    """
    states = (
        _decide_dispatch(config, facts),
        _decide_publisher(config, facts),
        _decide_ingress(config, facts),
        _decide_serializer(config, facts),
        _decide_adapters(config, facts),
    )
    if config.fallback == "raise":
        for state in states:
            error = FALLBACK_REASONS.get(state.reason)
            if error is MissingExtraError:
                raise MissingExtraError(EMBEDDED, "`connection='embedded'`")
            if error is not None:
                raise error(
                    f"{state.detail}. {state.remedy}, or set `fallback='stock'` to run without",
                )
    return Features(nautilus_trader=facts.nautilus_trader, states=states)


def stock_features(version: str) -> Features:
    """Return what is active on a node with a stock configuration: nothing."""
    return Features(
        nautilus_trader=version,
        states=tuple(
            FeatureState(
                feature=feature,
                active=False,
                reason=Reason.STOCK_CONFIG,
                remedy="set `message_bus=EnhancedMessageBusConfig(...)`",
            )
            for feature in Feature
        ),
    )


def _decide_dispatch(config: EnhancedMessageBusConfig, facts: Facts) -> FeatureState:
    feature = Feature.DISPATCH
    if config.dispatch is None:
        return _off(feature, Reason.SWITCHED_OFF, remedy="set `dispatch=DispatchSettings()`")
    return _decide_host(feature, facts, facts.kernel_problems or facts.engine_problems) or _on(
        feature
    )


def _decide_publisher(config: EnhancedMessageBusConfig, facts: Facts) -> FeatureState:
    feature = Feature.PUBLISHER
    if not config.publisher:
        return _off(feature, Reason.SWITCHED_OFF, remedy="set `publisher=True`")
    state = _decide_host(feature, facts, facts.kernel_problems)
    if state is not None:
        return state
    url = config.connection_url()
    if url is None:
        return _off(
            feature,
            Reason.NO_SERVER,
            remedy=_NAME_A_SERVER,
        )
    if url == EMBEDDED and not facts.has_embedded_server:
        return _off(
            feature,
            Reason.MISSING_EXTRA,
            detail="the embedded server is not installed",
            remedy="run `pip install 'nt-enhanced[embedded]'`",
        )
    return _on(feature)


def _decide_ingress(config: EnhancedMessageBusConfig, facts: Facts) -> FeatureState:
    feature = Feature.INGRESS
    if config.ingress == "stock":
        return _off(feature, Reason.SWITCHED_OFF, remedy="set `ingress='enhanced'`")
    state = _decide_host(feature, facts, facts.kernel_problems or facts.ingress_problems)
    if state is not None:
        return state
    url = config.connection_url()
    if url is None:
        return _off(feature, Reason.NO_SERVER, remedy=_NAME_A_SERVER)
    if url == EMBEDDED:
        # The server is the publisher's: without it there is none.
        publisher = _decide_publisher(config, facts)
        if not publisher.active:
            return msgspec.structs.replace(publisher, feature=feature)
    return _on(feature)


def _decide_serializer(config: EnhancedMessageBusConfig, facts: Facts) -> FeatureState:
    feature = Feature.SERIALIZER
    if config.serializer == "stock":
        return _off(feature, Reason.SWITCHED_OFF, remedy="set `serializer='enhanced'`")
    return _decide_host(feature, facts, facts.kernel_problems or facts.serializer_problems) or _on(
        feature
    )


def _decide_adapters(config: EnhancedMessageBusConfig, facts: Facts) -> FeatureState:
    feature = Feature.ADAPTERS
    if config.adapters == "none":
        return _off(feature, Reason.SWITCHED_OFF, remedy="set `adapters='all'`")
    return _decide_host(feature, facts, facts.adapter_problems) or _on(feature)


def _decide_host(feature: Feature, facts: Facts, problems: tuple[str, ...]) -> FeatureState | None:
    """Return why the host cannot or shall not carry the feature, or None if it can."""
    if facts.kill_switch:
        return _off(feature, Reason.KILL_SWITCH, remedy=f"unset {KILL_SWITCH}")
    if facts.is_backtest:
        return _off(feature, Reason.BACKTEST)
    if not facts.is_supported_version:
        return _off(
            feature,
            Reason.UNSUPPORTED_VERSION,
            detail=f"nautilus_trader {facts.nautilus_trader} was never tried",
            remedy="install nautilus_trader 1.221.0 to 1.231.0",
        )
    if problems:
        return _off(
            feature,
            Reason.PATCH_FAILED,
            detail="; ".join(problems),
            remedy="report this with the file that `nt-enhanced support-bundle` makes",
        )
    return None


def _on(feature: Feature) -> FeatureState:
    return FeatureState(feature=feature, active=True, reason=Reason.ACTIVE)


def _off(feature: Feature, reason: Reason, *, detail: str = "", remedy: str = "") -> FeatureState:
    return FeatureState(feature=feature, active=False, reason=reason, detail=detail, remedy=remedy)


# -- what was decided ----------------------------------------------------------------------------

_DECIDED: WeakKeyDictionary[Any, Features] = WeakKeyDictionary()


def remember(kernel: Any, decided: Features) -> None:
    """Note what was decided for a kernel."""
    _DECIDED[kernel] = decided


def features(node: Any) -> Features:
    """
    Return what is active on a node, and why or why not.

    Parameters
    ----------
    node : TradingNode or NautilusKernel
        The node, or its kernel.
    """
    kernel = getattr(node, "kernel", node)
    decided = _DECIDED.get(kernel)
    if decided is not None:
        return decided
    import nautilus_trader  # noqa: PLC0415 (the bus's own processes do without it)

    return stock_features(nautilus_trader.__version__)
