"""Make the shipped files from the source: ``python -m local.data.online_retail.build SOURCE_DIR``.

Nothing is left out of the 396,337 sales; what is smaller is the form: sorted by order and article, minutes instead of
milliseconds, thousandths of a pound as integers, delta encodings, Zstandard. The same source gives the same bytes.
"""

import sys
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from local.errors import Refused

FOLDER: Final = Path(__file__).parent
EVENTS: Final = FOLDER / "events.parquet"
ITEMS: Final = FOLDER / "items.parquet"
_MINUTE_MS: Final = 60_000
_DELTA: Final = dict.fromkeys(("order_id", "minute", "item_id"), "DELTA_BINARY_PACKED")


def _thousandths(prices: "pd.Series[float]") -> "pd.Series[int]":
    return pd.Series(np.rint(prices.to_numpy(np.float64) * 1000), index=prices.index).astype("Int32")


def _write(frame: pd.DataFrame, path: Path, encodings: dict[str, str]) -> None:
    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    encodings = {name: encodings.get(name, "PLAIN") for name in frame.columns}
    pq.write_table(
        table, path, compression="zstd", compression_level=19, use_dictionary=False, column_encoding=encodings
    )


def build(source: Path) -> None:
    """Write EVENTS and ITEMS from a folder with events.parquet, items.parquet and raw.parquet. Raises Refused."""
    try:
        events, items, raw = (pd.read_parquet(source / f"{name}.parquet") for name in ("events", "items", "raw"))
    except FileNotFoundError as error:
        raise Refused(
            f"{error.filename or source} is missing; give the folder that holds events, items and raw.parquet."
        ) from None
    sold = events.assign(
        minute=events["timestamp"] // _MINUTE_MS, price=_thousandths(events["price"]), quantity=events["value"]
    )
    sold = sold.sort_values(["order_id", "item_id", "minute"], kind="stable")
    sales = raw[raw["Quantity"] > 0]
    items = items.sort_values("item_id")
    first = (sales.groupby("item_id")["timestamp"].min() // _MINUTE_MS).reindex(items["item_id"]).astype("Int32")
    shipped = items[["item_id", "stock_code", "title", "is_product"]].assign(
        price=_thousandths(items["price"]), first_minute=first.to_numpy()
    )
    integers = {"user_id": "int32", "minute": "int32", "quantity": "int32", "price": "int32", "order_id": "int32"}
    _write(sold[["order_id", "minute", "user_id", "item_id", "quantity", "price"]].astype(integers), EVENTS, _DELTA)
    _write(shipped, ITEMS, {"item_id": "DELTA_BINARY_PACKED"})


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m local.data.online_retail.build SOURCE_DIR")
    try:
        build(Path(sys.argv[1]))
    except Refused as error:
        sys.exit(str(error))
    print(f"{EVENTS.name} {EVENTS.stat().st_size:,} bytes, {ITEMS.name} {ITEMS.stat().st_size:,} bytes")
