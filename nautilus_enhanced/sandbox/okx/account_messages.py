"""
Translation to OKX's messages about the account: pure, no I/O.

Names and fields are those of the public OKX API documentation (https://www.okx.com/docs-v5):
"Trading Account".
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from typing import Final

from nautilus_enhanced.sandbox.accounts import Account
from nautilus_enhanced.sandbox.margin import MAINTENANCE_RATE
from nautilus_enhanced.sandbox.margin import MarginAccount
from nautilus_enhanced.sandbox.okx.units import Units
from nautilus_enhanced.sandbox.okx.units import plain


# What a balance has no figure for in an account of this kind.
_UNUSED_BALANCES: Final = (
    "accAvgPx", "borrowFroz", "clSpotInUseAmt", "coinUsdPrice", "crossLiab", "interest", "isoLiab",
    "liab", "maxLoan", "maxSpotInUseAmt", "mgnRatio", "notionalLever", "openAvgPx", "smtSyncEq",
    "spotBal", "spotCopyTradingEq", "spotInUseAmt", "spotUpl", "spotUplRatio", "totalPnl",
    "totalPnlRatio", "uplLiab",
)  # fmt: skip


class AccountMessages:
    """
    Write the messages about what the account has.

    Parameters
    ----------
    units : Units
        The instrument, and how its sizes are written.
    """

    def __init__(self, units: Units) -> None:
        self.units = units

    def account(self, account: Account, now_ms: int) -> dict[str, Any]:
        """Return the balances, as the channel ``account`` and the REST API have them."""
        margin = account if isinstance(account, MarginAccount) else None
        unrealized = margin.unrealized if margin else Decimal(0)
        details = []
        for asset, balance in account.balances.items():
            total = balance.free + balance.locked
            details.append(
                {
                    **dict.fromkeys(_UNUSED_BALANCES, ""),
                    "availBal": plain(balance.free),
                    "availEq": plain(balance.free) if margin else "",
                    "cashBal": plain(total),
                    "ccy": asset,
                    "colBorrAutoConversion": "0",
                    "collateralEnabled": False,
                    "collateralRestrict": False,
                    "disEq": plain(total),
                    "eq": plain(total + unrealized),
                    "eqUsd": plain(total + unrealized),
                    "fixedBal": "0",
                    "frozenBal": plain(balance.locked),
                    "imr": plain(margin.position_margin) if margin else "",
                    "isoEq": "0",
                    "isoUpl": "0",
                    "mmr": plain(margin.maintenance_margin) if margin else "",
                    "ordFrozen": plain(margin.order_margin if margin else balance.locked),
                    "rewardBal": "0",
                    "spotIsoBal": "0",
                    "stgyEq": "0",
                    "twap": "0",
                    "uTime": str(now_ms),
                    "upl": plain(unrealized),
                }
            )
        return {
            "adjEq": "",
            "availEq": "",
            "borrowFroz": "",
            "details": details,
            "imr": "",
            "isoEq": "0",
            "mgnRatio": "",
            "mmr": "",
            "notionalUsd": "",
            "notionalUsdForBorrow": "",
            "notionalUsdForFutures": "",
            "notionalUsdForOption": "",
            "notionalUsdForSwap": "",
            "ordFroz": "",
            "totalEq": details[-1]["eq"] if details else "0",
            "uTime": str(now_ms),
            "upl": "",
        }

    def position(self, account: MarginAccount, now_ms: int) -> dict[str, Any]:
        """Return the net position."""
        size = self.units.size(account.position)
        entry, mark = plain(rounded(account.entry_price)), plain(account.mark_price)
        return {
            "adl": "1",
            "availPos": size,
            "avgPx": entry,
            "baseBal": "",
            "bePx": entry,
            "cTime": str(now_ms),
            "ccy": account.asset,
            "fee": "0",
            "fundingFee": "0",
            "idxPx": mark,
            "imr": plain(rounded(account.position_margin)),
            "instId": self.units.name,
            "instType": self.units.kind,
            "interest": "",
            "last": mark,
            "lever": str(account.leverage),
            "liqPenalty": "0",
            "liqPx": "",
            "margin": "",
            "markPx": mark,
            "mgnMode": "cross",
            "mgnRatio": plain(1 / MAINTENANCE_RATE),
            "mmr": plain(rounded(account.maintenance_margin)),
            "notionalUsd": plain(rounded(abs(account.notional))),
            "optVal": "",
            "pendingCloseOrdLiabVal": "",
            "pnl": "0",
            "pos": size,
            "posCcy": "",
            "posId": "1",
            "posSide": "net",
            "quoteBal": "",
            "quoteBorrowed": "",
            "quoteInterest": "",
            "realizedPnl": "0",
            "spotInUseAmt": "",
            "spotInUseCcy": "",
            "tradeId": "",
            "uTime": str(now_ms),
            "upl": plain(rounded(account.unrealized)),
            "uplLastPx": "0",
            "uplRatio": "0",
            "uplRatioLastPx": "0",
            "usdPx": "",
        }

    def trade_fee(self, account: Account, now_ms: int) -> dict[str, Any]:
        """Return the rates of the commissions; OKX writes what is paid as a negative one."""
        maker, taker = plain(-account.maker_fee), plain(-account.taker_fee)
        spot = self.units.is_spot
        return {
            "category": "1",
            "delivery": "",
            "exercise": "",
            "instType": self.units.kind,
            "level": "Lv1",
            "maker": maker if spot else "",
            "makerU": "" if spot else maker,
            "makerUSDC": "" if spot else maker,
            "taker": taker if spot else "",
            "takerU": "" if spot else taker,
            "takerUSDC": "" if spot else taker,
            "ts": str(now_ms),
            "uly": "",
        }


def rounded(number: Decimal) -> Decimal:
    """Return a number with eight digits behind the point."""
    return number.quantize(Decimal("0.00000001"))
