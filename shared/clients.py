"""Drop every client and cached setting of this process: for tests, and after a fork."""

import sys

CLIENTS = (
    "shared.storage.database",
    "shared.storage.cache",
    "shared.http.answers",
    "shared.storage.pubsub",
    "shared.payments",
    "shared.tokens",
    "shared.storage.dead_letters",
    "functions.admin.schedules",
)


def reset() -> None:
    """Close and forget what was opened, where the module that holds it was imported at all."""
    for name in CLIENTS:
        module = sys.modules.get(name)
        if module is not None and hasattr(module, "close"):
            module.close()
    from shared.settings import settings

    settings.cache_clear()
