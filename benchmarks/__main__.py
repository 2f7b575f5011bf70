"""Measure every speed that the README claims, beside its target: ``python -m benchmarks [NAME …] [--json FILE]``."""

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.frame import Bench, Row, bench


def _serving(name: str) -> Callable[[Bench], list[Row]]:
    from benchmarks import serving

    return getattr(serving, name)  # type: ignore[no-any-return]


def _ingest(name: str) -> Callable[[Bench], list[Row]]:
    from benchmarks import ingest

    return getattr(ingest, name)  # type: ignore[no-any-return]


def _own(name: str) -> Callable[[Bench], list[Row]]:
    from importlib import import_module

    return import_module(f"benchmarks.{name}").rows  # type: ignore[no-any-return]


BENCHMARKS: dict[str, Callable[[], Callable[[Bench], list[Row]]]] = {
    "cached": lambda: _serving("cached"),
    "computed": lambda: _serving("computed"),
    "cold_start": lambda: _serving("cold_start"),
    "search": lambda: _own("search"),
    "accepted": lambda: _ingest("accepted"),
    "applied": lambda: _ingest("applied"),
    "checkout": lambda: _own("checkout"),
    "login": lambda: _own("login"),
    "freshness": lambda: _ingest("freshness"),
    "trending": lambda: _own("trending"),
    "start": lambda: _own("start"),
    "quality": lambda: _own("quality"),
    "similarity": lambda: _own("similarity"),
}
# asked for by name: they run for many minutes, and compare with packages that nothing else needs
LONG = {"quality", "similarity"}


def table(rows: list[Row]) -> str:
    """Return the rows as a Markdown table."""
    lines = ["| what | measured | target | reached | |", "|---|---|---|---|---|"]
    return "\n".join(lines + ["| " + " | ".join(row.cells()) + " |" for row in rows])


def main() -> int:
    """Run the named benchmarks (all: none named). Exit code 1 when a target was missed."""
    parser = argparse.ArgumentParser(prog="./aisle bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results here too")
    parser.add_argument("--products", type=int, default=10_000)
    parser.add_argument("--events", type=int, default=1_000_000)
    options = parser.parse_args()
    unknown = set(options.names) - set(BENCHMARKS)
    if unknown:
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")

    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    rows: list[Row] = []
    with bench(options.products, options.events, say) as running:
        for name in options.names or [name for name in BENCHMARKS if name not in LONG]:
            begun = time.monotonic()
            say(f"{name} …")
            rows += BENCHMARKS[name]()(running)
            say(f"{name} took {time.monotonic() - begun:.0f} s")
    print(table(rows))
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
