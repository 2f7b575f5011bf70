"""The command line: `./aisle COMMAND`. Each command imports only what it needs."""

import sys
from collections.abc import Callable, Sequence
from typing import Final

from local.errors import CommandError, Refused

HELP = """\
Usage: ./aisle COMMAND [ARGUMENT ...]

Run the system
  up [--reload]            start the whole system and serve it until Ctrl-C; --reload restarts parts whose code changes
  status                   show the running parts, their health, waiting messages, and the last run of each job
  wait [--timeout SECONDS] return once every accepted event has taken effect
  env                      print the settings of the running system, for a shell: eval "$(./aisle env)"
  open [PAGE]              open storefront (default), console or docs in the browser
  logs [PART] [-n LINES] [-f]   print the end of a part's log; without PART the names of all logs
  reset [--yes]            delete the state folder with all data

Use the running system
  job NAME [KEY=VALUE ...] run a job and print its answer
  load WHAT [KEY=VALUE ...] load a file of events; or load a shop into an empty system: the folder of an export,
                           online_retail, or synthetic with its sizes as KEY=VALUE
  make synthetic --out PLACE [KEY=VALUE ...]   write a made-up shop to a folder or gs:// as files to import
  export FOLDER [--format parquet|csv]   write the shop to a folder or bucket, from which load stores it again
  admin create EMAIL       create an admin, or make an existing account one. Asks for the password, or reads it from
                           standard input. Uses the database of DATABASE_URL if that is set
  trace ID                 show what a request caused, by its X-Request-ID or its trace id
  psql [ARGUMENT ...]      open the database
  redis-cli [COMMAND ...]  open the cache, or run one command

Check a deployment
  doctor [URL]             check a deployment by the URL of its admin function, or with the settings of this shell
  rehearse                 practise a restore on a separate database: dump, drop, restore, compare

Plan a deployment
  simulate --requests-per-s N [--products P] [--users U] [--events-per-s E] [--cached-share S] [--peak-ratio R]
                           print what a load needs, what it costs per month and what breaks first, with the arithmetic;
                           --json for programs, --tfvars for Terraform

Develop
  test [ARGUMENT ...]      run the tests; the arguments go to pytest
  check                    check format, lint, types and imports
  audit [PART ...]         find unsafe code, secrets, and known vulnerabilities of the pinned packages; the parts are
                           code, secrets and vulnerabilities. Exit code 3: the database of vulnerabilities could
                           not be reached
  bench [NAME ...] [--json FILE]   run the benchmarks and compare them with their targets
  chaos [FAULT ...] [--seconds S] [--short] [--write]   inject one fault after another into a separate shop, and check
                           that nothing accepted is lost or doubled; --write puts the table into docs/failure-modes.md
  stress [--minutes M]     increase a mixed load on the functions until answers are late, then keep up half of it for
                           an hour, during which their memory must not grow
  evaluate --events FILE ...       measure recommendations on your own history; no running system is needed
  clients [--check]        write the generated modules of the clients in clients/ from the API's description; --check
                           only says whether they are current
  lock [--upgrade]         compile the requirement files from pyproject.toml
  help                     show this text; ./aisle COMMAND --help shows a command's parameters and an example

Settings (environment variables, with their defaults)
  AISLE_PORT     port of the gateway (8080)
  AISLE_HOME     state folder (.aisle beside the script)
  AISLE_DATA     data that a new system starts with: online_retail (default), synthetic or none
  AISLE_VENV     virtual environment (.venv beside the script)
  AISLE_OSV_URL  database of vulnerabilities for audit (https://api.osv.dev/v1/query)
  AISLE_PUBSUB   google: run Google's emulator instead of the embedded Pub/Sub
  DATABASE_URL, REDIS_URL, PUBSUB_EMULATOR_HOST   use this service instead of starting an embedded one
"""


def refuse_arguments(command: str, arguments: Sequence[str]) -> None:
    """Raise Refused if there are arguments: the command takes none."""
    if arguments:
        raise Refused(f"{command} takes no arguments; remove {' '.join(arguments)!r}. See ./aisle help.")


def show_help(_arguments: Sequence[str]) -> int:
    """Print the help text."""
    print(HELP, end="")
    return 0


def show_command(name: str, rest: Sequence[str]) -> int:
    """Print the help of a command, or of a job."""
    from local import help as texts

    text = texts.of_job(rest[0]) if name == "job" and rest else texts.of_command(name)
    print(text or HELP, end="")
    return 0


def up(arguments: Sequence[str]) -> int:
    """Run the system."""
    if list(arguments) not in ([], ["--reload"]):
        raise Refused("The only argument of up is --reload. See ./aisle up --help.")
    from local.up import up as run

    return run(reload=bool(arguments))


def test(arguments: Sequence[str]) -> int:
    """Run the tests."""
    from local.checks import test as run

    return run(arguments)


def check(arguments: Sequence[str]) -> int:
    """Run the checks."""
    refuse_arguments("check", arguments)
    from local.checks import check as run

    return run()


def audit(arguments: Sequence[str]) -> int:
    """Find unsafe code, secrets and vulnerable packages."""
    from local.audit import audit as run

    return run(arguments)


def bench(arguments: Sequence[str]) -> int:
    """Run the benchmarks."""
    from local.checks import bench as run

    return run(arguments)


def stress(arguments: Sequence[str]) -> int:
    """Put a mixed load on functions served as deployed."""
    from local.checks import stress as run

    return run(arguments)


def chaos(arguments: Sequence[str]) -> int:
    """Break a shop of its own and check it."""
    from local.chaos.command import chaos as run

    return run(arguments)


def simulate(arguments: Sequence[str]) -> int:
    """Print the capacity plan of a load."""
    from local.simulate import simulate as run

    return run(arguments)


def evaluate(arguments: Sequence[str]) -> int:
    """Measure the quality of recommendations on a file of events."""
    from jobs.reports.command import main as run

    return run(arguments)


def clients(arguments: Sequence[str]) -> int:
    """Write the generated modules of the clients."""
    from local.clients.command import clients as run

    return run(arguments)


def lock(arguments: Sequence[str]) -> int:
    """Write the requirement files."""
    if list(arguments) not in ([], ["--upgrade"]):
        raise Refused("The only argument of lock is --upgrade. See ./aisle help.")
    from local.lock import lock as run

    run(upgrade=bool(arguments))
    return 0


def reset(arguments: Sequence[str]) -> int:
    """Delete the state."""
    if list(arguments) not in ([], ["--yes"]):
        raise Refused("The only argument of reset is --yes. See ./aisle help.")
    from local.commands import reset as run

    return run(yes=bool(arguments))


def status(arguments: Sequence[str]) -> int:
    """Show what runs."""
    refuse_arguments("status", arguments)
    from local.status import status as run

    return run()


def wait(arguments: Sequence[str]) -> int:
    """Wait until every accepted event has taken effect."""
    from local.waiting import wait as run

    return run(arguments)


def env(arguments: Sequence[str]) -> int:
    """Print the settings."""
    refuse_arguments("env", arguments)
    from local.commands import env as run

    return run()


def job(arguments: Sequence[str]) -> int:
    """Run a job."""
    from local.commands import job as run

    return run(arguments)


def load(arguments: Sequence[str]) -> int:
    """Load data."""
    from local.commands import load as run

    return run(arguments)


def make(arguments: Sequence[str]) -> int:
    """Write a made-up shop to files."""
    from local.make import make as run

    return run(arguments)


def export(arguments: Sequence[str]) -> int:
    """Write the shop to files."""
    from local.export import export as run

    return run(arguments)


def admin(arguments: Sequence[str]) -> int:
    """Create an admin."""
    from local.admin import admin as run

    return run(arguments)


def doctor(arguments: Sequence[str]) -> int:
    """Check a deployment."""
    from local.doctor import doctor as run

    return run(arguments)


def rehearse(arguments: Sequence[str]) -> int:
    """Practise a restore."""
    refuse_arguments("rehearse", arguments)
    from local.rehearse import rehearse as run

    return run()


def open_page(arguments: Sequence[str]) -> int:
    """Open a page in the browser."""
    from local.commands import open_page as run

    return run(arguments)


def logs(arguments: Sequence[str]) -> int:
    """Print logs."""
    from local.logs import logs as run

    return run(arguments)


def trace(arguments: Sequence[str]) -> int:
    """Show what a request caused."""
    from local.telemetry.tree import trace as run

    return run(arguments)


def psql(arguments: Sequence[str]) -> int:
    """Open the database."""
    from local.commands import psql as run

    return run(arguments)


def redis_cli(arguments: Sequence[str]) -> int:
    """Open the cache."""
    from local.redis_cli import redis_cli as run

    return run(arguments)


COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "help": show_help,
    "--help": show_help,
    "-h": show_help,
    "up": up,
    "test": test,
    "check": check,
    "audit": audit,
    "bench": bench,
    "chaos": chaos,
    "stress": stress,
    "simulate": simulate,
    "evaluate": evaluate,
    "clients": clients,
    "lock": lock,
    "reset": reset,
    "status": status,
    "wait": wait,
    "env": env,
    "open": open_page,
    "logs": logs,
    "job": job,
    "load": load,
    "export": export,
    "make": make,
    "admin": admin,
    "doctor": doctor,
    "rehearse": rehearse,
    "trace": trace,
    "psql": psql,
    "redis-cli": redis_cli,
}
# commands that answer --help themselves
WITH_OWN_HELP: Final = frozenset({"bench", "chaos", "evaluate", "psql", "stress", "test"})


def main(arguments: Sequence[str]) -> int:
    """Run a command and return its exit code."""
    name, *rest = arguments or ["help"]
    try:
        if name not in COMMANDS:
            raise Refused(f"Unknown command {name!r}. See ./aisle help.")
        if rest and rest[-1] in ("--help", "-h") and name not in WITH_OWN_HELP:
            return show_command(name, rest[:-1])
        return COMMANDS[name](rest)
    except CommandError as error:
        print(f"aisle: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # the reader of our output, such as head, has closed the pipe
        sys.stderr.close()
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
