import pytest
from nautilus_trader.core import nautilus_pyo3

from nautilus_enhanced.sandbox import GeneratedMarket
from nautilus_enhanced.sandbox.errors import VenueError
from nautilus_enhanced.sandbox.okx import OKXSpotVenue
from nautilus_enhanced.sandbox.okx import data_client_config
from nautilus_enhanced.sandbox.okx import exec_client_config
from nautilus_enhanced.sandbox.venues import open_venue


URLS = {"http_url": "http://127.0.0.1:1", "ws_api_url": "ws://127.0.0.1:1/ws/v5/private"}


@pytest.mark.skipif(
    not hasattr(nautilus_pyo3, "derive_okx_ws_url"), reason="1.221's clients cannot be pointed"
)
def test_the_configs_lead_to_the_venue():
    swap = exec_client_config(**URLS)
    assert (swap.base_url_http, swap.base_url_ws) == tuple(URLS.values())
    assert swap.instrument_types == (nautilus_pyo3.OKXInstrumentType.SWAP,)
    data = data_client_config(http_url="http://h", ws_url="ws://w", product="spot", api_key="mine")
    assert (data.base_url_ws, data.api_key) == ("ws://w", "mine")
    assert data.instrument_types == (nautilus_pyo3.OKXInstrumentType.SPOT,)


def test_clients_that_would_go_to_the_real_venue_are_refused(monkeypatch):
    monkeypatch.delattr(nautilus_pyo3, "derive_okx_ws_url", raising=False)
    with pytest.raises(VenueError, match=r"real venue's business websocket.*1\.231"):
        exec_client_config(**URLS)


def test_a_venue_has_three_websockets():
    venue = open_venue("okx-spot", GeneratedMarket(), port=5)
    assert isinstance(venue, OKXSpotVenue)
    assert venue.addresses["ws_url"] == "ws://127.0.0.1:5/ws/v5/public"
    assert set(venue.dialect.sockets) == {
        f"/ws/v5/{kind}" for kind in ("public", "private", "business")
    }
