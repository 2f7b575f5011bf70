"""`./aisle up`: run the whole system in the foreground until a signal stops it."""

import contextlib
import os
import signal
import socket
import time
from pathlib import Path
from types import FrameType

import psutil

from local import first_login, jobs
from local.errors import CommandError, Refused
from local.places import ROOT, home
from local.prepare import DATA
from local.processes import listen
from local.services import check_own
from local.state import State, read_json
from local.system import System, say
from shared.manifest import manifest

WATCH_S = 0.2


class Stopped(BaseException):
    """A signal requests the system to stop."""


def chosen_port() -> int:
    """Return AISLE_PORT. Raises Refused if it is not a port."""
    value = os.environ.get("AISLE_PORT") or "8080"
    if not value.isascii() or not value.isdigit() or not 0 < int(value) < 65_536:
        raise Refused(f"AISLE_PORT cannot be {value!r}. Set it to a number from 1 to 65535.")
    return int(value)


def chosen_data() -> str:
    """Return AISLE_DATA. Raises Refused if it is not one of DATA."""
    value = os.environ.get("AISLE_DATA") or DATA[0]
    if value not in DATA:
        raise Refused(f"AISLE_DATA cannot be {value!r}. Set it to one of {', '.join(DATA)}.")
    return value


def open_port(port: int) -> list[socket.socket]:
    """Return listening sockets for the addresses of localhost. Raises Refused if the port is in use."""
    try:
        sockets = [listen(port)]
    except PermissionError:
        raise Refused(f"Port {port} needs root. Set AISLE_PORT to a number from 1024 to 65535.") from None
    except OSError:
        command = f"AISLE_PORT={port + 1 if port < 65_535 else 8080} ./aisle up"
        raise Refused(
            f"Port {port} is in use{user_of(port)}. Stop that process, or use another port: {command}"
        ) from None
    # localhost is reachable by IPv4 alone if there is no IPv6, or the port is in use there
    with contextlib.suppress(OSError):
        sockets.append(listen(port, "::1"))
    return sockets


def user_of(port: int) -> str:
    """Return " by process …" for the process that listens on the port; empty if it cannot be seen."""
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.status != psutil.CONN_LISTEN or not connection.laddr or not connection.pid:
                continue
            if connection.laddr.port == port:
                return f" by process {connection.pid} ({psutil.Process(connection.pid).name()})"
    except (psutil.Error, OSError):
        pass
    return ""


def wait_for_leftovers(folder: Path, timeout_s: float = 20) -> None:
    """Wait until the parts of a supervisor that was killed have ended. Raises CommandError if they do not."""
    deadline = time.monotonic() + timeout_s
    for part in read_json(folder / "run.json").get("parts", ()):
        while _still_runs(part):
            if time.monotonic() > deadline:
                pid = part["pid"]
                raise CommandError(
                    f"{part['name']} of an earlier run (process {pid}) does not end. Stop it with: kill -9 {pid}"
                )
            time.sleep(0.05)


def _still_runs(part: dict[str, object]) -> bool:
    # the process id may have been reused, so the start time must match too
    try:
        process = psutil.Process(int(str(part["pid"])))
        return abs(process.create_time() - float(str(part["started"]))) < 5 and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, KeyError, ValueError):
        return False


def example(url: str, data: str) -> str:
    """Return two commands to try first. In a shop without products they import some."""
    user = "17850" if data == "online_retail" else "you"
    status, body = jobs.get(f"{url.replace('localhost', '127.0.0.1')}/products?page_size=1")
    products = body.get("products") if status == 200 and isinstance(body, dict) else None
    if not products:
        catalog = "docs/connect/example/catalog.csv"
        return (
            f"  ./aisle job import_catalog source={ROOT / catalog} dry_run=true\n"
            "  docs/connect/custom.md leads from an empty shop to personal recommendations"
        )
    event = f'{{"user_id": "{user}", "product_id": {products[0]["id"]}, "event_type": "view"}}'
    return (
        f"  curl '{url}/recommendations?user_id={user}&k=5'\n"
        f"  curl '{url}/events' -H 'Content-Type: application/json' -d '{event}'"
    )


def up(*, reload: bool = False) -> int:
    """Run the system until a signal stops it; return 0. Raises CommandError if a part fails for good.

    With ``reload`` a part is replaced when its code changes.
    """
    port, data = chosen_port(), chosen_data()
    check_own(os.environ)
    manifest()
    state = State.create(home())
    state.lock(port)
    sockets = open_port(port)
    wait_for_leftovers(state.home)

    stopping = False

    def stop(number: int, _frame: FrameType | None) -> None:
        nonlocal stopping
        if not stopping:
            stopping = True
            raise Stopped(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    system = System(state, port, data)
    say(f"Starting Aisle on {state.home}")
    try:
        try:
            if reload:
                system.watch_code()
            system.start(sockets)
            say()
            say(f"Aisle is ready after {time.time() - system.started:.1f} s")
            say(f"  {system.url}/         the storefront")
            say(f"  {system.url}/console  the console for staff")
            if (login := first_login.take(state.home)) is not None:
                say(f"           log in as {login.email} with the password {login.password}")
                say("           It is shown only this once. If it is lost: ./aisle admin create EMAIL")
            say(f"  {system.url}/docs     the API to read and try")
            say(f"  {system.url}/health   the state of its parts")
            say("Try it:")
            say(example(system.url, data))
            say("./aisle status shows the parts, ./aisle env the settings with ADMIN_TOKEN. Stop with Ctrl-C.")
            if reload:
                say("Functions and jobs are restarted when their code changes.")
            while True:
                system.reload()
                system.mend()
                time.sleep(WATCH_S)
        finally:
            # from here on signals no longer interrupt: all parts stop in order
            stopping = True
            say("Stopping ...")
            system.stop()
    except Stopped:
        say("Stopped.")
        return 0
    finally:
        state.unlock()
