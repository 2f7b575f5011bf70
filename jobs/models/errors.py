"""Errors that algorithms raise on purpose; any other ValueError means that a parameter is out of range.

* ValueError
  + Unsuitable
    + TooLarge
"""


class Unsuitable(ValueError):
    """The algorithm does not suit a shop of this size; the message says why. Tuning continues with the others."""


class TooLarge(Unsuitable):
    """The fit would exceed the algorithm's memory budget."""
