"""Record the examples: a small shop, its accounts and keys, and the scenario."""

import subprocess
import sys
from pathlib import Path
from typing import Any

from local import openapi
from local.api_examples import scenario
from local.api_examples.normalising import PASSWORD
from local.api_examples.recording import Recorder, operations_of
from local.api_examples.system import running, url_of
from local.errors import CommandError
from local.places import ROOT
from local.state import read_json


def record() -> dict[str, Any]:
    """Return the examples by operation, recorded from a new system. Raises CommandError."""
    with running() as home:
        return record_from(home)


def record_from(home: Path) -> dict[str, Any]:
    """Return the examples by operation, recorded from the empty system of a state folder. Raises CommandError."""
    document = openapi.bare()
    environment: dict[str, str] = read_json(home / "run.json")["environment"]
    shop = Recorder(url_of(home), operations_of(document), document["components"]["schemas"])
    with shop.client:
        _play(shop, home, environment)
    return shop.kept


def _play(shop: Recorder, home: Path, environment: dict[str, str]) -> None:
    shop.credentials["admin"] = {"Authorization": f"Bearer {environment['ADMIN_TOKEN']}"}
    for kind, name in (("secret", "key"), ("publishable", "publishable")):
        body = {"kind": kind, "name": "shop server" if kind == "secret" else "tag manager"}
        created = shop.client.post("/admin/api-keys", json=body, headers=shop.credentials["admin"]).json()
        shop.credentials[name] = {"X-API-Key": created["key"]}
    _create_admin(home)
    login = {"email": scenario.ADMIN_EMAIL, "password": PASSWORD}
    tokens = shop.client.post("/auth/login", json=login).json()
    shop.credentials["staff"] = {"Authorization": f"Bearer {tokens['access_token']}"}
    scenario.play(shop, environment, home / "mail")


def _create_admin(home: Path) -> None:
    process = subprocess.run(
        [sys.executable, "-P", "-m", "local", "admin", "create", scenario.ADMIN_EMAIL],
        input=f"{PASSWORD}\n",
        env={"AISLE_HOME": str(home), "PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    if process.returncode:
        raise CommandError(process.stderr)
