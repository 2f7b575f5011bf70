"""`./aisle status`: the parts of the running system, their health, and the last run of each job."""

import time
from typing import Any
from urllib.parse import unquote, urlsplit

import psutil

from local import jobs
from local.backlogs import Backlog, read_backlogs
from local.places import home
from local.state import holder, read_json
from shared.clients.postgres_engine import LOOPBACK

Row = tuple[str, ...]
SUPERVISOR = "Supervisor"
ACTIVE_MODEL = "SELECT version, algorithm, metrics FROM models WHERE active"
LAST_RUNS = """
SELECT DISTINCT ON (job) job, to_char(started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'),
       coalesce(outcome, 'running'), coalesce(round(extract(epoch FROM ended_at - started_at), 1)::text, '-')
FROM job_runs ORDER BY job, started_at DESC"""
# those that run, and the last ones
LAST_IMPORTS = """
SELECT id, to_char(started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'), state, rows_read, rows_written,
       rows_refused, right(source, 60)
FROM imports WHERE state = 'running' OR id > (SELECT max(id) - 5 FROM imports) ORDER BY id DESC LIMIT 10"""


def status() -> int:
    """Print parts, health and last job runs; return 1 unless every part runs and is healthy."""
    owner = holder(home())
    run = read_json(home() / "run.json")
    if not owner:
        print(f"Aisle is not running on {home()}. Start it with ./aisle up.")
        return 1
    if not run:
        print(f"Aisle is starting on {home()} (process {owner['pid']}).")
        return 1
    supervisor = {"name": SUPERVISOR, "pid": run["pid"], "port": None, "started": run["started"]}
    rows: list[Row] = [("PART", "STATE", "PID", "PORT", "UPTIME", "MEMORY")]
    rows += map(describe, [supervisor, *run["parts"]])
    print(table(rows))
    healthy = all(row[1] == "running" for row in rows[1:])
    code, health = jobs.get(f"http://127.0.0.1:{run['port']}/health")
    if code == 200:
        print(f"\n{run['url']} is {health['status']}: database {health['database']}, redis {health['redis']}")
        healthy = healthy and health["status"] == "healthy"
    else:
        print(f"\n{run['url']} does not answer yet.")
        healthy = False
    environment = run.get("environment", {})
    print("\n" + describe_backlogs(environment.get("PUBSUB_EMULATOR_HOST", "")))
    database = environment.get("DATABASE_URL", "")
    for model in query(database, ACTIVE_MODEL):
        print("\n" + describe_model(*model))
    if runs := text_rows(query(database, LAST_RUNS)):
        print("\n" + table([("JOB", "LAST RUN (UTC)", "OUTCOME", "SECONDS"), *runs]))
    if imports := text_rows(query(database, LAST_IMPORTS)):
        print("\n" + table([("IMPORT", "STARTED (UTC)", "STATE", "READ", "WRITTEN", "REFUSED", "SOURCE"), *imports]))
    return 0 if healthy else 1


def describe(part: dict[str, Any]) -> Row:
    """Return the row of a part."""
    port = str(part["port"] or "-")
    try:
        process = psutil.Process(part["pid"])
        if process.status() == psutil.STATUS_ZOMBIE:
            raise psutil.NoSuchProcess(part["pid"])
        # the supervisor's children are parts with rows of their own
        family = [process, *([] if part["name"] == SUPERVISOR else process.children(recursive=True))]
        memory = sum(member.memory_info().rss for member in family)
    except psutil.Error:
        return part["name"], "stopped", str(part["pid"]), port, "-", "-"
    return (
        part["name"],
        "running",
        str(part["pid"]),
        port,
        duration(time.time() - part["started"]),
        f"{memory >> 20} MB",
    )


def describe_backlogs(address: str) -> str:
    """Return what waits in the Pub/Sub server at ``address``, by subscription, or why that is unknown."""
    try:
        backlogs = read_backlogs(address)
    except ConnectionError as error:
        return str(error)
    return table([("SUBSCRIPTION", "WAITING", "OLDEST"), *map(describe_backlog, backlogs)])


def describe_backlog(backlog: Backlog) -> Row:
    """Return the row of a subscription."""
    oldest = "-" if backlog.oldest_age_s is None else duration(backlog.oldest_age_s)
    return backlog.subscription, str(backlog.waiting), oldest


def duration(seconds: float) -> str:
    """Return a time span in its two largest units."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def table(rows: list[Row]) -> str:
    """Return the rows in columns."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def describe_model(version: int, algorithm: str, metrics: dict[str, Any]) -> str:
    """Return the line of the active model: how it was chosen, and whether the shop had drifted from the one before."""
    why = metrics.get("why")
    return f"Model version {version}: {algorithm}{f', {why}' if why else ''}{jobs.drift(metrics)}"


def text_rows(rows: list[list[Any]]) -> list[Row]:
    """Return the rows of a statement as text."""
    return [tuple(map(str, row)) for row in rows]


def query(url: str, statement: str) -> list[list[Any]]:
    """Return the rows of a statement; none if the database does not answer."""
    import pg8000.native

    address = urlsplit(url)
    try:
        connection = pg8000.native.Connection(
            unquote(address.username or ""),
            host=address.hostname or "127.0.0.1",
            port=address.port or 5432,
            password=unquote(address.password or ""),
            database=unquote(address.path.lstrip("/")),
            timeout=5,
            ssl_context=False if (address.hostname or LOOPBACK[1]) in LOOPBACK else None,
        )
    except (OSError, pg8000.exceptions.Error):
        return []
    try:
        rows: list[list[Any]] = connection.run(statement)
    except pg8000.exceptions.Error:
        return []
    finally:
        connection.close()
    return rows
