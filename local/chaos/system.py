"""A whole system in a folder of its own, whose functions reach the services through proxies.

Parts that die are started again, as the platform starts instances and as Cloud SQL and Memorystore restart servers.
The scheduler's jobs of every minute run every few seconds, so that what they repair is repaired within a short run.
"""

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import psutil

from delivery import http
from local import doors, jobs, postgres, valkey
from local.chaos.proxy import Proxy
from local.errors import CommandError
from local.processes import Part, listen, python, rotate, spawn, start_step, wait_until
from local.services import Services
from local.state import State
from shared.manifest import manifest

# of the functions: short, so that a fault of seconds shows what a long one does
STATEMENT_TIMEOUT_S: Final = 4
# the default, which bounds how long an interrupted checkout holds its key
PAYMENT_TIMEOUT_S: Final = 10
SERVICES: Final = ("postgres", "redis", "pubsub")
FUNCTIONS: Final = ("gateway", "events", "jobs")
RESTART_S: Final = 0.5
# until a function answers on a machine that is busy with other things
START_S: Final = 300
JOBS_EVERY_S: Final = 3.0
# parts of a disk that a fault fills
DISK_MIB: Final = {"postgres": 700, "pubsub": 24}
PRODUCTS: Final = 60
STOCK: Final = 500_000

Say = Callable[[str], None]


class System:
    """The running system. ``with System(folder, say) as system``."""

    def __init__(self, folder: Path, say: Say) -> None:
        self.say = say
        self.home = folder / "state"
        self.state = State.create(self.home)
        self.services = Services(self.state, own={"PATH": os.environ.get("PATH", os.defpath)})
        self.proxies: dict[str, Proxy] = {}
        self.parts: dict[str, Part] = {}
        self.ports: dict[str, int] = {}
        self.environment: dict[str, str] = {}
        self.disks: dict[str, Path] = {}
        self.push_token = self.state.secret("push")
        self.restarts = 0
        self._stopping = threading.Event()
        self._changing = threading.RLock()
        self._threads: list[threading.Thread] = []

    # life

    def __enter__(self) -> "System":
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start everything and return once the functions answer. Raises CommandError."""
        self._mount_disks()
        for name in FUNCTIONS:
            self.ports[name] = self.state.port(name)
        self.services.start()
        self.parts |= dict(zip(SERVICES, self.services.parts, strict=True))
        # from here on they are watched here
        self.services.parts = []
        self.ports |= {name: int(self.parts[name].port or 0) for name in SERVICES}
        self.environment = self._settings()
        self._prepare()
        for name in FUNCTIONS:
            self.parts[name] = self._start(name)
        self._wait_for_functions()
        for work in (self._watch, self._run_jobs):
            thread = threading.Thread(target=work, name=work.__name__, daemon=True)
            thread.start()
            self._threads.append(thread)

    def _wait_for_functions(self) -> None:
        for name in FUNCTIONS:
            url = f"http://127.0.0.1:{self.ports[name]}/health"
            wait_until(lambda url=url: jobs.get(url)[0] == 200, self.parts[name], START_S)  # type: ignore[misc]  # mypy infers no type for a lambda with a default

    def stop(self) -> None:
        """Stop everything, functions before services."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(60)
        for name in (*FUNCTIONS, "pubsub", "redis", "postgres"):
            if name in self.parts:
                self.resume(name)
                self.parts[name].stop()
        self.services.stop()
        for proxy in self.proxies.values():
            proxy.close()
        for folder in self.disks.values():
            subprocess.run(["umount", "-l", str(folder)], check=False, capture_output=True)

    @property
    def url(self) -> str:
        """The address of the shop."""
        return f"http://127.0.0.1:{self.ports['gateway']}"

    @property
    def admin(self) -> dict[str, str]:
        """The header of an administrator."""
        return {"Authorization": f"Bearer {self.environment['ADMIN_TOKEN']}"}

    def _mount_disks(self) -> None:
        if os.geteuid() != 0:
            return
        for name, size in DISK_MIB.items():
            folder = self.home / name if name == "pubsub" else self.home.with_name("database")
            folder.mkdir(mode=0o755, exist_ok=True)
            mounted = subprocess.run(
                ["mount", "-t", "tmpfs", "-o", f"size={size}m,mode=755", "tmpfs", str(folder)],
                check=False,
                capture_output=True,
            )
            if mounted.returncode == 0:
                self.disks[name] = folder
        if "postgres" in self.disks:
            self.state.remember_elsewhere(self.disks["postgres"])

    def _settings(self) -> dict[str, str]:
        for name in SERVICES:
            self.proxies[name] = Proxy("127.0.0.1", self.ports[name])
        environment = dict(manifest().environment | self.services.environment)
        for name, setting in zip(SERVICES, ("DATABASE_URL", "REDIS_URL", "PUBSUB_EMULATOR_HOST"), strict=True):
            environment[setting] = environment[setting].replace(f":{self.ports[name]}", f":{self.proxies[name].port}")
        return environment | {
            "JOBS_URL": f"http://127.0.0.1:{self.ports['jobs']}/_jobs",
            "JOBS_TOKEN": self.state.secret("jobs"),
            "STATEMENT_TIMEOUT_S": str(STATEMENT_TIMEOUT_S),
            "PAYMENT_TIMEOUT_S": str(PAYMENT_TIMEOUT_S),
            # the driver is one client with the load of many
            "RATE_LIMIT_PER_MINUTE": "0",
            "LOG_LEVEL": "WARNING",
        }

    def _prepare(self) -> None:
        endpoint = f"http://127.0.0.1:{self.ports['events']}/_events"
        environment = {**os.environ, **self.environment, "AISLE_HOME": str(self.home)}
        environment[doors.PUSH_TOKEN] = self.push_token
        step = start_step(python("local.prepare", "--data", "none", "--endpoint", endpoint), environment)
        if step.wait(120):
            raise CommandError("The database could not be prepared. The reason is above.")

    def _start(self, name: str) -> Part:
        log = self.home / "logs" / f"{name}.log"
        if name == "postgres":
            part = postgres.start(self.state, log)
            postgres.wait_ready(self.state, part)
            return part
        if name == "redis":
            part = valkey.start(self.state, log)
            valkey.wait_ready(self.state, part)
            return part
        if name == "pubsub":
            part, _name = self.services.start_pubsub(log)
            return part
        rotate(log)
        environment = {**os.environ, **self.environment, "PYTHONUNBUFFERED": "1"}
        module = ("local.gateway",) if name == "gateway" else ("local.worker", name)
        environment |= {doors.PUSH_TOKEN: self.push_token} if name == "events" else {}
        environment |= {doors.OPERATOR_TOKEN: self.state.secret("operator")} if name == "jobs" else {}
        listener = listen(self.ports[name])
        command = [*python(*module), "--fd", str(listener.fileno())]
        return spawn(name, command, log, environment, port=self.ports[name], sockets=[listener])

    def _replace(self, name: str) -> None:
        part = self.parts[name] = self._start(name)
        if name in self.proxies:
            self.ports[name] = int(part.port or 0)
            self.proxies[name].target = ("127.0.0.1", self.ports[name])

    def _watch(self) -> None:
        while not self._stopping.wait(0.1):
            for name in (*SERVICES, *FUNCTIONS):
                with self._changing:
                    if self.parts[name].running():
                        continue
                if self._stopping.wait(RESTART_S):
                    return
                with self._changing:
                    try:
                        self._replace(name)
                        self.restarts += 1
                    except (CommandError, OSError) as error:
                        # such as a disk that is still full: the next round tries again
                        self.say(f"{name} does not start: {str(error).splitlines()[0][:200]}")

    def _run_jobs(self) -> None:
        names = [entry.name for entry in manifest().of_kind("job") if (entry.schedule or "").startswith("* ")]
        while not self._stopping.wait(JOBS_EVERY_S):
            for name in names:
                self.run_job(name)

    def run_job(self, name: str, timeout_s: float = 30) -> int:
        """Run a job and return its status, 0 without an answer."""
        headers = {"Authorization": f"Bearer {self.environment['JOBS_TOKEN']}"}
        try:
            return http.post(f"{self.environment['JOBS_URL']}/{name}", {}, headers=headers, timeout_s=timeout_s).status
        except http.NoAnswer:
            return 0

    # faults

    def family(self, name: str) -> list[psutil.Process]:
        """Return a part's processes, the parent first."""
        try:
            parent = psutil.Process(self.parts[name].pid)
            return [parent, *parent.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def kill(self, name: str) -> None:
        """Kill a part with all its processes, without a warning. It is started again."""
        self._signal(name, signal.SIGKILL)

    def pause(self, name: str) -> None:
        """Stop the processes of a part, as a machine that hangs."""
        self._signal(name, signal.SIGSTOP)

    def resume(self, name: str) -> None:
        """Let a part that was paused go on."""
        self._signal(name, signal.SIGCONT)

    def _signal(self, name: str, number: signal.Signals) -> None:
        for process in self.family(name):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def restart(self) -> None:
        """Stop all functions and services in order, and start them again, as a machine that reboots."""
        with self._changing:
            for name in (*FUNCTIONS, "pubsub", "redis", "postgres"):
                self.parts[name].stop()
            for name in (*SERVICES, *FUNCTIONS):
                self._replace(name)
            self._wait_for_functions()

    @contextlib.contextmanager
    def full_disk(self, name: str) -> Iterator[None]:
        """Fill the disk of a part up to its last byte. Raises KeyError if it has no disk of its own."""
        filler = self.disks[name] / "filler"
        handle = os.open(filler, os.O_WRONLY | os.O_CREAT)
        try:
            with contextlib.suppress(OSError):
                block = bytes(2**20)
                while os.write(handle, block) == len(block):
                    pass
            yield
        finally:
            os.close(handle)
            filler.unlink()

    # the database, past the proxy

    @contextlib.contextmanager
    def database(self) -> Iterator[Any]:
        """Open a connection of pg8000.native to the database itself."""
        with postgres.connection(self.ports["postgres"], self.state.secret("postgres"), postgres.NAME) as connection:
            yield connection

    def fill_catalog(self) -> dict[int, int]:
        """Write PRODUCTS products and return their ids with their stock. Raises CommandError."""
        for number in range(PRODUCTS):
            product = {
                "external_id": f"chaos-{number}",
                "name": f"Lantern number {number}",
                "price": 5 + number,
                "category": f"Category {number % 6}",
                "brand": f"Brand {number % 5}",
                "tags": [f"tag{number % 4}"],
                "quantity": STOCK,
            }
            answer = http.post(f"{self.url}/products", product, headers=self.admin, timeout_s=30)
            if answer.status != 201:
                raise CommandError(f"A product could not be stored ({answer.status}): {answer.text()}")
        with self.database() as connection:
            return {row[0]: row[1] for row in connection.run("SELECT id, quantity FROM products")}

    def secret_key(self) -> str:
        """Make a secret API key of the shop's server."""
        answer = http.post(f"{self.url}/admin/api-keys", {"kind": "secret", "name": "chaos"}, headers=self.admin)
        if answer.status != 201:
            raise CommandError(f"No API key could be made ({answer.status}): {answer.text()}")
        return str(answer.json()["key"])
