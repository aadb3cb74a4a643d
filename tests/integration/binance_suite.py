"""What is the same for both of Binance's products (see `venue_suite.py`)."""

from venue_suite import VenueSuite


class BinanceSuite(VenueSuite):
    at_once = "OrderExpired"
    # A client whose user socket was dropped may subscribe twice when it comes back, on either bus,
    # and is told everything twice then.
    tells_once = False

    def settled(self, order, events):
        # What comes after the drop may come twice, and none of it is twice there otherwise but
        # fills of one order. It is canceled at the first word of it: the second may be later.
        if order in {"resting", "market"}:
            return events
        if order == "after":
            return list(dict.fromkeys(events))
        before = [None, *events]
        return [one for last, one in zip(before, events, strict=False) if one != last]
