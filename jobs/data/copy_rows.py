"""Arrays of events as the CSV that ``bulk_loading.append`` expects, and ids derived from events. Needs pyarrow."""

import io
from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import csv

from shared.storage.events.bulk_loading import COLUMNS

UInt64 = npt.NDArray[np.uint64]

_HEX: Final = np.frombuffer(b"0123456789abcdef", np.uint8)


def mix(values: npt.NDArray[Any], seed: int = 0) -> UInt64:
    """Return a well-mixed 64-bit number for each integer (splitmix64, Steele et al., OOPSLA 2014); a bijection."""
    mixed = values.astype(np.uint64) + np.uint64((seed * 0x9E3779B97F4A7C15 + 0x9E3779B97F4A7C15) % 2**64)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def event_ids(order: npt.NDArray[Any], high_bits: UInt64, low_bits: UInt64) -> pa.Array:
    """Return UUIDs (RFC 9562, version 8) as 32 hexadecimal digits, shape (n,).

    order : sort key of 48 bits, such as milliseconds: ids in ascending order extend the index only at its end.
    high_bits, low_bits : 12 and 62 bits that distinguish events of the same ``order``.
    """
    high = (order.astype(np.uint64) << np.uint64(16)) | np.uint64(0x8000) | (high_bits & np.uint64(0xFFF))
    low = (low_bits & np.uint64(0x3FFFFFFFFFFFFFFF)) | np.uint64(0x8000000000000000)
    octets = np.stack([high, low], axis=1).astype(">u8").view(np.uint8).reshape(-1, 16)
    digits = np.empty((len(octets), 32), np.uint8)
    digits[:, 0::2], digits[:, 1::2] = _HEX[octets >> 4], _HEX[octets & 15]
    offsets = np.arange(len(octets) + 1, dtype=np.int32) * 32
    return pa.StringArray.from_buffers(len(octets), pa.py_buffer(offsets), pa.py_buffer(digits))


def streams(columns: Mapping[str, Any], rows: int = 500_000) -> Iterator[io.BytesIO]:
    """Yield CSV for ``bulk_loading.append``, ``rows`` at a time. Omitted columns are empty, but the quantity is 1.

    ``columns`` are arrays of one length, by the names of ``bulk_loading.COLUMNS``. ``occurred_at`` is datetime64, UTC.
    """
    length = len(columns["event_id"])
    filled: dict[str, Any] = {"position": np.arange(length), "quantity": np.ones(length, np.int32), **columns}
    arrays = [filled[name] if name in filled else pa.nulls(length, pa.string()) for name in COLUMNS]
    table = pa.Table.from_arrays(
        [array if isinstance(array, pa.Array | pa.ChunkedArray) else pa.array(array) for array in arrays], list(COLUMNS)
    )
    zoned = table["occurred_at"].cast(pa.timestamp("us")).cast(pa.timestamp("us", "UTC"))
    table = table.set_column(COLUMNS.index("occurred_at"), "occurred_at", zoned)
    for start in range(0, length, rows):
        stream = io.BytesIO()
        csv.write_csv(table.slice(start, rows), stream, csv.WriteOptions(include_header=False))
        stream.seek(0)
        yield stream
