"""Drop every client and cached setting of this process: for tests, and after a fork."""

import sys


def reset() -> None:
    """Close and forget what was opened, where the module that holds it was imported at all."""
    for name in (
        "shared.storage.database",
        "shared.storage.cache",
        "shared.http.answers",
        "shared.storage.pubsub",
        "shared.storage.dead_letters",
        "functions.admin.schedules",
    ):
        module = sys.modules.get(name)
        if module is not None and hasattr(module, "close"):
            module.close()
    from shared.settings import settings

    settings.cache_clear()
