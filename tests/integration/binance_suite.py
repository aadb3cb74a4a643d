"""What is the same for both of Binance's products (see `venue_suite.py`)."""

from venue_suite import VenueSuite


class BinanceSuite(VenueSuite):
    at_once = "OrderExpired"
    # A client whose user socket was dropped may subscribe twice when it comes back, on either bus,
    # and is told everything twice then.
    tells_once = False

    def settled(self, order, events):
        # The order "after" is the one after the drop, and none of what comes later has anything
        # twice in a row but fills of one order.
        if order in {"resting", "market"}:
            return events
        before = [None, *events]
        return [one for last, one in zip(before, events, strict=False) if one != last]
