"""Columns of Parquet files, whatever type a tool gave them, as types that the rules of shared/tables know."""

from typing import Any


def is_text(kind: Any) -> bool:
    """Return whether a column holds text; Spark and Impala write it as bytes, pandas may write it as a dictionary."""
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return any(
        test(kind)
        for test in (
            pa.types.is_string,
            pa.types.is_large_string,
            pa.types.is_string_view,
            pa.types.is_binary,
            pa.types.is_large_binary,
            pa.types.is_binary_view,
            pa.types.is_fixed_size_binary,
        )
    )


def plain(array: Any) -> Any:
    """Return a column with its text as text, and its float32 as the shortest decimals of their own precision.

    Raises ArrowInvalid for bytes that are not UTF-8.
    """
    import pyarrow as pa

    if pa.types.is_dictionary(array.type):
        array = array.cast(array.type.value_type)
    if pa.types.is_float32(array.type):
        return array.cast(pa.string()).cast(pa.float64())
    if pa.types.is_fixed_size_binary(array.type):
        array = array.cast(pa.binary())
    return array.cast(pa.string()) if is_text(array.type) else array
