"""The shop's own settings: their permitted values, and what a currency implies."""

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal
from functools import cache
from typing import Final, Literal, NamedTuple

UnknownProducts = Literal["reject", "stub"]

# ISO 4217, active codes. Currencies in WITHOUT_DECIMALS and WITH_THREE_DECIMALS differ from the usual two.
_ACTIVE: Final = """
    AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CLP
    CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG
    HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL
    MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR
    RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD
    TZS UAH UGX USD UYU UZS VED VES VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG"""
CURRENCIES: Final = frozenset(_ACTIVE.split())
_WITHOUT_DECIMALS: Final = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"
WITHOUT_DECIMALS: Final = frozenset(_WITHOUT_DECIMALS.split())
WITH_THREE_DECIMALS: Final = frozenset(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"])
USUAL_DECIMALS: Final = 2


def decimals(currency: str | None) -> int:
    """Return the number of decimals of a currency by ISO 4217; 2 for None and for an unknown code."""
    if currency in WITHOUT_DECIMALS:
        return 0
    return 3 if currency in WITH_THREE_DECIMALS else USUAL_DECIMALS


def rounded(amount: Decimal, currency: str | None) -> Decimal:
    """Return an amount rounded to the currency's last decimal, half away from zero."""
    return amount.quantize(Decimal(1).scaleb(-decimals(currency)), ROUND_HALF_UP)


# Lower ends of the price bands, as in the SQL function price_step_of: three per power of ten. The bands around 10,000
# yen or dinars are as useful as those around ten euros, so they need not depend on the currency.
PRICE_STEPS: Final = (0, *(factor * 10**power for power in range(9) for factor in (1, 2.5, 5)), 10**9)


class PriceBands(NamedTuple):
    """Lowest and highest price of each band, inclusive; the last band has no upper bound."""

    starts: tuple[float, ...]
    ends: tuple[float | None, ...]


@cache
def price_bands(currency: str | None) -> PriceBands:
    """Return the price bands in units of the currency's last decimal, so that both ends can be used as filters.

    A band ends one unit before the next begins.
    """
    unit = Decimal(1).scaleb(-decimals(currency))
    starts = [Decimal(str(step)).quantize(unit, ROUND_CEILING) for step in PRICE_STEPS]
    return PriceBands(tuple(map(float, starts)), (*(float(start - unit) for start in starts[1:]), None))


@dataclass(frozen=True)
class ShopSettings:
    """The shop's settings. ``currency`` is None until the shop sets it, and ``search_language`` means ``simple``."""

    name: str = ""
    currency: str | None = None
    time_zone: str = "UTC"
    search_language: str | None = None
    unknown_products: UnknownProducts = "reject"

    @property
    def currency_decimals(self) -> int:
        """Number of decimals of the shop's prices."""
        return decimals(self.currency)
