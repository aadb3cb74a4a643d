"""Numbers and times have the text that the host and pandas give them, or are refused."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from nautilus_trader.model.objects import FIXED_PRECISION
from nautilus_trader.model.objects import PRICE_MAX
from nautilus_trader.model.objects import Price

from nautilus_enhanced.serialization.text import EXACT_DIGITS
from nautilus_enhanced.serialization.text import UNITS
from nautilus_enhanced.serialization.text import iso_text
from nautilus_enhanced.serialization.text import number_text


precisions = st.integers(0, FIXED_PRECISION)


@settings(max_examples=2_000, deadline=None)
@given(precision=precisions, share=st.floats(-1.0, 1.0), digits=st.integers(1, 30))
def test_a_number_has_the_text_of_its_price(precision, share, digits):
    most = min(10**digits, (int(PRICE_MAX) - 1) * 10**precision)
    price = Price.from_raw(int(share * most) * UNITS[precision], precision)
    if abs(price.raw) < 10**EXACT_DIGITS:
        assert number_text(price.raw, price.precision) == str(price)
    else:
        with pytest.raises(ValueError, match="rounded"):
            number_text(price.raw, price.precision)


@given(raw=st.integers(), precision=precisions)
def test_a_number_with_more_decimals_than_its_precision_is_refused(raw, precision):
    if raw % UNITS[precision] or abs(raw) >= 10**EXACT_DIGITS:
        with pytest.raises(ValueError, match="rounded"):
            number_text(raw, precision)
    else:
        assert float(number_text(raw, precision)) == pytest.approx(raw / UNITS[0])


def test_a_precision_that_the_host_has_not_is_refused():
    with pytest.raises(IndexError):
        number_text(1, FIXED_PRECISION + 1)


@settings(max_examples=1_000, deadline=None)
@given(
    st.one_of(
        st.integers(0, 2**63 - 1),
        st.integers(0, 2**63 // 10**3 - 1).map(lambda us: us * 10**3),
        st.integers(0, 2**63 // 10**9 - 1).map(lambda s: s * 10**9),
        st.sampled_from([0, 1, 999, 1_000, 10**9 - 1, 10**9, 2**63 - 1]),
    )
)
def test_a_time_has_the_text_that_pandas_gives(time_ns):
    timestamp = pd.Timestamp(time_ns, unit="ns", tz="UTC")
    assert iso_text(time_ns) == timestamp.isoformat().replace("+00:00", "Z")


@pytest.mark.parametrize("time_ns", [2**63, 2**64 - 1])
def test_a_time_later_than_pandas_knows_is_refused(time_ns):
    with pytest.raises(ValueError, match="later"):
        iso_text(time_ns)
