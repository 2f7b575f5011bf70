"""A stand-in for Cloud Scheduler's REST API: lists, runs, pauses and resumes the jobs of functions.yaml."""

from contextlib import AbstractContextManager
from http.server import ThreadingHTTPServer

from shared.manifest import manifest
from tests.integration.answering import JsonHandler, serving

PARENT = "/v1/projects/aisle-local/locations/europe-west1/jobs"


class Scheduler(ThreadingHTTPServer):
    """Answers as the API does, a page of a few jobs at a time."""

    daemon_threads = True
    page_size = 3

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self.server_port}"
        self.down = False
        self.ran: list[str] = []
        self.jobs = {
            entry.name: {
                "name": f"{PARENT.removeprefix('/v1/')}/{entry.name}",
                "schedule": entry.schedule,
                "timeZone": "Etc/UTC",
                "state": "ENABLED",
                "scheduleTime": "2026-11-22T02:00:00Z",
                "lastAttemptTime": "2026-11-21T02:00:00.25Z",
                "status": {},
            }
            for entry in manifest().of_kind("job")
            if entry.schedule
        }


class Handler(JsonHandler):
    server: Scheduler

    def refuse(self, status: int, code: str, message: str) -> None:
        self.answer({"error": {"code": status, "status": code, "message": message}}, status)

    def do_GET(self) -> None:  # noqa: N802 — named by http.server
        if self.server.down:
            return self.refuse(403, "PERMISSION_DENIED", "the caller may not")
        path, _, query = self.path.partition("?")
        assert path == PARENT, path
        tokens = [part.split("=")[1] for part in query.split("&") if part.startswith("pageToken=")]
        start = int(tokens[0]) if tokens else 0
        jobs, end = list(self.server.jobs.values()), start + self.server.page_size
        return self.answer({"jobs": jobs[start:end]} | ({"nextPageToken": str(end)} if end < len(jobs) else {}))

    def do_POST(self) -> None:  # noqa: N802 — named by http.server
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        name, _, verb = self.path.partition("?")[0].removeprefix(f"{PARENT}/").partition(":")
        job = self.server.jobs.get(name)
        if job is None:
            return self.refuse(404, "NOT_FOUND", "Job not found.")
        if verb == "run":
            self.server.ran.append(name)
        else:
            job["state"] = {"pause": "PAUSED", "resume": "ENABLED"}[verb]
        return self.answer(job)


def scheduler() -> AbstractContextManager[Scheduler]:
    """Run a stand-in."""
    return serving(Scheduler())
