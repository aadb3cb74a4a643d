"""Settings of external streams: what is allowed, and what is said of the rest."""

from __future__ import annotations

import msgspec
import pytest

from nautilus_enhanced import EnhancedMessageBusConfig
from nautilus_enhanced.infrastructure.messagebus import AllowRule
from nautilus_enhanced.infrastructure.messagebus import ConfigurationError
from nautilus_enhanced.infrastructure.messagebus import ExternalSettings
from nautilus_enhanced.infrastructure.messagebus import StartRule


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: ExternalSettings(group=""), "external.group"),
        (lambda: ExternalSettings(group="a b"), "external.group"),
        (lambda: ExternalSettings(max_age_ms=0), "external.max_age_ms"),
        (lambda: ExternalSettings(max_deliveries=2), "external.max_deliveries"),
        (lambda: ExternalSettings(retry_min_ms=10, retry_max_ms=9), "external.retry_max_ms"),
        (lambda: ExternalSettings(lease_ms=1.5), "external.lease_ms"),
        (lambda: ExternalSettings(pause_above=10), "external.resume_below"),
        (lambda: ExternalSettings(resume_below=0), "external.resume_below"),
        (lambda: ExternalSettings(start="now"), "external.start"),
        (lambda: ExternalSettings(allow=("data.*",)), "external.allow"),
        (lambda: StartRule(pattern="", start="now"), "external.start.pattern"),
        (lambda: StartRule(pattern="*", start="beginning"), "external.start.start"),
        (lambda: AllowRule(topic="a b"), "external.allow.topic"),
        (lambda: AllowRule(stream=""), "external.allow.stream"),
        (lambda: AllowRule(types="OrderFilled"), "external.allow.types"),
        (lambda: AllowRule(types=("a.b:C",)), "external.allow.types"),
    ],
)
def test_a_mistake_is_a_sentence_with_its_field(make, field):
    with pytest.raises(ConfigurationError) as caught:
        make()
    assert caught.value.field == field
    assert "allowed: " in str(caught.value)


def test_they_go_through_json_and_back():
    external = ExternalSettings(
        group="g",
        start=(StartRule(pattern="data.*", start="resume"),),
        allow=(AllowRule(topic="events.*", types=("OrderFilled",)),),
    )
    config = EnhancedMessageBusConfig(external=external)
    assert EnhancedMessageBusConfig.parse(config.json()).external == external
    assert msgspec.json.decode(msgspec.json.encode(external), type=ExternalSettings) == external


def test_the_group_is_the_node_s_unless_it_is_named():
    assert ExternalSettings().group_of("TRADER-001") == "node-TRADER-001"
    assert ExternalSettings(group="g").group_of("TRADER-001") == "g"


def test_of_rules_with_one_pattern_the_first_decides():
    rules = (
        StartRule(pattern="data.*", start="resume"),
        StartRule(pattern="*", start="now"),
        StartRule(pattern="data.*", start="now"),
    )
    starts = ExternalSettings(start=rules).starts()
    assert list(starts.items()) == [("data.*", "resume"), ("*", "now")]


def test_a_subscription_gets_what_is_said_here():
    settings = ExternalSettings(max_deliveries=7, lease_ms=400).subscription(slice_us=100)
    assert (settings.max_deliveries, settings.lease_ms, settings.slice_us) == (7, 400, 100)
    assert settings.sole_consumer
    assert settings.order == "topic"
