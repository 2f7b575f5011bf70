"""The command: ./aisle chaos [FAULT ...] [--seconds S] [--short] [--write]."""

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from local.chaos import checker, snapshot
from local.chaos.driver import READS, Driver, Sample
from local.chaos.faults import FAULTS, SHORT, Fault
from local.chaos.record import Record
from local.chaos.report import MAX_RECOVERY_S, Outcome, table, write
from local.chaos.system import PAYMENT_TIMEOUT_S, STATEMENT_TIMEOUT_S, System
from local.errors import CommandError
from shared.http.idempotency import MARGIN_S
from shared.manifest import manifest

SECONDS: Final = 8.0
# a fault has ended for the shoppers once nothing failed for so long
CALM_S: Final = 3.0
# A reader waits for a connection of the pool, then for the statement, then for the socket's deadline beyond it.
MAX_READ_S: Final = STATEMENT_TIMEOUT_S + 10.0
# A checkout whose process was killed answers 409 until its claim ends, and is then a request like any other.
MAX_REPEATS_S: Final = PAYMENT_TIMEOUT_S + MARGIN_S + MAX_RECOVERY_S
POLL_S: Final = 0.5


def say(line: str) -> None:
    """Print a line of progress."""
    print(line, flush=True)


def greatest_backoff_s() -> float:
    """Return the longest time until a failed message is delivered again."""
    return float(max(entry.max_backoff_s for entry in manifest().of_kind("event")))


def failing_times(errors: Sequence[Sample], end: float) -> tuple[float, float]:
    """Return how many seconds after the end of a fault new requests, and repeated ones of before, failed at last."""
    new = (error.ended - end for error in errors if error.first > end)
    repeated = (error.ended - end for error in errors if error.first <= end < error.ended)
    return max(new, default=0.0), max(repeated, default=0.0)


class Run:
    """A running system under load, to which faults happen one after the other."""

    def __init__(
        self, system: System, driver: Driver, record: Record, stock: dict[int, int], calm_s: float = CALM_S
    ) -> None:
        self.system = system
        self.driver = driver
        self.record = record
        self.stock = stock
        self.calm_s = calm_s
        # what earlier faults lost is not the later ones' fault
        self.known: set[str] = set()

    def suffer(self, fault: Fault, seconds: float) -> Outcome:
        """Let a fault happen, wait until the shop is well, and check everything that was ever accepted."""
        first, given_up = len(self.driver.samples), len(self.driver.given_up)
        began = time.monotonic()
        with fault.inject(self.system, self.driver, seconds):
            ended = time.monotonic()
            self._wait_for_calm(ended)
        outcome = Outcome(fault, ended - began, max_read_s=MAX_READ_S, max_repeats_s=MAX_REPEATS_S)
        outcome.max_drain_s = greatest_backoff_s() + outcome.seconds
        with self.driver.paused():
            findings = self._drain(outcome, ended)
            outcome.stale = self.stale_answers()
        self.known |= {finding.what for finding in findings}
        outcome.lost, outcome.doubled = (checker.total(findings, kind) for kind in (checker.LOST, checker.DOUBLED))
        outcome.findings = [f"{finding.kind}: {finding.what}" for finding in findings]
        samples = self.driver.samples[first:]
        errors = [sample for sample in samples if sample.is_error]
        outcome.requests, outcome.errors = len(samples), len(errors)
        outcome.longest_wait_s = max((sample.seconds for sample in samples), default=0.0)
        outcome.longest_read_s = max((sample.seconds for sample in samples if sample.kind == READS), default=0.0)
        outcome.recovery_s, outcome.repeats_s = failing_times(errors, ended)
        outcome.wrong = [f"{sample.reply.status} {sample.path.split('?')[0]}" for sample in samples if sample.is_wrong]
        outcome.given_up = self.driver.given_up[given_up:]
        return outcome

    def _wait_for_calm(self, ended: float) -> None:
        deadline = ended + 2 * MAX_RECOVERY_S
        while (now := time.monotonic()) < deadline:
            failed = [sample.ended for sample in self.driver.samples[-400:] if sample.is_error]
            if now - max([ended, *failed]) > self.calm_s:
                return
            time.sleep(0.1)

    def _drain(self, outcome: Outcome, ended: float) -> list[checker.Finding]:
        """Wait until nothing that was accepted is missing; return what is still missing or doubled at the end."""
        while True:
            findings = [finding for finding in self.check() if finding.what not in self.known]
            outcome.drain_s = time.monotonic() - ended
            if not findings or outcome.drain_s > outcome.max_drain_s:
                return findings
            time.sleep(POLL_S)

    def check(self) -> list[checker.Finding]:
        """Hold the database against the record."""
        try:
            with self.system.database() as connection:
                stored = snapshot.take(connection)
        except Exception as error:  # noqa: BLE001 — the database may still be away, which is a finding too
            return [checker.Finding(checker.LOST, f"the database does not answer: {error}")]
        return checker.check(self.record.content, stored, self.stock)

    def stale_answers(self) -> list[str]:
        """Return answers that Redis kept from before a change: an old price, or products that the user has bought."""
        stale = []
        for product, price in self.record.content.prices.items():
            reply = self.driver.request("probe", "GET", f"/products/{product}")
            unconfirmed = self.record.content.unconfirmed_prices.get(product, price)
            if reply.status == 200 and float(reply.json()["price"]) not in (float(price), float(unconfirmed)):
                stale.append(f"price of product {product}")
        for user, bought in list(self.driver.bought.items()):
            # whoever has bought almost everything is shown it again
            if len(bought) > len(self.driver.products) // 2:
                continue
            reply = self.driver.request("probe", "GET", f"/recommendations?user_id={user}&k=5")
            if reply.status == 200 and reply.json()["strategy"] != "popular":
                shown = {product["id"] for product in reply.json()["recommendations"]}
                if again := shown & bought:
                    stale.append(f"{user} is shown {sorted(again)}, which they have bought")
        return stale


def chaos(arguments: Sequence[str]) -> int:
    """Run the command. Exit code 1 for any loss, double, 500, stale answer or late recovery."""
    parser = argparse.ArgumentParser(prog="./aisle chaos", description="Break a shop of its own and check it.")
    parser.add_argument("names", nargs="*", metavar="FAULT", help=f"{', '.join(FAULTS)}; by default all")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="length of a fault (default: %(default)s)")
    parser.add_argument("--short", action="store_true", help=f"only {', '.join(SHORT)}")
    parser.add_argument("--write", action="store_true", help="write the table into docs/failure-modes.md")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="copy the logs and the record here at the end")
    options = parser.parse_args(arguments)
    if unknown := set(options.names) - set(FAULTS):
        parser.error(f"unknown fault {', '.join(sorted(unknown))}; the faults are {', '.join(FAULTS)}")
    names = options.names or (SHORT if options.short else list(FAULTS))
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="aisle-chaos-") as scratch:
        os.chmod(scratch, 0o711)  # noqa: S103 — the database's user must enter the folder
        outcomes = run(Path(scratch), [FAULTS[name] for name in names], options.seconds, options.keep)
    say("")
    say(table(outcomes))
    complaints = [f"{outcome.fault.name}: {complaint}" for outcome in outcomes for complaint in outcome.complaints]
    for complaint in complaints:
        say(f"FAILED {complaint}")
    if options.write:
        # where the logs of a run went is nobody else's concern
        command = " ".join(
            ["./aisle chaos", *(word for word in arguments if word not in ("--keep", str(options.keep)))]
        )
        write(outcomes, command, datetime.now(UTC).date().isoformat(), time.monotonic() - began)
    return 1 if complaints or not outcomes else 0


def run(
    folder: Path, faults: Sequence[Fault], seconds: float, keep: Path | None = None, calm_s: float = CALM_S
) -> list[Outcome]:
    """Start a system in ``folder``, let the faults happen to it and return what each did. Raises CommandError."""
    outcomes = []
    with System(folder, say) as system:
        record = Record(folder / "record.jsonl")
        stock = system.fill_catalog()
        driver = Driver(system.url, record, list(stock), system.secret_key(), system.admin)
        running = Run(system, driver, record, stock, calm_s)
        driver.start()
        try:
            time.sleep(calm_s)
            for fault in faults:
                if fault.needs and fault.needs not in system.disks:
                    say(f"{fault.name}: skipped, since only root can mount the small disk that it fills")
                    continue
                outcome = running.suffer(fault, seconds)
                outcomes.append(outcome)
                say(f"{fault.name}: {'; '.join(outcome.complaints) or 'nothing lost, nothing doubled'}")
                for finding in outcome.findings[:5]:
                    say(f"  {finding}")
                if outcome.complaints:
                    # so that the next fault shows its own effects
                    system.restart()
                    time.sleep(calm_s)
        except TimeoutError as error:
            raise CommandError(str(error)) from None
        finally:
            driver.stop()
            record.close()
            say(
                f"accepted: {len(record.content.events):,} events, {len(record.content.orders):,} orders; "
                f"{system.restarts} parts restarted"
            )
            if keep is not None:
                keep.mkdir(parents=True, exist_ok=True)
                shutil.copytree(system.home / "logs", keep / "logs", dirs_exist_ok=True)
                shutil.copy(record.path, keep)
    return outcomes
