"""What each command does, in full: `./aisle COMMAND --help`."""

import inspect
import json
import textwrap
from collections.abc import Mapping
from typing import Final

from local.errors import Refused

# of a line of a description
WIDTH: Final = 120

# what each command prints for --help; those that are left out print their own, or have no more than the summary says
COMMANDS: Final[Mapping[str, str]] = {
    "up": """\
Usage: ./aisle up [--reload]

Starts PostgreSQL, Redis, Pub/Sub, all functions and the scheduler, and serves them on one port until Ctrl-C. The first
start loads data. A part that ends is started again.

  --reload     restarts functions or jobs when their code changes. The old code serves until the new code is ready. A
               file with a syntax error is reported and changes nothing. Pages never need a restart

  AISLE_PORT   port (8080)
  AISLE_HOME   state folder (.aisle beside the script)
  AISLE_DATA   data of a new system: online_retail (default), synthetic or none

Example: AISLE_PORT=9000 AISLE_DATA=none ./aisle up
""",
    "status": """\
Usage: ./aisle status

Prints the running parts with their health, the messages waiting in each subscription of Pub/Sub, and the last run of
each job.
Exit code 1 unless every part is running and healthy.

Example: ./aisle status
""",
    "wait": """\
Usage: ./aisle wait [--timeout SECONDS]

Returns once every accepted event has taken effect: nothing waits in the outbox or for an event function. Use it in your
own tests, after sending events and before checking what they changed.

  --timeout SECONDS   how long to wait (120); after that, exit code 1 and a line that says what is still waiting

Example: ./aisle wait --timeout 10
""",
    "env": """\
Usage: ./aisle env

Prints the settings of the running system as export lines for a shell.

Example: eval "$(./aisle env)"
""",
    "open": """\
Usage: ./aisle open [storefront|console|docs]

Opens a page of the running system in the browser, and prints its address. Default: storefront.

Example: ./aisle open console
""",
    "logs": """\
Usage: ./aisle logs [PART] [-n LINES] [-f]

Prints the last lines of the log of a part, or the names of all logs.

  -n LINES   how many lines (50)
  -f         prints new lines as they are written, until Ctrl-C

Example: ./aisle logs gateway -f
""",
    "reset": """\
Usage: ./aisle reset [--yes]

Deletes the state folder of a stopped system with all its data.

  --yes   deletes without asking

Example: ./aisle reset --yes
""",
    "simulate": """\
Usage: ./aisle simulate --requests-per-s N [OPTION ...] [--json | --tfvars]

Prints the capacity plan for a load: instances of each function, connections, the tier of Cloud SQL, how functions reach
it, the memory of Redis, messages, training, the monthly cost, and which limit is reached first, with every step of the
arithmetic. No running system is needed: the costs of operations have been measured (delivery/costs.json).

  --requests-per-s N   requests that functions answer at the busiest time, events included
  --products P         products of the catalog (10000)
  --users U            users, guests included (100000)
  --events-per-s E     how many of these requests carry an event (a fifth of N)
  --cached-share S     share of recommendations and product pages that Redis answers, 0 to 1 (0.6)
  --peak-ratio R       ratio of the busiest time to the monthly mean (3)
  --json               prints the plan as JSON
  --tfvars             prints the plan as Terraform variables, as in terraform/envs/. The exit code is 1 if the plan
                       exceeds a limit; the variables then have less than the plan needs

Example: ./aisle simulate --requests-per-s 1000 --products 100000 --users 1000000
""",
    "load": """\
Usage: ./aisle load WHAT [KEY=VALUE ...]

Loads a file or URL of events with the job load_events; each KEY=VALUE is a parameter of that job
(./aisle job load_events --help). It also loads a shop into an empty system: the folder of an export, online_retail, or
synthetic with its sizes.

Examples: ./aisle load history.csv
          ./aisle load synthetic products=1000 users=2000 events=50000
""",
    "make": """\
Usage: ./aisle make synthetic --out PLACE [KEY=VALUE ...]

Writes a made-up shop to a folder or gs:// as files to import.

  --out PLACE   where the files go
  KEY=VALUE     sizes: products, users, events

Example: ./aisle make synthetic --out /tmp/shop products=1000
""",
    "export": """\
Usage: ./aisle export FOLDER [--format parquet|csv]

Writes catalog, events, orders and preferences to a folder or bucket, from which load stores them again.

  --format   parquet (default) or csv

Example: ./aisle export /tmp/shop --format csv
""",
    "admin": """\
Usage: ./aisle admin create EMAIL

Creates an admin, or makes an existing account one. Asks for the password, or reads it from standard input.
Uses the database of DATABASE_URL if that is set.

Example: ./aisle admin create ada@example.com
""",
    "trace": """\
Usage: ./aisle trace ID

Prints what a request caused, from the request to the rows that were written.

  ID   the X-Request-ID of the request, or its trace id

Example: ./aisle trace first-view
""",
    "redis-cli": """\
Usage: ./aisle redis-cli [COMMAND ...]

Opens the cache, or runs one command.

Example: ./aisle redis-cli PING
""",
    "doctor": """\
Usage: ./aisle doctor [URL]

Checks a deployment at its address (Terraform's output url), or with the settings of this shell, and says what is wrong.

Example: ./aisle doctor https://shop.example.com
""",
    "rehearse": """\
Usage: ./aisle rehearse

Practises a restore on a separate database: dump, drop, restore, compare. The running system is not touched.

Example: ./aisle rehearse
""",
    "check": """\
Usage: ./aisle check

Checks format, lint, types, imports and the generated clients. Exit code 1 if a check fails.

Example: ./aisle check
""",
    "audit": """\
Usage: ./aisle audit [code] [secrets] [vulnerabilities]

Finds unsafe code, secrets, and known vulnerabilities of the pinned packages. Without an argument, looks for all three.
Exit code 3: the database of vulnerabilities (AISLE_OSV_URL) could not be reached.

Example: ./aisle audit code secrets
""",
    "clients": """\
Usage: ./aisle clients [--check]

Writes the generated modules of the clients in clients/ from the API's description.

  --check   changes nothing; the exit code is 1 if a module is out of date

Example: ./aisle clients
""",
    "lock": """\
Usage: ./aisle lock [--upgrade]

Compiles the requirement files from pyproject.toml.

  --upgrade   takes the newest allowed versions

Example: ./aisle lock --upgrade
""",
}
JOB: Final = """\
Usage: ./aisle job NAME [KEY=VALUE ...]

Runs a job of the running system and prints its answer. A value that is valid JSON is parsed; any other value is text.
./aisle job NAME --help prints the parameters of a job.

Jobs: {jobs}

Example: ./aisle job trending
"""


def of_command(name: str) -> str | None:
    """Return the help of a command; None if it has none of its own."""
    if name == "job":
        from shared.manifest import manifest

        return JOB.format(jobs=", ".join(entry.name for entry in manifest().of_kind("job")))
    return COMMANDS.get(name)


def of_job(name: str) -> str:
    """Return the parameters of a job, with their types, defaults and meaning. Raises Refused for an unknown job."""
    from importlib import import_module

    from shared.manifest import manifest

    names = [entry.name for entry in manifest().of_kind("job")]
    if name not in names:
        raise Refused(f"Unknown job {name!r}. The jobs are {', '.join(names)}.")
    module = import_module(f"jobs.{name}")
    model = getattr(module, name).parameters
    about = (inspect.getdoc(module) or "").partition("\n\n")[0]
    lines = [f"Usage: ./aisle job {name} [KEY=VALUE ...]", "", about, ""]
    fields = model.model_fields
    schema = model.model_json_schema()
    parameters = schema["properties"] if fields else {}
    width = max(map(len, parameters), default=0)
    for field, described in parameters.items():
        default = described.get("default")
        lines.append(
            f"  {field.ljust(width)}   {kind_of(described, schema.get('$defs', {}))}"
            + ("" if default in (None, "") else f" ({json.dumps(default)})")
        )
        if description := described.get("description"):
            indent = " " * (width + 5)
            lines += textwrap.wrap(
                description.replace("``", ""), WIDTH, initial_indent=indent, subsequent_indent=indent
            )
    if not fields:
        lines.append("It has no parameters.")
    elif meaning := inspect.getdoc(model):
        lines += ["", meaning.replace("``", "")]
    example = "".join(f" {field}={field.upper()}" for field in schema.get("required", []))
    return "\n".join([*lines, "", f"Example: ./aisle job {name}{example}"]) + "\n"


def kind_of(schema: Mapping[str, object], definitions: Mapping[str, Mapping[str, object]]) -> str:
    """Return in words what a parameter takes. ``definitions`` are those that the schema may refer to, by name."""
    if reference := schema.get("$ref"):
        return kind_of(definitions[str(reference).rpartition("/")[2]], definitions)
    options = schema.get("anyOf")
    if isinstance(options, list):
        return " or ".join(kind_of(one, definitions) for one in options if one.get("type") != "null")
    if values := schema.get("enum"):
        return ", ".join(map(str, values)) if isinstance(values, list) else str(values)
    words = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}
    return words.get(str(schema.get("type")), "list" if schema.get("type") == "array" else "JSON")
