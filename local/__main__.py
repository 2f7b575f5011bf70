"""The command line: `./aisle COMMAND`. Each command imports only what it needs."""

import sys
from collections.abc import Callable, Sequence

from local.errors import CommandError, Refused

HELP = """\
Usage: ./aisle COMMAND [ARGUMENT ...]

  up                       start everything and serve it until Ctrl-C
  status                   show the parts that run, their health, and each job's last run
  job NAME [KEY=VALUE ...] run a job of the running system and print its answer
  load WHAT [KEY=VALUE ...] load a file of events into the running system, or a shop into an empty one:
                           online_retail, synthetic (options as KEY=VALUE)
  env                      print the settings of the running system as export lines: eval "$(./aisle env)"
  admin create EMAIL       make an admin, or an account one; asks for the password, or reads it from standard input;
                           in the running system, or in the database of DATABASE_URL
  doctor [URL]             check a deployment: by the URL of its admin function, or with the settings here
  rehearse                 restore from a backup, for practice: dump, destroy, restore, compare; on data of its own
  psql [ARGUMENT ...]      open its database
  redis-cli [COMMAND ...]  open its cache, or run one command
  reset [--yes]            delete the state folder

  test [ARGUMENT ...]      run the tests; arguments go to pytest
  check                    format, lint, types, imports
  bench [NAME ...] [--json FILE]   measure, beside the targets
  evaluate --events FILE ...       measure recommendations on your own history; needs no running system
  lock [--upgrade]         write the requirement files anew from pyproject.toml
  help                     this text

Settings (environment):
  AISLE_PORT     port of the gateway (8080)
  AISLE_HOME     state folder (.aisle beside the script)
  AISLE_DATA     first data of an empty shop: online_retail (default), synthetic, none
  AISLE_VENV     virtual environment (.venv beside the script)
  AISLE_PUBSUB   google: Google's emulator instead of the embedded one
  DATABASE_URL, REDIS_URL, PUBSUB_EMULATOR_HOST   one's own instead of the embedded part
"""


def none(command: str, arguments: Sequence[str]) -> None:
    """Raise Refused when a command that takes no arguments was given some."""
    if arguments:
        raise Refused(f"{command} takes no arguments, but was given {' '.join(arguments)!r}. See ./aisle help.")


def show_help(_arguments: Sequence[str]) -> int:
    """Print the commands."""
    print(HELP, end="")
    return 0


def up(arguments: Sequence[str]) -> int:
    """Run the system."""
    none("up", arguments)
    from local.up import up as run

    return run()


def test(arguments: Sequence[str]) -> int:
    """Run the tests."""
    from local.checks import test as run

    return run(arguments)


def check(arguments: Sequence[str]) -> int:
    """Run the checks."""
    none("check", arguments)
    from local.checks import check as run

    return run()


def bench(arguments: Sequence[str]) -> int:
    """Run the benchmarks."""
    from local.checks import bench as run

    return run(arguments)


def evaluate(arguments: Sequence[str]) -> int:
    """Measure the quality of recommendations on a file of events."""
    from jobs.reports.command import main as run

    return run(arguments)


def lock(arguments: Sequence[str]) -> int:
    """Write the requirement files."""
    if list(arguments) not in ([], ["--upgrade"]):
        raise Refused("lock takes nothing but --upgrade. See ./aisle help.")
    from local.lock import lock as run

    run(upgrade=bool(arguments))
    return 0


def reset(arguments: Sequence[str]) -> int:
    """Delete the state."""
    if list(arguments) not in ([], ["--yes"]):
        raise Refused("reset takes nothing but --yes. See ./aisle help.")
    from local.commands import reset as run

    return run(yes=bool(arguments))


def status(arguments: Sequence[str]) -> int:
    """Show what runs."""
    none("status", arguments)
    from local.status import status as run

    return run()


def env(arguments: Sequence[str]) -> int:
    """Print the settings."""
    none("env", arguments)
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


def admin(arguments: Sequence[str]) -> int:
    """Make an admin."""
    from local.admin import admin as run

    return run(arguments)


def doctor(arguments: Sequence[str]) -> int:
    """Check a deployment."""
    from local.doctor import doctor as run

    return run(arguments)


def rehearse(arguments: Sequence[str]) -> int:
    """Practise a restore."""
    none("rehearse", arguments)
    from local.rehearse import rehearse as run

    return run()


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
    "bench": bench,
    "evaluate": evaluate,
    "lock": lock,
    "reset": reset,
    "status": status,
    "env": env,
    "job": job,
    "load": load,
    "admin": admin,
    "doctor": doctor,
    "rehearse": rehearse,
    "psql": psql,
    "redis-cli": redis_cli,
}


def main(arguments: Sequence[str]) -> int:
    """Run a command and return its exit code."""
    name, *rest = arguments or ["help"]
    try:
        if name not in COMMANDS:
            raise Refused(f"There is no command {name!r}. See ./aisle help.")
        return COMMANDS[name](rest)
    except CommandError as error:
        print(f"aisle: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # whoever read our output has seen enough
        sys.stderr.close()
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
