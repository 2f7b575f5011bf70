"""What `./aisle up` runs: starts the parts in order, watches them, starts those again that end, and stops all."""

import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import quote

from local import doors, jobs
from local.errors import CommandError
from local.places import ROOT
from local.prepare import first_jobs_are_due, remember_first_jobs
from local.processes import Part, listen, python, rotate, spawn, start_step, wait_until
from local.reload import Reloader
from local.restarts import Restarts
from local.services import Services
from local.state import State, write_private
from local.telemetry.store import path_in
from shared.manifest import manifest


def say(line: str = "") -> None:
    """Print a line of progress; go on without output if the terminal or pipe is closed."""
    try:
        print(line, flush=True)
    except OSError:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 — for the rest of the process


def mail_settings(own: Mapping[str, str], url: str, folder: Path) -> dict[str, str]:
    """Return the settings of mail: links lead to ``url``, messages become files, unless ``own`` settings differ."""
    settings = {"PUBLIC_URL": own.get("PUBLIC_URL") or url}
    if not own.get("MAIL_URL"):
        settings |= {"MAIL_URL": f"file://{quote(str(folder.absolute()))}", "MAIL_FROM": "Aisle <aisle@localhost>"}
    return settings


class System:
    """The running system of one state folder."""

    def __init__(self, state: State, port: int, data: str) -> None:
        self.state = state
        self.port = port
        self.data = data
        self.url = f"http://localhost:{port}"
        self.services = Services(state, report=lambda line: say(f"  {line}"))
        self.parts: dict[str, Part] = {}
        self.restarts = Restarts(lambda line: say(f"  {line}"))
        self.starts: dict[str, Callable[[], Part]] = {}
        # by key, with settings that only this process has
        self.successors: dict[str, Callable[[Mapping[str, str]], Part]] = {}
        self.reloader: Reloader | None = None
        self.listeners: list[socket.socket] = []
        self.environment: dict[str, str] = {}
        self.started = time.time()
        self.events_socket: socket.socket | None = None
        self.jobs_socket: socket.socket | None = None
        self.telemetry_url: str | None = None
        self.operator_token = secrets.token_urlsafe(24)
        # stays the same: Pub/Sub delivers by the endpoints of the last run before they are updated
        self.push_token = state.secret("push")

    def start(self, sockets: list[socket.socket]) -> None:
        """Start all parts and return once the gateway serves. Raises CommandError."""
        self.events_socket, events_port = self._worker_socket("events")
        self.jobs_socket, jobs_port = self._worker_socket("jobs")
        self.services.start()
        jobs_url = f"http://127.0.0.1:{jobs_port}/_jobs"
        own = {"JOBS_URL": jobs_url, "JOBS_TOKEN": secrets.token_urlsafe(24)}
        own |= mail_settings(os.environ, self.url, self.state.home / "mail")
        own["IMAGE_STORE"] = (
            os.environ.get("IMAGE_STORE") or f"file://{quote(str((self.state.home / 'images').absolute()))}"
        )
        self.environment = manifest().environment | self.services.environment | own | self._start_telemetry()
        self.write_run()
        process = {**os.environ, **self.environment, "PYTHONUNBUFFERED": "1"}
        push_token = {doors.PUSH_TOKEN: self.push_token}
        prepared = preparation()
        preparing = self._start_preparing(f"http://127.0.0.1:{events_port}/_events")
        if self.state.prepared != prepared:
            # nothing may be served, and no event applied, before the tables and subscriptions match the code
            self._finish_preparing(preparing)
        begun = time.monotonic()
        self._spawn(
            "events",
            "Events worker",
            python("local.worker", "events"),
            process | push_token | {"OTEL_SERVICE_NAME": "events"},
            [self.events_socket],
            events_port,
        )
        # jobs run at low priority: serving comes first
        self._spawn(
            "jobs",
            "Jobs worker",
            python("local.worker", "jobs"),
            process | {doors.OPERATOR_TOKEN: self.operator_token, "OTEL_SERVICE_NAME": "jobs"},
            [self.jobs_socket],
            jobs_port,
            nice=10,
        )
        own = {"OTEL_SERVICE_NAME": "gateway", doors.TELEMETRY_URL: self.telemetry_url or ""}
        self._spawn("gateway", "Gateway", python("local.gateway"), process | own, sockets, self.port)
        self.write_run()
        self._finish_preparing(preparing)
        # DATABASE_URL may name another database at the next start
        self.state.remember_prepared(prepared if self.services.embedded_postgres else "")
        for name, port in (("events", events_port), ("jobs", jobs_port)):
            part = self.parts[name]
            wait_until(lambda port=port: jobs.get(f"http://127.0.0.1:{port}/health")[0] == 200, part, 60)  # type: ignore[misc]  # mypy infers no type for a lambda with a default
        wait_until(lambda: jobs.get(f"http://127.0.0.1:{self.port}/health")[0] == 200, self.parts["gateway"], 60)
        say(f"  Functions: serving after {time.monotonic() - begun:.1f} s")
        if first_jobs_are_due(self.state.home):
            self._first_jobs(jobs_url)
        self._spawn("scheduler", "Scheduler", python("local.scheduler"), process, [], None)
        self.write_run()

    def _start_telemetry(self) -> dict[str, str]:
        """Start the part that receives spans and metrics, and return the settings that send them there.

        Without a part and settings if the environment sends them elsewhere, or nowhere.
        """
        if os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
            return {}
        listener, port = self._worker_socket("telemetry")
        self.telemetry_url = f"http://127.0.0.1:{port}"
        token = secrets.token_urlsafe(24)
        command = python("local.telemetry.collector", "--file", str(path_in(self.state.home)))
        pubsub = self.services.environment["PUBSUB_EMULATOR_HOST"]
        environment = {**os.environ, "ENVIRONMENT": "local", "PUBSUB_EMULATOR_HOST": pubsub}
        environment[doors.TELEMETRY_TOKEN] = token
        self._spawn("telemetry", "Telemetry", command, environment, [listener], port, nice=10)
        return {
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.telemetry_url,
            "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer%20{token}",
            # milliseconds: what `./aisle trace` and /metrics show is this old
            "OTEL_BSP_SCHEDULE_DELAY": "500",
            "OTEL_METRIC_EXPORT_INTERVAL": "5000",
            "OPERATIONS_URL": f"{self.telemetry_url}/operations",
        }

    def _worker_socket(self, name: str) -> tuple[socket.socket, int]:
        # opened before Pub/Sub starts: its early deliveries then wait instead of counting as failed attempts
        port = self.state.port(name)
        return listen(port), port

    def _spawn(
        self,
        key: str,
        name: str,
        command: list[str],
        environment: dict[str, str],
        sockets: list[socket.socket],
        port: int | None,
        nice: int = 0,
    ) -> None:
        log = self.state.home / "logs" / f"{key}.log"
        rotate(log)
        # kept open: connections wait while the part is started again, instead of failing
        self.listeners += sockets

        def start(more: Mapping[str, str] | None = None) -> Part:
            copies = [listener.dup() for listener in sockets]
            numbers = ["--fd", *(str(copy.fileno()) for copy in copies)] if copies else []
            own = {**environment, **(more or {})}
            return spawn(name, [*command, *numbers], log, own, port=port, sockets=copies, nice=nice)

        self.starts[name] = self.successors[key] = start
        self.parts[key] = start()

    def _start_preparing(self, endpoint: str) -> "subprocess.Popen[bytes]":
        environment = {**os.environ, **self.environment, "AISLE_HOME": str(self.state.home)}
        environment[doors.PUSH_TOKEN] = self.push_token
        command = python("local.prepare", "--data", self.data, "--endpoint", endpoint)
        if self.services.embedded_postgres:
            # a database of somebody's own has its own people
            command.append("--offer-login")
        return start_step(command, environment)

    def _finish_preparing(self, process: "subprocess.Popen[bytes]") -> None:
        try:
            while process.poll() is None:
                self.check()
                time.sleep(0.02)
        except BaseException:
            process.terminate()
            process.wait()
            raise
        if process.returncode:
            raise CommandError("The database could not be prepared. The reason is above.")

    def _first_jobs(self, jobs_url: str) -> None:
        failed = []
        for name, parameters in jobs.first_jobs(manifest()).items():
            begun = time.monotonic()
            status, answer = jobs.run(jobs_url, name, parameters, self.operator_token)
            self.check()
            if status < 300:
                say(f"  Job {name}: done in {time.monotonic() - begun:.1f} s{jobs.outcome(answer)}")
            else:
                failed.append(name)
                say(f"  Job {name}: failed with {answer.get('detail') or answer}")
        if failed:
            say(f"  Run again: ./aisle job {failed[0]} (the next start runs all of them again)")
        else:
            remember_first_jobs(self.state.home, due=False)

    def check(self) -> None:
        """Raise CommandError if a part has ended."""
        for part in [*self.services.parts, *self.parts.values()]:
            if not part.running():
                raise CommandError(part.obituary())

    def watch_code(self) -> None:
        """Have parts replaced whose code changes from now on."""
        folder = self.state.home / "reload"
        folder.mkdir(exist_ok=True)
        self.reloader = Reloader(self.parts, self.successors, manifest(), folder, lambda line: say(f"  {line}"))

    def reload(self) -> None:
        """Go on with replacing parts whose code has changed."""
        if self.reloader is not None and self.reloader.check():
            self.write_run()

    def mend(self) -> None:
        """Start parts again that have ended, services first. Raises CommandError if one ends again and again."""
        starts = self.services.restarts | self.starts
        started = [
            self.restarts.check(part, starts.get(part.name)) for part in [*self.services.parts, *self.parts.values()]
        ]
        if any(started):
            self.write_run()

    def write_run(self) -> None:
        """Write run.json, from which the other commands learn what is running."""
        parts = [*self.services.parts, *self.parts.values()]
        rows = [
            {"name": part.name, "pid": part.pid, "port": part.port, "started": part.started, "log": str(part.log)}
            for part in parts
        ]
        content = {"pid": os.getpid(), "port": self.port, "url": self.url, "started": self.started}
        content |= {"operator_token": self.operator_token}
        write_private(self.state.home / "run.json", content | {"parts": rows, "environment": self.environment})

    def stop(self) -> None:
        """Stop callers before the parts that they call."""
        if self.reloader is not None:
            self.reloader.stop()
        for listener in self.listeners:
            listener.close()
        for keys in (("gateway", "scheduler"), ("pubsub",), ("events", "jobs"), ("telemetry",)):
            if keys == ("pubsub",):
                group = [part for part in self.services.parts if part.name == "Pub/Sub"]
            else:
                group = [self.parts[key] for key in keys if key in self.parts]
            for part in group:
                part.ask_to_stop()
            for part in group:
                part.stop()
        self.services.stop()
        (self.state.home / "run.json").unlink(missing_ok=True)


def preparation() -> str:
    """Return what has to be prepared before serving, as State.prepared records it.

    These are the names of all migrations, and that the endpoints of the subscriptions have a token.
    """
    migrations = sorted(path.stem for path in (ROOT / "shared/sql/migrations").glob("*.sql"))
    return " ".join([*migrations, "push-token"])
