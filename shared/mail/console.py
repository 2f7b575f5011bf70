"""Messages on standard error, for one machine."""

import sys

from shared.mail import Mail
from shared.mail.composing import compose


def deliver(mail: Mail) -> None:
    """Write a message to standard error."""
    sys.stderr.write(f"{compose(mail).as_string()}\n")
    sys.stderr.flush()
