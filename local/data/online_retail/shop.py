"""A real gift shop: every sale of a year, moved to end today, with a catalog made up where the source has none."""

import zlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from jobs.data.copy_rows import event_ids, mix
from local.data.online_retail import taxonomy
from local.data.shop import PRODUCT_COLUMNS, Events, Shop
from local.errors import Refused
from shared.domain.shop import ShopSettings

FOLDER: Final = Path(__file__).parent
# the sales' local times are read as UTC
SETTINGS: Final = ShopSettings("Online Retail", currency="GBP", search_language="english")
# wholesale buyers: of 396,337 lines 103 are above, the largest of 80,995 pieces
MAX_QUANTITY: Final = 1_000
OUT_OF_STOCK_PERCENT: Final = 4
_DAY_MINUTES: Final = 1440
_SALES_WINDOW_DAYS: Final = 90


def days_to_move(last_minute: int, now: datetime) -> int:
    """Return by how many whole days to move the history so that it ends today, or yesterday while today's end is ahead.

    Times of day stay as they are (the shop's local time is read as UTC), and nothing lies in the future.
    """
    return (int(now.timestamp()) // 60 - last_minute) // _DAY_MINUTES


def hashed(text: str, salt: str) -> int:
    """Return a number in [0, 2^32) that is the same on every machine and day."""
    return zlib.crc32(f"{salt}:{text}".encode())


def stock(code: str, recent_units: int) -> int:
    """Return the pieces in stock: two to six weeks of recent sales and a few, nothing for OUT_OF_STOCK_PERCENT."""
    if hashed(code, "out of stock") % 100 < OUT_OF_STOCK_PERCENT:
        return 0
    weeks = 2 + hashed(code, "weeks") % 5
    return 5 + hashed(code, "extra") % 20 + recent_units * 7 * weeks // _SALES_WINDOW_DAYS


def _read(name: str) -> pd.DataFrame:
    path = FOLDER / name
    try:
        return pd.read_parquet(path)
    except FileNotFoundError:
        raise Refused(f"{path} is missing; restore it from the repository, or choose AISLE_DATA=synthetic.") from None


def catalog(items: pd.DataFrame, units: "pd.Series[int]", shift_days: int) -> pd.DataFrame:
    """Return the products of ``items`` that are articles; see ``Shop``. ``units``: pieces sold lately, by item_id."""
    rows = []
    article: dict[Any, Any]
    for article in items[items["is_product"]].to_dict("records"):
        code, title, price = article["stock_code"], article["title"], article["price"]
        # a stock code that was never sold has no price, and for a title, if any, a clerk's note ("thrown away")
        sold = pd.notna(title) and pd.notna(price)
        name = " ".join(title.split()) if sold else f"Article {code}"
        # an article's name is in capitals; what is not ("Next Day Carriage") is a service
        capitals = any(word.isupper() and len(word) > 1 for word in name.split())
        active = sold and capitals and "PACKING CHARGE" not in name
        category = taxonomy.category(name) if sold else taxonomy.OTHER
        tags = taxonomy.tags(name) if sold else []
        first = article["first_minute"]
        rows.append(
            (
                code,
                name,
                taxonomy.description(name, category, tags) if sold else "",
                # to the penny; the source has thousandths for articles sold by the dozen
                f"{max(round(price / 10), 1) / 100:.2f}" if sold else "0.00",
                category,
                taxonomy.brand(name) if sold else None,
                tags,
                stock(code, int(units.get(article["item_id"], 0))) if active else 0,
                active,
                int(first) if pd.notna(first) else int(items["first_minute"].min()),
            )
        )
    products = pd.DataFrame(rows, columns=list(PRODUCT_COLUMNS))
    created = products["created_at"].to_numpy(np.int64) + shift_days * _DAY_MINUTES
    return products.assign(created_at=(created * 60).astype("datetime64[s]"))


def _ids(sales: pd.DataFrame) -> pa.Array:
    # the same line twice on one invoice is two sales: the second has another number
    number = sales.groupby(["order_id", "item_id"]).cumcount().to_numpy()
    key: npt.NDArray[np.int64] = (
        sales["order_id"].to_numpy(np.int64) << 24 | sales["item_id"].to_numpy(np.int64) << 10 | number
    )
    # by the source's time, not the moved one: tomorrow's load is the same events
    return event_ids(sales["minute"].to_numpy(np.int64) * 60_000, mix(key, 1), mix(key, 2))


def make(now: datetime | None = None) -> Shop:
    """Return the shop as of ``now``. Raises Refused when a shipped file is missing."""
    items, sales = _read("items.parquet"), _read("events.parquet")
    # ids are counted on the stored order; loading goes by time
    ids = _ids(sales).take(pa.array(np.argsort(sales["minute"].to_numpy(), kind="stable")))
    sales = sales.sort_values("minute", kind="stable")
    last = int(sales["minute"].iloc[-1])
    shift = days_to_move(last, now or datetime.now(UTC))
    recent = sales[sales["minute"] > last - _SALES_WINDOW_DAYS * _DAY_MINUTES]
    units = recent["quantity"].clip(upper=MAX_QUANTITY).groupby(recent["item_id"]).sum()
    products = catalog(items, units, shift)
    position = pd.Series(np.arange(len(products), dtype=np.int32), index=items.loc[items["is_product"], "item_id"])
    product: Any = position.loc[sales["item_id"]].to_numpy(np.int32)
    user, numbers = pd.factorize(sales["user_id"], sort=True)
    return Shop(
        settings=SETTINGS,
        products=products,
        users=pd.DataFrame({"external_id": numbers.astype(str), "is_anonymous": True}),
        event_types=("purchase",),
        events=Events(
            ids=ids,
            user=user.astype(np.int32),
            product=product,
            event_type=np.zeros(len(sales), np.int8),
            quantity=sales["quantity"].clip(upper=MAX_QUANTITY).to_numpy(np.int32),
            occurred_at=sales["minute"].to_numpy(np.int64).astype("datetime64[m]").astype("datetime64[us]")
            + np.timedelta64(shift, "D"),
            session_id=pa.array(sales["order_id"].astype(str)),
        ),
    )
