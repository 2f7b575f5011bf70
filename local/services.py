"""PostgreSQL, Redis and Pub/Sub of one state folder. Each is embedded unless the environment names another."""

import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from local import postgres, valkey
from local.errors import CommandError, Refused
from local.processes import Part, answers, python, rotate, spawn, wait_until
from local.state import State

PROJECT = "aisle-local"
Report = Callable[[str], None]


def quiet(_line: str) -> None:
    """Discard a line of progress."""


class Services:
    """The services as a context manager; once started, ``environment`` holds the settings that address them.

    With ``durable=False``, for tests and benchmarks, no write waits for the disk, and a crash may lose data.
    ``own`` replaces the process's environment.
    """

    def __init__(
        self, state: State, *, durable: bool = True, report: Report = quiet, own: Mapping[str, str] | None = None
    ) -> None:
        self.state = state
        self.durable = durable
        self.report = report
        self.own = os.environ if own is None else own
        self.parts: list[Part] = []
        # by the name of the part; it starts a part that has ended on its port, with its data
        self.restarts: dict[str, Callable[[], Part]] = {}
        self.environment: dict[str, str] = {}
        self.embedded_postgres: Part | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start the embedded services at the same time and wait until all answer. Raises CommandError."""
        logs = self.state.home / "logs"
        begun = time.monotonic()
        waits: list[Callable[[], tuple[str, str, str]]] = []
        try:
            if url := self.own.get("DATABASE_URL"):
                self.environment["DATABASE_URL"] = with_driver(url)
                self.report("PostgreSQL: using DATABASE_URL")
            else:
                first = not (postgres.data_folder(self.state) / "PG_VERSION").exists()
                if first:
                    self.report("PostgreSQL 18: creating its data folder ...")
                database = postgres.start(self.state, logs / "postgres.log", durable=self.durable)
                self.embedded_postgres = database
                self.parts.append(database)
                self.restarts[database.name] = lambda: postgres.start(
                    self.state, database.log, durable=self.durable, port=database.port
                )
                waits.append(lambda: ("DATABASE_URL", postgres.wait_ready(self.state, database), "PostgreSQL 18"))
            if url := self.own.get("REDIS_URL"):
                self.environment["REDIS_URL"] = url
                self.report("Redis: using REDIS_URL")
            else:
                cache = valkey.start(self.state, logs / "redis.log")
                self.parts.append(cache)
                self.restarts[cache.name] = lambda: valkey.start(self.state, cache.log, port=cache.port)
                waits.append(lambda: ("REDIS_URL", valkey.wait_ready(self.state, cache), "Redis (Valkey 9)"))
            if host := self.own.get("PUBSUB_EMULATOR_HOST"):
                self.environment["PUBSUB_EMULATOR_HOST"] = host
                self.report("Pub/Sub: using PUBSUB_EMULATOR_HOST")
            else:
                broker, broker_name = self.start_pubsub(logs / "pubsub.log")
                self.parts.append(broker)
                if self.own.get("AISLE_PUBSUB") != "google":
                    # Google's emulator would come back without its topics and messages
                    self.restarts[broker.name] = lambda: self.start_pubsub(broker.log, broker.port)[0]
                waits.append(lambda: ("PUBSUB_EMULATOR_HOST", _wait_for_pubsub(broker), broker_name))
            with ThreadPoolExecutor(max(1, len(waits))) as pool:
                for waited in as_completed([pool.submit(wait) for wait in waits]):
                    setting, value, name = waited.result()
                    self.environment[setting] = value
                    self.report(f"{name}: ready after {time.monotonic() - begun:.1f} s")
        except BaseException:
            self.stop()
            raise
        self.environment |= {
            "ENVIRONMENT": "local",
            "GOOGLE_CLOUD_PROJECT": self.own.get("GOOGLE_CLOUD_PROJECT") or PROJECT,
            "ADMIN_TOKEN": self.own.get("ADMIN_TOKEN") or self.state.secret("admin"),
            "API_MAC_KEYS": self.own.get("API_MAC_KEYS") or f"local:{self.state.secret('api-keys')}",
            "WEBHOOK_KEYS": self.own.get("WEBHOOK_KEYS") or f"local:{self.state.secret('webhooks')}",
            "TOKEN_KEYS": self.own.get("TOKEN_KEYS") or f"local:{self.state.secret('tokens')}",
        }

    def start_pubsub(self, log: Path, port: int | None = None) -> tuple[Part, str]:
        """Start the embedded Pub/Sub, or Google's emulator; return it with its name. With a port it starts again."""
        if port is None:
            rotate(log)
        port = port or self.state.port("pubsub")
        environment = dict(os.environ)
        if self.own.get("AISLE_PUBSUB") == "google":
            command: list[str | Path] = [google_emulator(self.own), "--host=127.0.0.1", f"--port={port}"]
            name = "Pub/Sub (Google's emulator)"
            return spawn("Pub/Sub", command, log, environment, port=port), name
        folder = self.state.home / "pubsub"
        folder.mkdir(exist_ok=True)
        arguments = ["--host", "127.0.0.1", "--port", str(port)]
        if self.durable:
            arguments += ["--state", str(folder / "state.db")]
        ready = folder / "ready"
        ready.unlink(missing_ok=True)
        arguments += ["--ready-file", str(ready)]
        return spawn("Pub/Sub", python("local.pubsub", *arguments), log, environment, port=port), "Pub/Sub"

    def stop(self) -> None:
        """Stop the embedded services, Pub/Sub first: it must not deliver to functions that have lost their database."""
        for part in reversed(self.parts):
            part.stop()
        self.parts.clear()


def with_driver(url: str) -> str:
    """Return a PostgreSQL URL with our driver in its scheme."""
    scheme, separator, rest = url.partition("://")
    return f"postgresql+pg8000://{rest}" if separator and scheme in ("postgres", "postgresql") else url


def google_emulator(environment: Mapping[str, str]) -> Path:
    """Return the program of Google's Pub/Sub emulator. Raises Refused with how to install it."""
    advice = "Install it with: gcloud components install pubsub-emulator; or unset AISLE_PUBSUB"
    gcloud = shutil.which("gcloud", path=environment.get("PATH"))
    if gcloud is None:
        raise Refused(f"AISLE_PUBSUB=google needs Google's emulator, but gcloud is not on PATH. {advice}.")
    program = Path(gcloud).resolve().parent.parent / "platform/pubsub-emulator/bin/cloud-pubsub-emulator"
    if not program.exists():
        raise Refused(f"AISLE_PUBSUB=google needs Google's emulator, but {program.parents[3]} lacks it. {advice}.")
    if shutil.which("java", path=environment.get("PATH")) is None and "JAVA_HOME" not in environment:
        raise Refused(
            "Google's Pub/Sub emulator needs Java 11 or newer, but java is not on PATH. Install it, "
            "or unset AISLE_PUBSUB."
        )
    return program


def _wait_for_pubsub(part: Part) -> str:
    # the file is written once calls are answered; Google's emulator accepts connections only then
    arguments = list(map(str, part.process.args))  # type: ignore[arg-type]  # spawn passes a list
    if "--ready-file" in arguments:
        ready = Path(arguments[arguments.index("--ready-file") + 1])
        wait_until(ready.exists, part, 30)
    else:
        wait_until(lambda: answers(part.port or 0), part, 60)
    return f"127.0.0.1:{part.port}"


def check_own(own: Mapping[str, str]) -> None:
    """Check the services that the environment names. Raises Refused for a bad setting, CommandError if one is down."""
    for setting, default in (("DATABASE_URL", 5432), ("REDIS_URL", 6379), ("PUBSUB_EMULATOR_HOST", 8085)):
        if not (value := own.get(setting)):
            continue
        try:
            address = urlsplit(value if "://" in value else f"//{value}")
            host, port = address.hostname or "localhost", address.port or default
        except ValueError:
            raise Refused(f"{setting} is not an address: {value!r}. Give host and port, or unset it.") from None
        if not answers(port, host):
            raise CommandError(
                f"Nothing answers at {host}:{port}, the address in {setting}. Start that service, or unset {setting}."
            )
    chosen = own.get("AISLE_PUBSUB") or "embedded"
    if chosen not in ("embedded", "google"):
        raise Refused(f"AISLE_PUBSUB cannot be {chosen!r}. Set it to google, or unset it.")
    if chosen == "google" and not own.get("PUBSUB_EMULATOR_HOST"):
        google_emulator(own)


if sys.platform == "win32":
    raise ImportError("The local system runs on Linux and macOS. On Windows, use WSL.")
