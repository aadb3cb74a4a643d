"""The decision what runs, as a table of configurations, facts and reasons."""

from __future__ import annotations

from types import SimpleNamespace

import msgspec
import pytest
from nautilus_trader.system.kernel import NautilusKernel

from nautilus_enhanced import EnhancedMessageBusConfig
from nautilus_enhanced import features
from nautilus_enhanced.common.features import FALLBACK_REASONS
from nautilus_enhanced.common.features import KILL_SWITCH
from nautilus_enhanced.common.features import Facts
from nautilus_enhanced.common.features import Feature
from nautilus_enhanced.common.features import Reason
from nautilus_enhanced.common.features import decide
from nautilus_enhanced.common.features import is_switched_off
from nautilus_enhanced.common.features import stock_features
from nautilus_enhanced.infrastructure.messagebus.errors import MissingExtraError
from nautilus_enhanced.infrastructure.messagebus.errors import PatchVerificationError
from nautilus_enhanced.infrastructure.messagebus.errors import UnsupportedVersionError
from nautilus_enhanced.live.assembly import gather_facts


GOOD = Facts(
    nautilus_trader="1.231.0",
    is_supported_version=True,
    kill_switch=False,
    is_backtest=False,
    has_embedded_server=True,
    kernel_problems=(),
    engine_problems=(),
    serializer_problems=(),
    ingress_problems=(),
)
URL = "redis://localhost:6379"
ON = Reason.ACTIVE

# Configuration, facts, and the reasons for dispatcher and publisher.
TABLE = {
    "everything": ({"connection": URL}, {}, ON, ON),
    "no server": ({}, {}, ON, Reason.NO_SERVER),
    "dispatch off": ({"dispatch": None, "connection": URL}, {}, Reason.SWITCHED_OFF, ON),
    "publisher off": ({"publisher": False, "connection": URL}, {}, ON, Reason.SWITCHED_OFF),
    "kill switch": (
        {"connection": URL},
        {"kill_switch": True},
        Reason.KILL_SWITCH,
        Reason.KILL_SWITCH,
    ),
    "backtest": ({"connection": URL}, {"is_backtest": True}, Reason.BACKTEST, Reason.BACKTEST),
    "version": (
        {"connection": URL},
        {"is_supported_version": False},
        Reason.UNSUPPORTED_VERSION,
        Reason.UNSUPPORTED_VERSION,
    ),
    "kernel": (
        {"connection": URL},
        {"kernel_problems": ("no bus",)},
        Reason.PATCH_FAILED,
        Reason.PATCH_FAILED,
    ),
    "engines": ({"connection": URL}, {"engine_problems": ("no queue",)}, Reason.PATCH_FAILED, ON),
    "extra": (
        {"connection": "embedded"},
        {"has_embedded_server": False},
        ON,
        Reason.MISSING_EXTRA,
    ),
    "switched off before the version": (
        {"dispatch": None, "publisher": False, "ingress": "stock", "serializer": "stock"},
        {"is_supported_version": False},
        Reason.SWITCHED_OFF,
        Reason.SWITCHED_OFF,
    ),
}
ERRORS = {
    Reason.UNSUPPORTED_VERSION: UnsupportedVersionError,
    Reason.PATCH_FAILED: PatchVerificationError,
    Reason.MISSING_EXTRA: MissingExtraError,
}


@pytest.mark.parametrize("case", TABLE)
def test_decision(case):
    fields, facts, dispatch, publisher = TABLE[case]
    decided = decide(EnhancedMessageBusConfig(**fields), msgspec.structs.replace(GOOD, **facts))
    assert decided[Feature.DISPATCH].reason is dispatch
    assert decided["publisher"].reason is publisher
    for state in decided.states:
        assert state.active == (state.reason is ON)
        assert state.active == (state.feature in decided.active)
        if state.reason in FALLBACK_REASONS:
            assert state.detail
            assert state.remedy


@pytest.mark.parametrize("case", TABLE)
def test_decision_that_must_not_fall_back(case):
    fields, facts, dispatch, publisher = TABLE[case]
    config = EnhancedMessageBusConfig(fallback="raise", **fields)
    facts = msgspec.structs.replace(GOOD, **facts)
    error = ERRORS.get(dispatch) or ERRORS.get(publisher)
    if error is None:
        assert decide(config, facts)[Feature.DISPATCH].reason is dispatch
        return
    with pytest.raises(error) as caught:
        decide(config, facts)
    assert "fallback" in str(caught.value) or "pip install" in str(caught.value)


# Configuration, facts, and the reason for the serializer.
SERIALIZER = {
    "default": ({}, {}, ON),
    "without a publisher": ({"publisher": False, "dispatch": None}, {}, ON),
    "stock": ({"serializer": "stock"}, {}, Reason.SWITCHED_OFF),
    "kill switch": ({}, {"kill_switch": True}, Reason.KILL_SWITCH),
    "backtest": ({}, {"is_backtest": True}, Reason.BACKTEST),
    "version": ({}, {"is_supported_version": False}, Reason.UNSUPPORTED_VERSION),
    "kernel": ({}, {"kernel_problems": ("no bus",)}, Reason.PATCH_FAILED),
    "bytes": ({}, {"serializer_problems": ("Bar differs",)}, Reason.PATCH_FAILED),
    "engines": ({}, {"engine_problems": ("no queue",)}, ON),
}


@pytest.mark.parametrize("case", SERIALIZER)
def test_decision_about_the_serializer(case):
    fields, facts, reason = SERIALIZER[case]
    decided = decide(EnhancedMessageBusConfig(**fields), msgspec.structs.replace(GOOD, **facts))
    state = decided[Feature.SERIALIZER]
    assert state.reason is reason
    assert state.active == (reason is ON)


def test_a_serializer_that_differs_takes_nothing_else_with_it():
    facts = msgspec.structs.replace(GOOD, serializer_problems=("Bar differs",))
    decided = decide(EnhancedMessageBusConfig(connection=URL), facts)
    assert decided.active == (Feature.DISPATCH, Feature.PUBLISHER, Feature.INGRESS)
    assert "Bar differs" in str(decided)
    with pytest.raises(PatchVerificationError, match="Bar differs"):
        decide(EnhancedMessageBusConfig(connection=URL, fallback="raise"), facts)


# Configuration, facts, and the reason for the ingress.
INGRESS = {
    "default": ({"connection": URL}, {}, ON),
    "without a publisher": ({"publisher": False, "connection": URL}, {}, ON),
    "stock": ({"ingress": "stock", "connection": URL}, {}, Reason.SWITCHED_OFF),
    "no server": ({}, {}, Reason.NO_SERVER),
    "kill switch": ({"connection": URL}, {"kill_switch": True}, Reason.KILL_SWITCH),
    "kernel": ({"connection": URL}, {"kernel_problems": ("no bus",)}, Reason.PATCH_FAILED),
    "node": ({"connection": URL}, {"ingress_problems": ("no way in",)}, Reason.PATCH_FAILED),
    "engines": ({"connection": URL}, {"engine_problems": ("no queue",)}, ON),
    "embedded": ({"connection": "embedded"}, {}, ON),
    "the embedded server is the publisher's": (
        {"connection": "embedded", "publisher": False},
        {},
        Reason.SWITCHED_OFF,
    ),
    "extra": (
        {"connection": "embedded"},
        {"has_embedded_server": False},
        Reason.MISSING_EXTRA,
    ),
}


@pytest.mark.parametrize("case", INGRESS)
def test_decision_about_the_ingress(case):
    fields, facts, reason = INGRESS[case]
    decided = decide(EnhancedMessageBusConfig(**fields), msgspec.structs.replace(GOOD, **facts))
    state = decided[Feature.INGRESS]
    assert state.reason is reason
    assert state.active == (reason is ON)


def test_a_node_that_reads_differently_takes_nothing_else_with_it():
    facts = msgspec.structs.replace(GOOD, ingress_problems=("no way in",))
    decided = decide(EnhancedMessageBusConfig(connection=URL), facts)
    assert decided.active == (Feature.DISPATCH, Feature.PUBLISHER, Feature.SERIALIZER)
    with pytest.raises(PatchVerificationError, match="no way in"):
        decide(EnhancedMessageBusConfig(connection=URL, fallback="raise"), facts)


def test_every_reason_occurs_in_the_table():
    seen = {reason for case in TABLE.values() for reason in case[2:]}
    assert seen | {Reason.STOCK_CONFIG} == set(Reason)


def test_every_feature_has_a_state_and_says_so():
    decided = decide(EnhancedMessageBusConfig(), GOOD)
    assert [state.feature for state in decided.states] == list(Feature)
    assert str(decided).startswith("dispatch: on; publisher: off (no server is configured)")


def test_a_kernel_that_nobody_decided_about_is_stock():
    class Kernel:
        pass

    found = features(Kernel())
    assert found.active == ()
    assert {state.reason for state in found.states} == {Reason.STOCK_CONFIG}
    assert found == stock_features(found.nautilus_trader)


@pytest.mark.parametrize("value", [None, "", " ", "0", "false", "False", "no", "OFF"])
def test_the_kill_switch_is_not_pulled_by_what_says_no(value):
    assert not is_switched_off({} if value is None else {KILL_SWITCH: value})


@pytest.mark.parametrize("value", ["1", "true", "YES", "on", "y", "2", "disable", "please", "-1"])
def test_the_kill_switch_is_pulled_by_everything_else(value):
    assert is_switched_off({KILL_SWITCH: value})


def test_the_kill_switch_reaches_the_decision(monkeypatch):
    config = SimpleNamespace(environment="live")
    for value in ("stop", "no"):
        monkeypatch.setenv(KILL_SWITCH, value)
        assert gather_facts(NautilusKernel.__init__, config).kill_switch is (value == "stop")
