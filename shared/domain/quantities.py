"""Numbers of pieces in carts, stock and events: integers, never text."""

from typing import Final

from pydantic import BeforeValidator

# Maximum pieces of one purchase event, however it arrives: a wholesale order must not outweigh all others.
MAX_EVENT_QUANTITY: Final = 10_000


def whole_number(value: object) -> object:
    """Return an integer for a float without a fraction, since ``2.0`` is 2 in JSON. Other values are unchanged.

    Strict integer validation rejects the rest: text, fractions, booleans.
    """
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = BeforeValidator(whole_number)


def event_quantity(value: object) -> int:
    """Return the number of pieces of an event, capped at MAX_EVENT_QUANTITY; None means 1.

    Raises ValueError for anything but an integer of at least 1.
    """
    if value is None:
        return 1
    number = whole_number(value)
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise ValueError("must be a whole number of at least 1; report a return as a cancelled or refunded order")
    return min(number, MAX_EVENT_QUANTITY)
