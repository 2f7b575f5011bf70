"""The console in a browser: logging in as staff, going to its pages, and preparing what operators deal with."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

from local.places import ROOT
from local.state import read_json
from tests.browser.conftest import Visitor


class Login(NamedTuple):
    """How a member of staff logs in."""

    email: str
    password: str


def environment_of(home: Path) -> dict[str, str]:
    """Return the settings of the running system, for a process of its own that writes into it."""
    own = {"AISLE_HOME": str(home), "PYTHONPATH": str(ROOT)}
    return {**os.environ, **read_json(home / "run.json")["environment"], **own}


def run(home: Path, code: str) -> str:
    """Run Python inside the system's settings and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        env=environment_of(home),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip()


def create_admin(home: Path) -> Login:
    """Create an admin by the command line, as an operator does."""
    login = Login(f"owner-{uuid4().hex[:8]}@shop.example", f"a plum in the rain {uuid4().hex[:6]}")
    done = subprocess.run(
        [sys.executable, "-P", "-m", "local", "admin", "create", login.email],
        input=login.password + "\n",
        env=environment_of(home),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return login


def open_console(visitor: Visitor, login: Login, address: str = "") -> Any:
    """Log in at the console and open an address behind the `#`; return the page."""
    page = visitor.page
    page.goto(f"{visitor.url}/console")
    page.locator("input[name=email]").fill(login.email)
    page.locator("input[name=password]").fill(login.password)
    page.locator("form button[type=submit]").click()
    page.wait_for_selector("#page-title")
    return show(page, address) if address else page


def show(page: Any, address: str) -> Any:
    """Go to an address of the console and wait until its data are there."""
    page.evaluate("address => { location.hash = address }", address)
    page.wait_for_selector("#page-title")
    page.wait_for_function("() => !document.querySelector('[aria-busy]')")
    return page


def bury_message(home: Path, user_id: str) -> str:
    """Publish a view of product 1 as a dead letter, as Pub/Sub does when a subscription gives up; return its id."""
    return run(
        home,
        f"""
from datetime import UTC, datetime
from shared.clients import pubsub
from shared.messages import USER_EVENTS, user_events
event = {{"event_id": "e-{user_id}", "product_id": 1, "event_type": "view", "timestamp": datetime.now(UTC).isoformat()}}
data, attributes = user_events("{user_id}", [event])
print(pubsub.publish(USER_EVENTS + "-dead-letter", data, attributes | {{
    "CloudPubSubDeadLetterSourceSubscription": "update_preferences",
    "CloudPubSubDeadLetterSourceDeliveryCount": "100",
}}))
""",
    )


def publish_version(home: Path) -> int:
    """Publish a version of the model with a single neighbour, and return its number."""
    return int(
        run(
            home,
            """
from datetime import UTC, datetime
from shared.storage.recommending import models
print(models.publish(job="similarity", started_at=datetime.now(UTC), algorithm="test", parameters={}, rows=[
    b"1\\t{2}\\t{0.5}\\t{2}\\n"], metrics={"ndcg@20": 0.01}))
""",
        )
    )


def add_report(home: Path) -> None:
    """Store a run of the evaluation with a report."""
    run(
        home,
        """
from datetime import UTC, datetime
from shared.clients.postgres import transaction
from shared.storage.operations import training_runs
report = {"report": "<!doctype html><p>A report"}
with transaction() as connection:
    training_runs.add(connection, "evaluation", datetime.now(UTC), "evaluated", report)
""",
    )


def create_support(home: Path) -> Login:
    """Create a member of staff with the role support."""
    login = create_admin(home)
    run(
        home,
        f"""
from shared.clients.postgres import write
write("UPDATE users SET role = 'support' WHERE email = :email", email="{login.email}")
""",
    )
    return login
