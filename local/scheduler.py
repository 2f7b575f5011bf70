"""The local Cloud Scheduler: calls the jobs of `functions.yaml` by their cron expressions, in UTC."""

import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from croniter import croniter

from delivery import http
from shared.manifest import Entry, manifest

# the scheduler looks at the clock at least this often, to notice a clock that jumped or a laptop that slept
LONGEST_WAIT = timedelta(seconds=30)
Run = Callable[[Entry], str | None]
"""Runs a job and returns why it failed, or None."""


def now() -> datetime:
    """Return the time in UTC."""
    return datetime.now(UTC)


def report(severity: str, message: str, **values: object) -> None:
    """Write one line of JSON."""
    line = {"severity": severity, "message": message, "time": now().isoformat(), **values}
    print(json.dumps(line, default=str), file=sys.stderr, flush=True)


@dataclass
class _Job:
    entry: Entry
    due: datetime
    running: bool = False


class Scheduler:
    """Runs each job when it is due. It reports a job whose last run has not ended, and skips it.

    ``clock`` returns the time. ``report`` writes a log line.
    """

    def __init__(
        self,
        entries: Iterable[Entry],
        run: Run,
        *,
        clock: Callable[[], datetime] = now,
        report: Callable[..., None] = report,
    ) -> None:
        self.run = run
        self.clock = clock
        self.report = report
        start = clock()
        self.jobs = [_Job(entry, next_time(entry, start)) for entry in entries if entry.schedule]
        self.pool = ThreadPoolExecutor(max(1, len(self.jobs)), thread_name_prefix="job")

    def tick(self) -> timedelta:
        """Start the jobs that are due and return how long to wait. Several missed times are one run."""
        moment = self.clock()
        for job in self.jobs:
            if job.due > moment:
                # the clock went back: otherwise the job would wait until the old time comes again
                if job.due - moment > next_time(job.entry, moment) - moment:
                    job.due = next_time(job.entry, moment)
                continue
            job.due = next_time(job.entry, moment)
            if job.running:
                self.report("WARNING", "job skipped: its last run has not ended", job=job.entry.name)
                continue
            job.running = True
            self.pool.submit(self._run, job)
        if not self.jobs:
            return LONGEST_WAIT
        return min(min(job.due for job in self.jobs) - moment, LONGEST_WAIT)

    def _run(self, job: _Job) -> None:
        try:
            failure = self.run(job.entry)
        except Exception as error:  # noqa: BLE001 — no failure of a run may stop the schedule
            failure = f"{type(error).__name__}: {error}"
        finally:
            job.running = False
        if failure is not None:
            self.report("ERROR", "job failed", job=job.entry.name, error=failure[:2000])

    def serve(self, wait: Callable[[float], bool]) -> None:
        """Run until ``wait``, which sleeps for a number of seconds, returns True. Runs go on in the jobs worker."""
        while not wait(max(0.0, self.tick().total_seconds())):
            pass
        self.pool.shutdown(wait=False, cancel_futures=True)


def next_time(entry: Entry, after: datetime) -> datetime:
    """Return when the entry is due next."""
    following: datetime = croniter(entry.schedule, after).get_next(datetime)
    return following


def over_http(url: str, token: str) -> Run:
    """Return a function that runs a job by POST, as Cloud Scheduler does; ``token`` is JOBS_TOKEN."""

    def run(entry: Entry) -> str | None:
        headers = {"User-Agent": "Google-Cloud-Scheduler", "Authorization": f"Bearer {token}"}
        try:
            answer = http.post(f"{url}/{entry.name}", {}, headers=headers, timeout_s=entry.timeout_s)
        except http.NoAnswer as error:
            return str(error)
        # an administrator may have started it a moment ago: that run does what this one would have done
        return None if answer.status < 300 or answer.status == 409 else f"{answer.status}: {answer.text()}"

    return run


def main() -> None:
    """Schedule the repository's jobs until SIGTERM."""
    stop = threading.Event()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    Scheduler(manifest().of_kind("job"), over_http(os.environ["JOBS_URL"], os.environ["JOBS_TOKEN"])).serve(stop.wait)
    # threads that wait for a job's answer must not keep the process alive
    os._exit(0)


if __name__ == "__main__":
    main()
