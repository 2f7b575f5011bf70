"""Measure the published figures and compare them with their targets: ``python -m benchmarks [NAME …] [--json FILE]``.

``--readme`` measures what README's table shows, and prints that table. It needs the real shops in AISLE_QUALITY_DATA,
and the peers' libraries in AISLE_PEERS_PYTHON.
"""

import argparse
import json
import platform
import sys
import time
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Final

from benchmarks import readme
from benchmarks.frame import Bench, Row, bench

# name: a module of this package, and its function that measures
BENCHMARKS: Final[Mapping[str, tuple[str, str]]] = {
    "cached": ("serving", "cached"),
    "computed": ("serving", "computed"),
    "cold_start": ("serving", "cold_start"),
    "search": ("search", "rows"),
    "titles": ("titles", "rows"),
    "growth": ("growth", "rows"),
    "accepted": ("ingest", "accepted"),
    "applied": ("ingest", "applied"),
    "checkout": ("checkout", "rows"),
    "login": ("login", "rows"),
    "import": ("imports", "rows"),
    "freshness": ("ingest", "freshness"),
    "hostile": ("hostile", "rows"),
    "trending": ("trending", "rows"),
    "segments": ("segments", "rows"),
    "export": ("export", "rows"),
    "poisoning": ("poisoning", "rows"),
    "start": ("start", "rows"),
    "buy_again": ("buy_again", "rows"),
    "tuning": ("tuning", "rows"),
    "quality": ("quality", "rows"),
    "quality_readme": ("quality", "readme_rows"),
    "similarity": ("similarity", "rows"),
}
# run only when named: they take many minutes, or compare with packages that nothing else needs
LONG = {"export", "growth", "import", "poisoning", "quality", "quality_readme", "similarity"}


def measure(name: str, running: Bench) -> list[Row]:
    """Run a benchmark. Its module is imported here, because some need packages that the others do not."""
    module, function = BENCHMARKS[name]
    rows: list[Row] = getattr(import_module(f"benchmarks.{module}"), function)(running)
    return rows


def table(rows: list[Row]) -> str:
    """Return the rows as a Markdown table."""
    lines = ["| figure | measured | target | reached | |", "|---|---|---|---|---|"]
    return "\n".join(lines + ["| " + " | ".join(row.cells()) + " |" for row in rows])


def main() -> int:
    """Run the named benchmarks, by default all but LONG. Exit code 1 if a target was missed."""
    parser = argparse.ArgumentParser(prog="./aisle bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results to this file")
    parser.add_argument("--readme", action="store_true", help="measure and print README's table of figures")
    parser.add_argument("--products", type=int, default=10_000)
    parser.add_argument("--events", type=int, default=1_000_000)
    options = parser.parse_args()
    unknown = set(options.names) - set(BENCHMARKS)
    if unknown:
        parser.error(f"unknown benchmark {', '.join(sorted(unknown))}; the benchmarks are {', '.join(BENCHMARKS)}")

    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    names = options.names or [name for name in BENCHMARKS if name not in LONG]
    if options.readme:
        names = list(dict.fromkeys(line.benchmark for line in readme.LINES))
    if "quality_readme" in names:
        from benchmarks.quality import check_set_up

        # now, and not after an hour of other benchmarks
        try:
            check_set_up()
        except RuntimeError as error:
            parser.error(str(error))
    measured: dict[str, list[Row]] = {}
    with bench(options.products, options.events, say) as running:
        for name in names:
            begun = time.monotonic()
            say(f"{name} …")
            measured[name] = measure(name, running)
            say(f"{name} took {time.monotonic() - begun:.0f} s")
    rows = [row for of_benchmark in measured.values() for row in of_benchmark]
    print(readme.table(measured) if options.readme else table(rows))
    if options.json:
        about = {
            "python": platform.python_version(),
            "machine": platform.machine(),
            "rows": [row.as_json() for row in rows],
        }
        options.json.write_text(json.dumps(about, indent=1))
    return 1 if any(row.reached is False for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
