"""The generated modules of the clients are those of today's API."""

import pytest

from local.clients.command import clients, generated
from local.errors import Refused
from local.places import ROOT


def test_the_committed_modules_are_current() -> None:
    texts = generated()
    assert {place.relative_to(ROOT).as_posix() for place in texts} == {
        "clients/js/src/operations.d.ts",
        "clients/js/src/operations.js",
        "clients/python/aisle_client/models.py",
        "clients/python/aisle_client/operations.py",
    }
    outdated = [place.name for place, text in texts.items() if place.read_text(encoding="utf-8") != text]
    assert outdated == [], "run ./aisle clients"


def test_an_unknown_argument_is_refused() -> None:
    with pytest.raises(Refused, match="--check"):
        clients(["--force"])
