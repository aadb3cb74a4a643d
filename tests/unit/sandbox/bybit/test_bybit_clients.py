import nautilus_trader
import pytest
from nautilus_trader.adapters.bybit.factories import BybitLiveDataClientFactory
from nautilus_trader.live.factories import LiveDataClientFactory

from nautilus_enhanced.adapters.bybit import EnhancedBybitLiveDataClientFactory
from nautilus_enhanced.sandbox import VenueError
from nautilus_enhanced.sandbox.bybit import data_client_config
from nautilus_enhanced.sandbox.bybit import exec_client_config
from nautilus_enhanced.sandbox.bybit import public_socket_factory


HTTP, WS = "http://127.0.0.1:9", "ws://127.0.0.1:9"
IS_1221 = nautilus_trader.__version__.startswith("1.221.")


@pytest.mark.skipif(IS_1221, reason="Bybit's clients of 1.221 are others")
@pytest.mark.parametrize("product", ["linear", "spot"])
def test_configs_lead_to_the_venue(product):
    data = data_client_config(product=product, http_url=HTTP, max_retries=7)
    assert (data.base_url_http, data.max_retries) == (HTTP, 7)
    assert [kind.name.lower() for kind in data.product_types] == [product]
    execution = exec_client_config(
        product=product, http_url=HTTP, ws_url=WS, ws_api_url=f"{WS}/v5/trade"
    )
    assert execution.base_url_ws_private == f"{WS}/v5/private"
    assert execution.base_url_ws_trade == f"{WS}/v5/trade"
    assert execution.product_types == data.product_types


@pytest.mark.skipif(not IS_1221, reason="Bybit's clients are those that the venue speaks with")
def test_clients_that_the_venue_does_not_speak_with_are_named():
    with pytest.raises(VenueError, match=r"use version 1\.231\.0"):
        data_client_config(http_url=HTTP)


@pytest.mark.parametrize(
    "factory", [BybitLiveDataClientFactory, EnhancedBybitLiveDataClientFactory]
)
def test_a_factory_keeps_its_name_and_leaves_the_one_it_is_made_of_alone(factory):
    create = factory.create
    made = public_socket_factory(factory, WS)
    assert made.__name__ == "BybitLiveDataClientFactory"
    assert issubclass(made, LiveDataClientFactory)
    assert factory.create is create is not made.create
