"""`./aisle up --reload` on a copy of the code, which the tests change while it serves."""

import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from local.places import ROOT
from tests.running import Aisle

PARTS = ("functions", "jobs", "shared", "local", "delivery", "web")
PRODUCTS, POPULARITY, AUTH = "functions/products/main.py", "functions/update_popularity/main.py", "shared/auth.py"
# the processes that run the code of a file
RUN_BY = {
    PRODUCTS: {"Gateway"},
    POPULARITY: {"Events worker"},
    AUTH: {"Gateway", "Events worker", "Jobs worker"},
}
ROUTE = """

@app.get("/products/of/this-test")
def of_this_test() -> dict[str, int]:
    return {{"version": {version}}}
"""


class Copy(Aisle):
    """A system that runs a copy of the code."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "state")
        self.root = folder / "code"
        for name in PARTS:
            shutil.copytree(ROOT / name, self.root / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("main.py", "functions.yaml"):
            shutil.copy(ROOT / name, self.root / name)
        self.environment["PYTHONPATH"] = str(self.root)
        self.arguments = ["--reload"]
        self.originals: dict[str, str] = {}

    def append(self, path: str, text: str) -> None:
        """Add text at the end of a file as it was."""
        file = self.root / path
        original = self.originals.setdefault(path, file.read_text())
        file.write_text(original + text)

    def pids(self) -> dict[str, int]:
        return {name: process.pid for name, process in self.parts().items()}


def until(holds: Callable[[], bool], system: Copy) -> None:
    deadline = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < deadline, system.printed()
        time.sleep(0.05)


@contextmanager
def one_restart(system: Copy, path: str = PRODUCTS) -> Iterator[None]:
    """Wait until the block's change of a file has replaced what runs it, alone, and the processes before have ended.

    Until they have, both answer.
    """
    names = RUN_BY[path]
    before = system.pids()
    yield
    until(lambda: all(system.pids()[name] != before[name] for name in names), system)
    until(lambda: not any(psutil.pid_exists(before[name]) for name in names), system)
    assert {name for name, pid in system.pids().items() if pid != before[name]} == names


def serves(number: int, system: Copy) -> None:
    """Wait until a version of the test's route answers."""
    until(lambda: version(system) == number, system)


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Copy]:
    copy = Copy(tmp_path_factory.mktemp("reload"))
    copy.start()
    yield copy
    family = copy.family()
    assert copy.stop() == 0
    assert [process for process in family if process.is_running()] == []


@pytest.fixture(autouse=True)
def unchanged(system: Copy) -> Iterator[None]:
    """The code is as it was before and after each test, and what runs is that code."""
    yield
    for path, original in system.originals.items():
        with one_restart(system, path):
            (system.root / path).write_text(original)
    system.originals.clear()
    until(lambda: httpx.get(f"{system.url}/products/of/this-test", timeout=60).status_code == 404, system)


def version(system: Copy) -> int | None:
    answer: int | None = httpx.get(f"{system.url}/products/of/this-test", timeout=60).json().get("version")
    return answer


def test_a_changed_function_serves_and_nothing_else_is_restarted(system: Copy) -> None:
    assert version(system) is None
    for number in (1, 2):
        with one_restart(system):
            system.append(PRODUCTS, ROUTE.format(version=number))
            serves(number, system)
    assert re.search(r"Gateway: restarted in [\d.]+ s for functions/products/main\.py", system.printed())


def test_a_changed_event_function_restarts_the_worker_of_events_alone(system: Copy) -> None:
    with one_restart(system, POPULARITY):
        system.append(POPULARITY, "\n# changed\n")


def test_a_syntax_error_is_printed_and_the_running_code_stays_until_it_is_mended(system: Copy) -> None:
    gateway = system.pids()["Gateway"]
    system.append(PRODUCTS, "\ndef broken(:\n")
    lines = (system.root / "functions/products/main.py").read_text().count("\n")
    until(lambda: f"functions/products/main.py:{lines}: invalid syntax" in system.printed(), system)
    assert version(system) is None
    assert system.pids()["Gateway"] == gateway
    with one_restart(system):
        system.append(PRODUCTS, ROUTE.format(version=3))
        serves(3, system)


def test_code_that_cannot_be_imported_does_not_replace_what_serves(system: Copy) -> None:
    gateway = system.pids()["Gateway"]
    system.append(PRODUCTS, "\nraise RuntimeError('of this test')\n")
    until(lambda: "the running code stays until the next change" in system.printed(), system)
    assert "RuntimeError: of this test" in system.printed()
    assert system.pids()["Gateway"] == gateway
    assert version(system) is None


def test_pages_are_read_anew_without_a_restart(system: Copy) -> None:
    gateway = system.pids()["Gateway"]
    page = system.root / "web/storefront/index.html"
    original = page.read_text()
    page.write_text(original.replace("</body>", "<!-- of this test --></body>"))
    try:
        answer = httpx.get(f"{system.url}/", headers={"Accept": "text/html"}, timeout=60)
        assert "<!-- of this test -->" in answer.text
        assert system.pids()["Gateway"] == gateway
    finally:
        page.write_text(original)


def test_a_migration_waits_for_the_next_start(system: Copy) -> None:
    before = system.pids()
    file = system.root / "shared/sql/migrations/9999_of_this_test.sql"
    file.write_text("SELECT 1;\n")
    until(lambda: "9999_of_this_test.sql takes effect with the next start" in system.printed(), system)
    file.unlink()
    assert system.pids() == before


def test_no_accepted_event_is_lost_and_no_request_refused_while_everything_is_restarted(system: Copy) -> None:
    accepted: list[str] = []
    wrong: list[str] = []
    done = threading.Event()

    def send() -> None:
        while not done.is_set():
            event = {"user_id": "reloading", "product_id": len(accepted) + 1, "event_type": "view"}
            try:
                # a connection each, as of many shoppers
                answer = httpx.post(f"{system.url}/events", json=event, timeout=60)
            except httpx.HTTPError as error:
                wrong.append(repr(error))
                continue
            if answer.status_code == 202:
                accepted.append(answer.json()["event_id"])
            else:
                wrong.append(answer.text)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        for number in range(2):
            with one_restart(system, AUTH):
                system.append(AUTH, f"\n# {number}\n")
    finally:
        done.set()
        sender.join(120)
    assert wrong == []
    assert len(accepted) > 2

    def stored() -> int:
        # the shop has no products, so each event is kept as one that names an unknown product
        query = "SELECT count(*) FROM rejected_events WHERE event::text LIKE '%reloading%'"
        return int(system.run("psql", "-Atc", query).stdout.strip() or -1)

    until(lambda: stored() >= len(accepted), system)


def test_an_argument_that_is_unknown_is_refused() -> None:
    command = [sys.executable, "-P", "-m", "local", "up", "--fast"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT)
    assert (done.returncode, done.stderr) == (2, "aisle: The only argument of up is --reload. See ./aisle up --help.\n")
