"""Commands on the running system (settings, jobs, data, database), and `reset`, which deletes a stopped one's state."""

import json
import os
import subprocess
import sys
import webbrowser
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from local import jobs
from local.errors import CommandError, Refused
from local.places import home
from local.state import State, holder, is_state, living, read_json

SHOPS = ("online_retail", "synthetic")
START = "Start it with ./aisle up in another terminal"


def running() -> dict[str, Any]:
    """Return the running system's description, from run.json. Raises CommandError if none runs here."""
    run = read_json(home() / "run.json")
    if not holder(home()):
        raise CommandError(f"Aisle is not running on {home()}. {START}.")
    if not run.get("environment"):
        raise CommandError("Aisle is still starting. Try again in a moment.")
    return run


def env() -> int:
    """Print the settings as export lines for a shell."""
    for name, value in sorted(running()["environment"].items()):
        print(f"export {name}={quoted(value)}")
    return 0


PAGES = {"storefront": "/", "console": "/console", "docs": "/docs"}


def open_page(arguments: Sequence[str]) -> int:
    """Open a page of the running system in the browser, and print its address."""
    page, *more = arguments or ["storefront"]
    if page not in PAGES or more:
        raise Refused(f"Open one page: {', '.join(PAGES)}. See ./aisle open --help.")
    address = f"http://localhost:{running()['port']}{PAGES[page]}"
    print(address)
    if not webbrowser.open(address):
        print("No browser could be started; open the address yourself.", file=sys.stderr)
    return 0


def quoted(value: str) -> str:
    """Return the value in single quotes, for any POSIX shell."""
    return "'" + value.replace("'", "'\\''") + "'"


def parameters(arguments: Sequence[str]) -> dict[str, Any]:
    """Parse ``key=value`` arguments: a value that is JSON is parsed, any other is text. Raises Refused."""
    values: dict[str, Any] = {}
    for argument in arguments:
        key, separator, value = argument.partition("=")
        if not separator or not key.isidentifier():
            raise Refused(f"Expected KEY=VALUE, got {argument!r}. See ./aisle help.")
        if key in values:
            raise Refused(f"{key} is given twice. Give it once.")
        try:
            values[key] = json.loads(value)
        except ValueError:
            values[key] = value
    return values


def job(arguments: Sequence[str]) -> int:
    """Run one job of the running system and print its answer."""
    from shared.manifest import manifest

    names = [entry.name for entry in manifest().of_kind("job")]
    if not arguments:
        raise Refused(f"Name a job: {', '.join(names)}.")
    name, *rest = arguments
    if name not in names:
        raise Refused(f"Unknown job {name!r}. The jobs are {', '.join(names)}.")
    return run_job(name, parameters(rest))


def run_job(name: str, values: dict[str, Any]) -> int:
    """Run a job through the gateway and print its answer."""
    print(json.dumps(job_answer(name, values), indent=2, ensure_ascii=False))
    return 0


def job_answer(name: str, values: dict[str, Any]) -> dict[str, Any]:
    """Run a job through the gateway and return its answer. Raises CommandError if it fails."""
    run = running()
    status, answer = jobs.run(f"http://127.0.0.1:{run['port']}/_jobs", name, values, run["operator_token"])
    if status >= 300:
        problem = answer.get("detail") or answer.get("title") or answer
        raise CommandError(f"Job {name} failed ({status}): {problem}")
    return answer


def load(arguments: Sequence[str]) -> int:
    """Load a file of events by the job load_events, or a whole shop or an export into an empty database.

    KEY=VALUE arguments are the job's parameters (docs/import.md), or the shop's options.
    """
    if not arguments:
        raise Refused(f"Load what? A file or URL of events, the folder of an export, or one of {', '.join(SHOPS)}.")
    what, *rest = arguments
    values = parameters(rest)
    if what in SHOPS:
        return load_shop(what, values)
    from local import export

    if export.is_export(what):
        return export.load_export(what, values)
    if "://" not in what:
        # the worker that runs jobs has another working folder
        file = Path(what).expanduser().absolute()
        if not file.is_file():
            raise Refused(
                f"There is no file {file}. Name a file, the folder of an export, a URL, or one of {', '.join(SHOPS)}."
            )
        what = str(file)
    answer = job_answer("load_events", {"source": what} | values)
    print(json.dumps(answer, indent=2, ensure_ascii=False))
    # the report stays JSON for scripts
    print(loaded(answer), file=sys.stderr)
    return 0


def loaded(answer: Mapping[str, Any]) -> str:
    """Return in one line what load_events did, and what to do next."""
    stored, known, rejected = (int(answer.get(name, 0)) for name in ("stored", "known", "rejected"))
    done = f"Stored {stored:,} of {int(answer.get('rows', 0)):,} events"
    left = [f"{known:,} were stored before"] * bool(known) + [f"{rejected:,} rejected, see rejections"] * bool(rejected)
    following = (
        "./aisle job trending and ./aisle job similarity make recommendations from them; schedules do so by tomorrow"
        if stored
        else "nothing is left to do; import the catalog first if products were unknown"
    )
    return f"{done}{' (' + '; '.join(left) + ')' if left else ''}. Next: {following}."


def load_shop(name: str, options: dict[str, Any]) -> int:
    """Load a shop into the running, empty system and run the jobs that complete it."""

    def store(report: Callable[[str], None]) -> None:
        from local.data import load as load_data

        try:
            load_data(name, options, report)
        except (ValueError, TypeError) as error:
            raise Refused(f"{name}: {error}") from None

    load_into_empty(name, store)
    return 0


def load_into_empty(name: str, store: Callable[[Callable[[str], None]], None]) -> None:
    """Store a shop in the running, empty system and run the jobs that complete it.

    ``store`` takes a function that prints a line of progress. Raises Refused for a system that has a shop, and
    CommandError when a step fails.
    """
    run = running()
    os.environ.update(run["environment"])
    from local import prepare
    from shared.errors import AppError
    from shared.manifest import manifest

    try:
        if not prepare.is_empty():
            raise Refused(
                "The database already contains a shop. Stop Aisle, run ./aisle reset, and start it with "
                "AISLE_DATA=none ./aisle up; then load again."
            )
        prepare.store(home(), name, store)
    except AppError as error:
        raise CommandError(error.detail or str(error)) from None
    for job_name, parameters in jobs.first_jobs(manifest()).items():
        status, answer = jobs.run(run["environment"]["JOBS_URL"], job_name, parameters, run["operator_token"])
        if status >= 300:
            raise CommandError(
                f"Job {job_name} failed ({status}): {answer.get('detail') or answer}. The data is loaded."
            )
        prepare.say(f"Job {job_name}: done in {answer.get('seconds', '?')} s{jobs.outcome(answer)}")
    prepare.remember_first_jobs(home(), due=False)


def psql(arguments: Sequence[str]) -> int:
    """Open the running system's database with the wheel's psql."""
    from local.postgres import programs

    url = urlsplit(running()["environment"]["DATABASE_URL"])
    environment = dict(os.environ) | {
        "PGHOST": url.hostname or "127.0.0.1",
        "PGPORT": str(url.port or 5432),
        "PGUSER": unquote(url.username or ""),
        "PGPASSWORD": unquote(url.password or ""),
        "PGDATABASE": unquote(url.path.lstrip("/")),
    }
    return subprocess.run([programs() / "psql", *arguments], env=environment, check=False).returncode


def reset(*, yes: bool) -> int:
    """Delete the state folder's content, after asking."""
    folder = home()
    if holder(folder):
        raise Refused(f"{living(folder)} Nothing was deleted.")
    if not folder.exists():
        print(f"There is nothing to delete: {folder} does not exist.")
        return 0
    if not is_state(folder):
        raise Refused(f"{folder} was not created by Aisle, so nothing was deleted. Check AISLE_HOME.")
    if not yes:
        if not sys.stdin.isatty():
            raise Refused("reset deletes all data. Confirm it with: ./aisle reset --yes")
        if input(f"Delete the shop and all events in {folder}? [y/N] ").strip().lower() not in ("y", "yes"):
            print("Nothing was deleted.")
            return 1
    state = State(folder)
    state.lock()
    state.delete()
    state.unlock()
    print(f"Deleted {folder}")
    return 0
