"""Importing a catalog of long descriptions, while staff change prices: how long it takes, and whom it bothers."""

import base64
import csv
import io
import json
import os
import random
import string
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any
from urllib.request import Request

from benchmarks.frame import Bench, Row, make_topic
from delivery import http
from shared.clients import postgres
from shared.messages import CATALOG_CHANGES
from shared.storage.recommending import content

PRODUCTS = 100_000
WORDS = 200
POSTED = 10_000
POSTED_WORDS = 330
# seconds between two changes of prices
PAUSE_S = 0.05
# seconds of changes with nothing beside them, with which those beside the import are compared
ALONE_S = 10
VOCABULARY = 20_000


def _vocabulary() -> list[str]:
    """Return words without digits, which content neighbours count."""
    chance = random.Random(1)
    return ["".join(chance.choices(string.ascii_lowercase, k=chance.randint(4, 10))) for _ in range(VOCABULARY)]


def catalog(products: int, words: int, prefix: str) -> bytes:
    """Return a CSV of products whose descriptions have so many words, the frequent ones frequently."""
    chance, known = random.Random(2), _vocabulary()
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["external_id", "name", "price", "quantity", "category", "description"])
    for number in range(products):
        described = " ".join(known[int(chance.random() ** 3 * VOCABULARY)] for _ in range(words))
        name = f"{known[number % 997]} {known[number % 1009]}"
        writer.writerow(
            [f"{prefix}{number}", name, f"{number % 100}.99", 1, f"Home > C{number % 50}", f"<p>{described}</p>"]
        )
    return text.getvalue().encode()


class _Prices(threading.Thread):
    """Changes a price every PAUSE_S seconds, until it is ended, and keeps how long each change took."""

    def __init__(self, url: str, token: str, products: int) -> None:
        super().__init__(daemon=True)
        self._url, self._headers, self._products = url, _headers(token, "application/json"), products
        self._ended = threading.Event()
        self.times_ms: list[float] = []
        self.failures = 0

    def run(self) -> None:
        """Change prices."""
        number = 0
        while not self._ended.wait(PAUSE_S):
            number += 1
            begun = time.perf_counter()
            change = Request(  # noqa: S310  # a server that this benchmark started
                f"{self._url}/products/{number % self._products + 1}",
                json.dumps({"price": number % 90 + 1}).encode(),
                self._headers,
                method="PATCH",
            )
            answer = http.send(change, 30)
            self.times_ms.append((time.perf_counter() - begun) * 1000)
            self.failures += answer.status != 200

    def end(self) -> list[float]:
        """Stop, and return the times in milliseconds, sorted."""
        self._ended.set()
        self.join(60)
        if self.failures:
            raise RuntimeError(f"{self.failures} of {len(self.times_ms)} changes of a price failed")
        return sorted(self.times_ms)


def _headers(token: str, media_type: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}", "Content-Type": media_type}


def _import(url: str, token: str, body: bytes) -> Request:
    return Request(f"{url}/products/import", body, _headers(token, "text/csv"))  # noqa: S310  # as above


def percentile(times: list[float], share: float) -> float:
    return times[min(len(times) - 1, int(len(times) * share))]


def _answer(answer: http.Answer) -> dict[str, Any]:
    body: dict[str, Any] = answer.json()
    if answer.status != 200:
        raise RuntimeError(f"{answer.status}: {body}")
    return body


def deliver_changes(url: str) -> int:
    """Deliver all messages of catalog-changes from the outbox, as Pub/Sub does, one at a time; return how many."""
    number, last = 0, 0
    while changes := postgres.read(
        "SELECT id, data, attributes FROM outbox WHERE topic = :topic AND id > :last ORDER BY id",
        topic=CATALOG_CHANGES,
        last=last,
    ):
        for last, data, attributes in changes:
            headers = {
                "ce-id": str(last),
                "ce-specversion": "1.0",
                "ce-source": "//pubsub.googleapis.com/projects/p/topics/catalog-changes",
                "ce-type": "google.cloud.pubsub.topic.v1.messagePublished",
            }
            message = {"data": base64.b64encode(bytes(data)).decode(), "attributes": attributes, "messageId": str(last)}
            answer = http.post(
                url, {"message": message, "subscription": "refresh_catalog"}, headers=headers, timeout_s=None
            )
            if answer.status != 200:
                raise RuntimeError(f"message {last}: {answer.status}")
            number += 1
    return number


def import_by_job(bench: Bench, url: str, feed: Path, products: int) -> tuple[float, list[float]]:
    """Import a feed while a price changes every PAUSE_S; return the seconds and the changes' times in ms, sorted."""
    prices = _Prices(url, bench.environment["ADMIN_TOKEN"], bench.products)
    prices.start()
    begun = time.perf_counter()
    # in a process of its own, as it is deployed; a file of this machine is read by its operator only
    job = subprocess.run(
        [sys.executable, "-m", "benchmarks.imports", str(feed)],
        env=os.environ | bench.environment,
        stdout=subprocess.PIPE,
        check=True,
    )
    done = json.loads(job.stdout)
    import_s = time.perf_counter() - begun
    times = prices.end()
    if done["created"] != products:
        raise RuntimeError(f"{done['created']} products were created")
    return import_s, times


def rows(bench: Bench) -> list[Row]:
    """Measure an import by the job with changes of prices beside it, one by POST, and the embeddings afterwards."""
    make_topic(bench, "catalog-changes")
    token = bench.environment["ADMIN_TOKEN"]
    with (
        tempfile.TemporaryDirectory(prefix="aisle-import-") as folder,
        bench.serving("products") as products,
        bench.serving("refresh_catalog") as refresh,
    ):
        feed = Path(folder) / "feed.csv"
        feed.write_bytes(catalog(PRODUCTS, WORDS, "J"))
        prices = _Prices(products, token, bench.products)
        prices.start()
        time.sleep(ALONE_S)
        alone = prices.end()
        bench.say(f"importing {feed.stat().st_size >> 20} MiB by the job")
        import_s, times = import_by_job(bench, products, feed, PRODUCTS)
        body = catalog(POSTED, POSTED_WORDS, "P")
        bench.say(f"importing {len(body) >> 20} MiB by POST")
        begun = time.perf_counter()
        posted = _answer(http.send(_import(products, token, body), 300))
        post_s = time.perf_counter() - begun
        if posted["created"] != POSTED:
            raise RuntimeError(f"{posted['created']} products were created")
        bench.say("computing embeddings")
        prices = _Prices(products, token, bench.products)
        prices.start()
        begun = time.perf_counter()
        messages = deliver_changes(refresh)
        content_s = time.perf_counter() - begun
        beside = prices.end()
    return [
        Row(
            f"import of {PRODUCTS:,} products by the job",
            import_s,
            "s",
            180,
            at_most=True,
            note=f"{WORDS} words each; a price changes every {PAUSE_S * 1000:.0f} ms beside it",
        ),
        Row("… changes of prices beside it, p50", percentile(times, 0.5), "ms"),
        Row(
            "… … against changes with nothing beside them",
            percentile(times, 0.5) / percentile(alone, 0.5),
            "×",
            note=f"alone p50 {percentile(alone, 0.5):.1f} ms, p95 {percentile(alone, 0.95):.1f} ms",
        ),
        Row("… p95", percentile(times, 0.95), "ms", 100, at_most=True, note=f"{len(times)} changes"),
        Row("… longest", times[-1], "ms"),
        Row(
            f"import of {POSTED:,} products by POST",
            post_s,
            "s",
            30,
            at_most=True,
            note=f"{POSTED_WORDS} words each, {len(body) >> 20} MiB, one transaction",
        ),
        Row(
            "embeddings of all of them by refresh_catalog",
            content_s,
            "s",
            900,
            at_most=True,
            note=f"{messages} messages; {content.pending()} products left",
        ),
        Row("… changes of prices beside it, p95", percentile(beside, 0.95), "ms", 100, at_most=True),
    ]


def main() -> None:
    """Run the job on the file that the command line names, and print its result."""
    from jobs.import_catalog import ImportCatalog, import_catalog
    from shared.clients import sources

    with sources.local_files():
        print(json.dumps(import_catalog.run(ImportCatalog(source=sys.argv[1])), default=str))


if __name__ == "__main__":
    main()
