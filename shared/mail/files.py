"""Messages as files, for one machine: readable by their owner only, named by time."""

import os
import secrets
import time
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from shared.errors import MailFailed
from shared.mail import Mail
from shared.mail.composing import compose
from shared.settings import settings

# older messages hold links that have ended
KEPT_FILES: Final = 200


def deliver(mail: Mail) -> None:
    """Write a message into the folder of MAIL_URL, and delete all but the last KEPT_FILES there."""
    folder = Path(unquote(urlsplit(settings().require("mail_url")).path))
    name = f"{time.time_ns():020d}-{secrets.token_hex(4)}.eml"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial = folder / f".{name}"
        with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(compose(mail).as_bytes())
        partial.rename(folder / name)
        for old in sorted(folder.glob("*.eml"))[:-KEPT_FILES]:
            old.unlink(missing_ok=True)
    except OSError as error:
        raise MailFailed(f"The folder of MAIL_URL cannot be written: {error.strerror}.") from None
