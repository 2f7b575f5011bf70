"""``./aisle clients``: write the generated modules of the clients, or check that they are current."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from local.clients import javascript, python
from local.clients.description import description
from local.errors import CommandError, Refused
from local.places import ROOT

FOLDERS: Final = {"clients/python/aisle_client": python.modules, "clients/js/src": javascript.modules}


def generated() -> dict[Path, str]:
    """Return the text of every generated module, by its place."""
    described = description()
    return {
        ROOT / folder / name: text for folder, modules in FOLDERS.items() for name, text in modules(described).items()
    }


def clients(arguments: Sequence[str]) -> int:
    """Write the modules; with --check change nothing, and fail if one of them is out of date."""
    if list(arguments) not in ([], ["--check"]):
        raise Refused("The only argument of clients is --check. See ./aisle help.")
    changed = {
        place: text
        for place, text in generated().items()
        if not place.exists() or place.read_text(encoding="utf-8") != text
    }
    names = ", ".join(str(place.relative_to(ROOT)) for place in changed)
    if arguments and changed:
        raise CommandError(f"Out of date: {names}. Run ./aisle clients, and commit what it writes.")
    for place, text in changed.items():
        place.write_text(text, encoding="utf-8")
    print(f"Written: {names}." if changed else "All clients are current.")
    return 0
