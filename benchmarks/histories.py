"""What a request costs PostgreSQL as the numbers of users and events grow: ``python -m benchmarks.histories``.

Shops of one catalog and of ever longer histories are loaded one after the other, each into a database of its own. Every
kind of request is sent twice: with the plans logged (auto_explain), which gives the pages that its statements touch,
and without, which gives the processor time of PostgreSQL's processes. Other work of the machine changes neither much.
Jobs that read the history follow. The command writes the figures as JSON, the plot as SVG, and prints a table.
Exit code 1 if a statement of a request reads a large table from its beginning to its end.
"""

import argparse
import json
import math
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Self

from benchmarks.database import scratch
from benchmarks.frame import Bench, make_topic, services
from benchmarks.growth_plot import Series, draw_growth
from benchmarks.load import load
from benchmarks.metering import family, processor_s
from benchmarks.plans import (
    REPETITIONS,
    Hot,
    Statement,
    hot_requests,
    log_plans,
    observe,
    prepare,
    sequential,
    statements_in,
    stop_logging_plans,
)
from local.processes import Part
from local.services import Services

COMMAND: Final = "python -m benchmarks.histories"
PRODUCTS: Final = 10_000
SIZE: Final = re.compile(r"([1-9]\d*):([1-9]\d*)")
SIZES: Final = ("100000:10000", "1000000:100000", "10000000:1000000")
# The kernel reports processor time in hundredths of a second: that many requests share one.
ROUNDS: Final = 25
# share of the requests of a kind
MOST_FAILURES: Final = 0.1
# Below these figures a change is within what the clock can tell: of a request, and of a job, which runs once.
FINE_MS: Final = 0.2
FINE_JOB_MS: Final = 20
FINE_PAGES: Final = 1
# That many events take 20 to 40 GB and hours to load. Their costs are extrapolated.
FURTHER: Final = 100_000_000
RUN_AFTER_THE_LOAD: Final = """
INSERT INTO job_runs (job, started_at, outcome)
VALUES ('daily_stats', now() + make_interval(mins => :minutes), 'succeeded')"""
PLOTTED: Final = (
    "recommendations of a user",
    "search",
    "browsing a category",
    "suggestions",
    "recently viewed",
    "buy again",
    "an event applied",
    "job trending",
    "job daily_stats, a night",
)


@dataclass(frozen=True)
class Cost:
    """What one request, or one run of a job, costs: pages of 8 KiB that its statements touch, and processor time."""

    pages: float
    postgres_ms: float


@dataclass(frozen=True)
class History:
    """A shop's history, how long its loading took, its size on the disk, and the costs by kind of request or job."""

    events: int
    users: int
    loading_s: float
    gigabytes: float
    costs: Mapping[str, Cost]

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """Return what ``asdict`` turned into a dictionary."""
        costs = {name: Cost(**cost) for name, cost in stored["costs"].items()}
        return cls(**{**stored, "costs": costs})


def size_of(text: str) -> tuple[int, int]:
    """Return the events and users of ``EVENTS:USERS``. Raises ValueError."""
    match = SIZE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not EVENTS:USERS, both at least 1")
    return int(match[1]), int(match[2])


def _size_argument(text: str) -> tuple[int, int]:
    try:
        return size_of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def pages_per_request(statements: Sequence[Statement], requests: int) -> float:
    """Return the pages that a request touches, the sum over its statements."""
    return round(sum(statement.pages for statement in statements) / requests, 1)


def processor_ms(bench: Bench, server: int, hot: Hot, url: str) -> float:
    """Return PostgreSQL's processor time for one request of a kind; answers stored by earlier ones are dropped."""
    from shared.clients import redis_sync

    spent, sent, failures = 0.0, 0, 0
    # numbers after those of the logged requests: carts that were not checked out, users without a stored answer
    for number in range(ROUNDS + 1):
        first = REPETITIONS * (number + 1)
        redis_sync.client().flushdb()
        before = processor_s(family(server))
        run = load(url, [hot.request(which) for which in range(first, first + REPETITIONS)], connections=1)
        failures += run.failures
        # the first round prepares the statements
        if number:
            spent += processor_s(family(server)) - before
            sent += REPETITIONS
    # few products are sold out, and are refused by a cart
    if failures > MOST_FAILURES * sent:
        raise RuntimeError(f"{hot.name}: {failures} requests failed")
    result = round(spent / sent * 1000, 2)
    bench.say(f"{hot.name}: {result} ms of PostgreSQL")
    return result


def job_runs() -> Mapping[str, Callable[[], Any]]:
    """Return the jobs that read the history. ``daily_stats`` runs after the loading has counted all days."""
    from jobs.daily_stats import DailyStats, daily_stats
    from jobs.popular import Popular, popular
    from jobs.trending import Trending, trending

    return {
        "job trending": lambda: trending.run(Trending()),
        "job popular": lambda: popular.run(Popular()),
        "job daily_stats, a night": lambda: daily_stats.run(DailyStats()),
    }


def job_costs(server: int, log: Path, say: Callable[[str], None]) -> dict[str, Cost]:
    """Run each job with its plans logged, for its pages, and without, for its processor time."""
    from shared import clients
    from shared.clients import postgres
    from shared.storage.operations.daily_stats import COMMIT_MINUTES

    pages: dict[str, float] = {}
    costs: dict[str, Cost] = {}
    # events that were received since the last run have their days counted again: a run after the load has none
    postgres.write(RUN_AFTER_THE_LOAD, minutes=COMMIT_MINUTES + 1)
    log_plans()
    clients.reset()
    for name, run in job_runs().items():
        begin = log.stat().st_size
        run()
        with log.open("rb") as file:
            file.seek(begin)
            pages[name] = pages_per_request(statements_in(file.read()), 1)
    stop_logging_plans()
    clients.reset()
    for name, run in job_runs().items():
        before = processor_s(family(server))
        run()
        costs[name] = Cost(pages[name], round((processor_s(family(server)) - before) * 1000, 2))
        say(f"{name}: {costs[name]}")
    return costs


def request_costs(bench: Bench, database: Part) -> tuple[dict[str, Cost], list[str]]:
    """Return the costs by kind of request, and statements that read a large table whole."""
    # every request for the categories is the same one, and all but the first read a stored answer
    requests = [hot for hot in hot_requests(bench.products) if hot.name != "categories"]
    log_plans()
    observed = observe(bench, requests, database.log)
    stop_logging_plans()
    costs = {}
    for function in dict.fromkeys(hot.function for hot in requests):
        with bench.serving(function) as served:
            for hot in requests:
                if hot.function == function:
                    costs[hot.name] = Cost(
                        pages_per_request(observed[hot.name], REPETITIONS),
                        processor_ms(bench, database.pid, hot, served),
                    )
    return costs, sequential(observed)


def measure(
    running: Services, events: int, users: int, say: Callable[[str], None], *, jobs_alone: bool
) -> tuple[History, list[str]]:
    """Load a history into a database of its own. Returns its costs, and statements that read a large table whole."""
    from shared import clients, messages
    from shared.clients import postgres, redis_sync

    database = running.parts[0]
    with scratch("aisle_bench_histories") as url:
        # of the shop before
        redis_sync.client().flushdb()
        begun = time.monotonic()
        prepare(PRODUCTS, users, events, say)
        loading_s = round(time.monotonic() - begun, 1)
        size = int(postgres.read("SELECT pg_database_size(current_database())")[0][0])
        postgres.write("CHECKPOINT")
        bench = Bench(running.environment | {"DATABASE_URL": url}, PRODUCTS, events, say)
        for topic in (messages.USER_EVENTS, messages.CATALOG_CHANGES):
            make_topic(bench, topic)
        costs, faults = ({}, []) if jobs_alone else request_costs(bench, database)
        costs |= job_costs(database.pid, database.log, say)
        clients.reset()
    return History(events, users, loading_s, round(size / 1e9, 2), costs), faults


def extrapolated(sizes: Sequence[int], values: Sequence[float], least: float) -> float:
    """Return the value at FURTHER events if it goes on to grow by the same power of the size as between the last two.

    What does not grow, or has reached no more than ``least``, stays.
    """
    before, after = values[-2:]
    if after <= max(before, least):
        return after
    power = math.log(after / max(before, least)) / math.log(sizes[-1] / sizes[-2])
    return float(after * (FURTHER / sizes[-1]) ** power)


def factors(values: Sequence[float], least: float) -> str:
    """Return by how much each value exceeds the one before; a dash where both are at most ``least``."""
    return ", ".join(
        "–" if max(pair) <= least else f"{pair[1] / max(pair[0], least):.2f} ×" for pair in pairwise(values)
    )


def table(histories: Sequence[History]) -> str:
    """Return a row for each kind of request: pages and milliseconds by size, their growth, both at FURTHER events."""
    events = [history.events for history in histories]
    sizes = [f"{size:,} events" for size in events]
    heads = ["request", *(f"pages, {size}" for size in sizes), "growth", *(f"ms, {size}" for size in sizes), "growth"]
    lines = [
        f"| {' | '.join([*heads, f'pages and ms, {FURTHER:,} events, extrapolated'])} |",
        f"|---|{'---:|' * (2 * len(sizes) + 3)}",
    ]
    for name in histories[0].costs:
        pages = [history.costs[name].pages for history in histories]
        ms = [history.costs[name].postgres_ms for history in histories]
        fine_ms = FINE_JOB_MS if name.startswith("job ") else FINE_MS
        further = ""
        if len(events) > 1:
            further = f"{extrapolated(events, pages, FINE_PAGES):,.0f}; {extrapolated(events, ms, fine_ms):,.2f}"
        cells = [
            name,
            *(f"{value:,.0f}" for value in pages),
            factors(pages, FINE_PAGES),
            *(f"{value:,.2f}" for value in ms),
            factors(ms, fine_ms),
            further,
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def plot(histories: Sequence[History]) -> str:
    """Return the growth of PLOTTED as SVG."""
    panels = [
        (
            title,
            [
                Series(name, [(history.events, float(getattr(history.costs[name], field))) for history in histories])
                for name in PLOTTED
                if name in histories[0].costs
            ],
        )
        for title, field in (("pages of 8 KiB", "pages"), ("ms of PostgreSQL", "postgres_ms"))
    ]
    return draw_growth(panels, "events")


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.add_argument(
        "sizes", nargs="*", type=_size_argument, metavar="EVENTS:USERS", help=f"default: {' '.join(SIZES)}"
    )
    parser.add_argument("--json", type=Path, required=True, metavar="FILE", help="the figures")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="where to write the plot")
    parser.add_argument("--add", action="store_true", help="keep the figures of --json and add those of further sizes")
    parser.add_argument("--jobs", action="store_true", help="measure the jobs alone")
    parser.add_argument("--stored", action="store_true", help="measure nothing: print and plot the figures of --json")
    chosen = parser.parse_args(arguments)

    def say(line: str) -> None:
        print(f"{datetime.now(UTC):%H:%M:%S} {line}", file=sys.stderr, flush=True)

    faults: list[str] = []
    histories: list[History] = []
    if chosen.stored or chosen.add:
        histories += [History.from_json(stored) for stored in json.loads(chosen.json.read_text())["histories"]]
    if not chosen.stored:
        with services(say) as running:
            for events, users in chosen.sizes or [size_of(text) for text in SIZES]:
                history, faulty = measure(running, events, users, say, jobs_alone=chosen.jobs)
                histories.append(history)
                faults += faulty
                # after each: a long command may be interrupted
                about = {"command": COMMAND, "date": f"{datetime.now(UTC):%Y-%m-%d}", "products": PRODUCTS}
                chosen.json.write_text(
                    json.dumps(about | {"histories": [asdict(each) for each in histories]}, indent=1)
                )
    print(table(histories))
    if chosen.plot:
        chosen.plot.write_text(plot(histories))
    for fault in dict.fromkeys(faults):
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
