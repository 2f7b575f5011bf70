"""Converts columns of Parquet files, whatever type a tool gave them, to types that the rules of shared/tables know."""

from typing import Any

from shared.tables.values import MAX_EXACT_FLOAT


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
    """Return a column with text and UUIDs as text, and small floats as the shortest decimals of their precision.

    Raises ArrowInvalid for bytes that are not UTF-8.
    """
    import pyarrow as pa

    if pa.types.is_dictionary(array.type):
        array = array.cast(array.type.value_type)
    if isinstance(array.type, pa.UuidType):
        return pa.array([None if value is None else str(value) for value in array.to_pylist()], pa.string())
    if is_small_float(array.type):
        return array.cast(pa.float32()).cast(pa.string()).cast(pa.float64())
    if pa.types.is_fixed_size_binary(array.type):
        array = array.cast(pa.binary())
    return array.cast(pa.string()) if is_text(array.type) else array


def is_small_float(kind: Any) -> bool:
    """Return whether a column holds floats that represent whole numbers exactly up to 2^24 at most."""
    import pyarrow as pa

    return bool(pa.types.is_float32(kind) or pa.types.is_float16(kind))


def ids(array: Any) -> Any:
    """Return a column of ids as ``plain`` does, with floats as text.

    Floats too large to be exact are written in a form that the rules for ids refuse, such as ``1.2e+19``.
    """
    import pyarrow as pa

    array = array.cast(array.type.value_type) if pa.types.is_dictionary(array.type) else array
    if not pa.types.is_floating(array.type):
        return plain(array)
    exact = 2**11 if pa.types.is_float16(array.type) else 2**24 if pa.types.is_float32(array.type) else MAX_EXACT_FLOAT
    texts = [
        # missing, or NaN
        None
        if value is None or value != value
        else f"{value:.16e}"
        if abs(value) >= exact
        else str(int(value))
        if value.is_integer()
        else repr(value)
        for value in map(_float, array.to_pylist())
    ]
    return pa.array(texts, pa.string())


def _float(value: Any) -> float | None:
    return None if value is None else float(value)
