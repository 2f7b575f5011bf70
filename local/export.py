"""`./aisle export` writes the running shop to a folder; `./aisle load FOLDER` stores such a shop in an empty one."""

import json
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from local.commands import job_answer, load_into_empty, parameters
from local.errors import CommandError, Refused

USAGE: Final = "Name a folder or bucket: ./aisle export FOLDER [--format parquet|csv]."
FORMATS: Final = ("parquet", "csv")
# seconds between two looks at the progress
LOOK_EVERY_S: Final = 1.0


def chosen(arguments: Sequence[str]) -> dict[str, Any]:
    """Return the parameters of the job export_shop. Raises Refused."""
    rest = list(arguments)
    form = None
    for place, argument in enumerate(rest):
        if argument == "--format" or argument.startswith("--format="):
            _name, given, value = argument.partition("=")
            value = value if given else "".join(rest[place + 1 : place + 2])
            del rest[place : place + (1 if given else 2)]
            if value not in FORMATS:
                raise Refused(f"--format must be one of {', '.join(FORMATS)}; got {value!r}.")
            form = value
            break
    if not rest or rest[0].startswith("-") or "=" in rest[0].split("/")[0]:
        raise Refused(USAGE)
    destination, *options = rest
    if "://" not in destination:
        # the worker that runs jobs has another working folder
        folder = Path(destination).expanduser().absolute()
        if folder.exists() and not folder.is_dir():
            raise Refused(f"{folder} is a file. {USAGE}")
        destination = str(folder)
    values = parameters(options)
    if form is not None:
        values["format"] = form
    return {"destination": destination} | values


def export(arguments: Sequence[str]) -> int:
    """Run the job export_shop, show its progress, and print its answer."""
    values = chosen(arguments)
    with _shown(values["destination"]):
        answer = job_answer("export_shop", values)
    print(json.dumps(answer, indent=2, ensure_ascii=False))
    # the report stays JSON for scripts
    print(exported(answer), file=sys.stderr)
    return 0


def exported(answer: dict[str, Any]) -> str:
    """Return in one line what export_shop did, and what to do next."""
    kept = f", {answer['files_kept']:,} were there" if answer["files_kept"] else ""
    return (
        f"Exported {answer['rows']:,} rows as of {answer['as_of'][:19]}Z to {answer['destination']} "
        f"({answer['files']:,} files written{kept}). The files hold personal data. "
        f"Next: ./aisle load {answer['destination']} stores them in an empty shop."
    )


@contextmanager
def _shown(destination: str) -> Iterator[None]:
    """Print each table of an export to a local folder as it is written."""
    if "://" in destination:
        yield
        return
    done = threading.Event()
    progress = threading.Thread(target=_follow, args=(Path(destination), done), daemon=True)
    progress.start()
    try:
        yield
    finally:
        done.set()
        progress.join()


def _follow(folder: Path, done: threading.Event) -> None:
    shown = ""
    while not done.wait(LOOK_EVERY_S):
        line = state(folder)
        if line and line != shown:
            print(f"  {line}", file=sys.stderr, flush=True)
            shown = line


def state(folder: Path) -> str:
    """Return in one line how far the export in a folder is; "" if that cannot be read."""
    try:
        listed = json.loads((folder / "export.json").read_bytes())
        parts = [part for table in listed["tables"].values() for part in table]
        return "" if listed["complete"] else f"{sum(part['rows'] for part in parts):,} rows in {len(parts):,} files"
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def is_export(what: str) -> bool:
    """Return whether an argument of load names an export: a folder, or a bucket's folder that ends in a slash."""
    return what.endswith("/") if "://" in what else Path(what).expanduser().is_dir()


def load_export(what: str, options: dict[str, Any]) -> int:
    """Store an exported shop in the running, empty system and run the jobs that complete it."""
    if options:
        raise Refused(f"An export has no options. Remove {next(iter(options))}.")
    address = what if "://" in what else str(Path(what).expanduser().absolute())

    def store(report: Any) -> None:
        from local.data import exported
        from shared.errors import InvalidRequest

        try:
            exported.store(*exported.open_export(address), report)
        except InvalidRequest as error:
            raise CommandError(f"{address}: {error.detail}") from None

    load_into_empty(address, store)
    return 0
