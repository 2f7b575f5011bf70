"""The folders of the repository and of the local system's state."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def home() -> Path:
    """Return the state folder: AISLE_HOME, or `.aisle` beside the `aisle` script."""
    chosen = os.environ.get("AISLE_HOME", "")
    return Path(chosen).expanduser().absolute() if chosen else ROOT / ".aisle"
