"""The workers: one process for event functions, which Pub/Sub pushes to, and one for jobs, which the scheduler calls.

Both run under gunicorn with threads, as functions-framework does when deployed.
"""

import argparse
import io
import os
import socket
import threading
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs

import gunicorn.app.base  # type: ignore[import-untyped]  # its stubs lag behind
import orjson

from local import doors
from local.processes import report_ready
from shared.clients import sources
from shared.errors import AppError, Forbidden, InvalidRequest, JobNotFound, JobRunning, MethodNotAllowed, NotFound
from shared.manifest import Manifest, manifest

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Wsgi = Callable[[Environ, StartResponse], Iterable[bytes]]
EVENT_TYPE = "google.cloud.pubsub.topic.v1.messagePublished"
THREADS = 8
# for a job's lock, its work and its log, as in terraform/functions.tf
CONNECTIONS_PER_JOB = 3
# a token that runs jobs, such as ADMIN_TOKEN, opens no account, and writes no personal data to this machine
OPERATORS_ONLY = frozenset({"first_admin", "export_shop"})
REASONS = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    415: "Unsupported Media Type",
    422: "Unprocessable Content",
}


def answer(error: AppError, environ: Environ, start_response: StartResponse) -> list[bytes]:
    """Answer with a problem."""
    body = orjson.dumps(error.problem() | {"instance": environ.get("PATH_INFO", "")})
    status = f"{error.status} {REASONS.get(error.status, error.title)}"
    headers = [("Content-Type", "application/problem+json"), ("Content-Length", str(len(body)))]
    start_response(status, [*headers, *error.headers.items()])
    return [body]


def request_headers(environ: Environ) -> dict[str, str]:
    """Return a request's headers by their names in lower case."""
    headers = {
        key.removeprefix("HTTP_").replace("_", "-").lower(): str(value)
        for key, value in environ.items()
        if key.startswith("HTTP_")
    }
    return headers | {"content-type": str(environ.get("CONTENT_TYPE", ""))}


class Applications:
    """The functions of one kind, or the jobs, under ``prefix``. Each is created once, on its first request."""

    def __init__(self, deployed: Manifest, kind: str, prefix: str, create: Callable[[str], Wsgi]) -> None:
        self.entries = {entry.name: entry for entry in deployed.of_kind(kind)}
        self.prefix = prefix
        self.create = create
        self.apps: dict[str, Wsgi] = {}
        # create_app changes the process's environment, so one at a time
        self.creating = threading.Lock()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "").rstrip("/")
        name = path.removeprefix(self.prefix + "/")
        if path == "/health":
            start_response("200 OK", [("Content-Type", "application/json")])
            return [b'{"status":"healthy"}']
        if not path.startswith(self.prefix + "/") or name not in self.entries:
            names = ", ".join(self.entries)
            error_type = JobNotFound if self.prefix == "/_jobs" else NotFound
            return answer(error_type(f"Nothing is served at {path}. The names are {names}."), environ, start_response)
        if environ["REQUEST_METHOD"] != "POST":
            return answer(MethodNotAllowed(f"Use POST for {path}."), environ, start_response)
        try:
            doors.check_request(request_headers(environ))
            return self.run(name, environ, start_response)
        except AppError as error:
            return answer(error, environ, start_response)

    def run(self, name: str, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request for an entry of the manifest."""
        raise NotImplementedError

    def app(self, name: str) -> Wsgi:
        """Return an entry's application."""
        app = self.apps.get(name)
        if app is None:
            with self.creating:
                app = self.apps.get(name)
                if app is None:
                    app = self.apps[name] = self.create(name)
        return app


class Events(Applications):
    """Turns Pub/Sub's push request into the CloudEvent that Eventarc sends (binary mode).

    ``token`` is the value of the parameter of that name in the endpoints of the subscriptions.
    """

    def __init__(self, deployed: Manifest, create: Callable[[str], Wsgi], token: str) -> None:
        super().__init__(deployed, "event", "/_events", create)
        self.token = token

    def run(self, name: str, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        presented = parse_qs(str(environ.get("QUERY_STRING", ""))).get("token", [""])[0]
        if not doors.matches(presented, self.token):
            raise doors.refusal()
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        try:
            envelope = orjson.loads(body)
            message = envelope["message"]
            message_id = str(message.get("messageId") or message["message_id"])
            subscription = str(envelope.get("subscription", ""))
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
            raise InvalidRequest(
                "The body is not a Pub/Sub push request: it needs message.messageId and subscription."
            ) from None
        project = subscription.split("/")[1] if subscription.startswith("projects/") else "-"
        converted = {key: value for key, value in environ.items() if not key.startswith("HTTP_CE_")}
        converted |= {
            "PATH_INFO": "/",
            "RAW_URI": "/",
            "QUERY_STRING": "",
            "CONTENT_TYPE": "application/json",
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.input": io.BytesIO(body),
            "HTTP_CE_ID": message_id,
            "HTTP_CE_SPECVERSION": "1.0",
            "HTTP_CE_TYPE": EVENT_TYPE,
            "HTTP_CE_SOURCE": f"//pubsub.googleapis.com/projects/{project}/topics/{self.entries[name].topic}",
        }
        if published := message.get("publishTime") or message.get("publish_time"):
            converted["HTTP_CE_TIME"] = str(published)
        return self.app(name)(converted, start_response)


class Jobs(Applications):
    """Runs jobs. A job that is still running is refused, as when Cloud Scheduler calls a deployed job again.

    A request needs one of ``tokens`` or ``operator_token``, with which a job may also read files of this machine.
    """

    def __init__(
        self, deployed: Manifest, create: Callable[[str], Wsgi], tokens: Iterable[str], operator_token: str
    ) -> None:
        super().__init__(deployed, "job", "/_jobs", create)
        self.running = {name: threading.Lock() for name in self.entries}
        self.tokens = tuple(tokens)
        self.operator_token = operator_token

    def run(self, name: str, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        presented = doors.bearer(request_headers(environ))
        is_operator = doors.matches(presented, self.operator_token)
        if not is_operator and not any(doors.matches(presented, token) for token in self.tokens):
            raise doors.refusal()
        if name in OPERATORS_ONLY and not is_operator:
            raise Forbidden(f"{name}: only ./aisle runs it, on its machine.")
        if not self.running[name].acquire(blocking=False):
            raise JobRunning(f"{name} is already running. Wait until it ends.")
        try:
            environ = environ | {"PATH_INFO": "/", "RAW_URI": "/"}
            with sources.local_files(allowed=is_operator):
                # read completely while the lock is held: a lazy answer would run on without it
                return list(self.app(name)(environ, start_response))
        finally:
            self.running[name].release()


class Server(gunicorn.app.base.BaseApplication):  # type: ignore[misc]  # untyped
    """Gunicorn with one process and threads. It creates the application after the fork, as gRPC requires."""

    def __init__(self, load: Callable[[], Wsgi], fd: int) -> None:
        self.load_application = load
        self.fd = fd
        super().__init__()

    def load_config(self) -> None:
        """Set the options that differ from gunicorn's defaults."""
        options = {
            "bind": f"fd://{self.fd}",
            "worker_class": "gthread",
            "workers": 1,
            "threads": THREADS,
            "keepalive": 75,
            # the caller sets the time limit of a request
            "timeout": 0,
            "graceful_timeout": 5,
            "loglevel": "warning",
            "limit_request_line": 0,
            "control_socket_disable": True,
        }
        for key, value in options.items():
            if key in self.cfg.settings:
                self.cfg.set(key, value)

    def load(self) -> Wsgi:
        """Return the application."""
        application = self.load_application()
        report_ready()
        return application


def load_events() -> Wsgi:
    """Return the events worker with all its functions created, so that the first event does not wait for imports."""
    from local.apps import create

    events = Events(manifest(), create, os.environ[doors.PUSH_TOKEN])
    for name in events.entries:
        events.app(name)
    return events


def load_jobs() -> Wsgi:
    """Return the jobs worker. A job's libraries are imported on its first run."""
    from local.apps import create

    # One process runs what the cloud runs in instances of their own: the scheduled jobs beside a long one.
    os.environ.setdefault("DATABASE_POOL_SIZE", str(THREADS * CONNECTIONS_PER_JOB))
    tokens = [os.environ["JOBS_TOKEN"], os.environ["ADMIN_TOKEN"]]
    return Jobs(manifest(), create, tokens, os.environ[doors.OPERATOR_TOKEN])


def main() -> None:
    """Serve on a socket that the supervisor opened, passed as a descriptor number."""
    parser = argparse.ArgumentParser(prog="python -m local.worker")
    parser.add_argument("kind", choices=["events", "jobs"])
    parser.add_argument("--fd", type=int, required=True)
    chosen = parser.parse_args()
    os.environ.pop("GUNICORN_CMD_ARGS", None)
    # gunicorn takes the descriptor over; this checks that it is a socket
    socket.socket(fileno=os.dup(chosen.fd)).close()
    Server(load_events if chosen.kind == "events" else load_jobs, chosen.fd).run()


if __name__ == "__main__":
    main()
