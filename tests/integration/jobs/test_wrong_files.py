"""Files that are no tables, and files that break off: a clear answer, and what was stored before stays."""

import gzip
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import httpx
import pytest

from jobs.data.catalog_import import ROWS_PER_CHUNK
from shared.clients import postgres
from shared.clients.postgres import execute, transaction
from tests.integration.conftest import Serve, settings_of
from tests.integration.shop import add_products
from tests.integration.tables import count_rows

HEADER = "external_id,name,price\n"
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(range(256)) * 8
HTML = b"<!DOCTYPE html><html><head><title>Log in</title></head><body>Log in</body></html>"
MAX_PEAK_MIB = 400
# reads a catalog as import_catalog does, and prints by how much the peak of the process has grown, in MiB
READ = """
import json, resource, sys
from jobs.data.product_files import open_products
from shared.clients import sources
from shared.errors import InvalidRequest
from shared.tables.csv_files import TextOptions
from shared.tables.presets import parse_reading

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

before, good, bad, detail = peak(), 0, 0, None
try:
    with sources.opened(sys.argv[1]) as file:
        form = sources.known_format(sys.argv[1], None)
        for row in open_products(file, form, parse_reading(None, None), TextOptions()):
            good, bad = good + (not isinstance(row, list)), bad + isinstance(row, list)
except InvalidRequest as error:
    detail = error.detail
print(json.dumps({"mib": peak() - before, "good": good, "bad": bad, "detail": detail}))
"""


def run(serve: Serve, job: str, path: Path) -> httpx.Response:
    return serve(job).post("/", json={"source": str(path)})


@pytest.mark.parametrize("job", ["import_catalog", "load_events"])
@pytest.mark.parametrize(
    ("name", "body", "says"),
    [
        ("image.csv", PNG, "a PNG image"),
        ("page.csv", HTML, "an HTML page"),
        ("page.jsonl", HTML, "an HTML page"),
        ("half.csv.gz", gzip.compress(HEADER.encode() + b"a,b,1\n" * 999, mtime=0)[:40], "breaks off"),
    ],
)
def test_a_file_that_is_no_table_is_named_and_stores_nothing(
    env: object, serve: Serve, tmp_path: Path, job: str, name: str, body: bytes, says: str
) -> None:
    add_products(3)
    (tmp_path / name).write_bytes(body)
    answer = run(serve, job, tmp_path / name)
    assert answer.status_code == 422, answer.text
    assert says in answer.json()["detail"]
    assert (count_rows("products"), count_rows("events")) == (3, 0)


@pytest.mark.parametrize("job", ["import_catalog", "load_events"])
def test_a_zip_archive_is_named(env: object, serve: Serve, tmp_path: Path, job: str) -> None:
    with zipfile.ZipFile(tmp_path / "zip.csv", "w") as archive:
        archive.writestr("feed.csv", HEADER + "a,b,1\n")
    answer = run(serve, job, tmp_path / "zip.csv")
    assert answer.status_code == 422
    assert "zip archive" in answer.json()["detail"]


def test_half_of_a_compressed_feed_keeps_its_rows_and_says_how_many(env: object, serve: Serve, tmp_path: Path) -> None:
    # of rows that differ, so that half of the file holds about half of them
    feed = HEADER + "".join(f"H{n},Cup {n * 7919 % 10007},{n}.5\n" for n in range(4_000))
    packed = gzip.compress(feed.encode(), mtime=0)
    (tmp_path / "half.csv.gz").write_bytes(packed[: len(packed) // 2])
    answer = run(serve, "import_catalog", tmp_path / "half.csv.gz")
    assert answer.status_code == 422
    stored = count_rows("products", "external_id LIKE 'H%'")
    assert "breaks off" in answer.json()["detail"]
    assert stored == 0 or f"{stored} rows before that are stored" in answer.json()["detail"]
    # the whole file then adds the rest
    (tmp_path / "half.csv.gz").write_bytes(packed)
    whole = run(serve, "import_catalog", tmp_path / "half.csv.gz").json()
    assert (whole["created"], whole["unchanged"]) == (4_000 - stored, stored)


def read_apart(path: Path) -> dict[str, object]:
    """Read a file in a process of its own; return what was read and its memory."""
    command = [sys.executable, "-c", READ, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    result: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return result


@pytest.mark.parametrize(
    ("name", "begin"), [("line.csv", HEADER + "a,"), ("line.jsonl", '{"external_id": "a'), ("line.csv", "x")]
)
def test_a_line_of_a_hundred_megabytes_costs_a_bounded_memory(
    env: object, tmp_path: Path, name: str, begin: str
) -> None:
    with (tmp_path / name).open("w") as file:
        file.write(begin)
        for _ in range(100):
            file.write("a" * 2**20)
    result = read_apart(tmp_path / name)
    assert int(str(result["mib"])) < MAX_PEAK_MIB, result
    assert result["good"] == 0
    assert result["bad"] or result["detail"], result


def test_an_import_that_the_database_interrupts_says_what_is_stored_and_goes_on_later(
    env: dict[str, str], serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # two chunks, however slow the machine is
    monkeypatch.setattr("jobs.data.catalog_import.CHUNK_S", 3600)
    total = 2 * ROWS_PER_CHUNK
    (tmp_path / "feed.csv").write_text(HEADER + "".join(f"K{n},Cup {n},2.5\n" for n in range(total)))
    postgres.write("INSERT INTO products (external_id, name, price) VALUES (:id, 'Cup', 1)", id=f"K{total - 1}")
    with settings_of(env | {"STATEMENT_TIMEOUT_S": "1"}):
        with transaction() as connection:
            # another writer holds a product of the second chunk
            execute(connection, "SELECT id FROM products FOR UPDATE")
            answer = run(serve, "import_catalog", tmp_path / "feed.csv")
        assert answer.status_code == 503
        assert f"{ROWS_PER_CHUNK} rows before that are stored" in answer.json()["detail"]
        assert count_rows("products") == ROWS_PER_CHUNK + 1
    whole = run(serve, "import_catalog", tmp_path / "feed.csv").json()
    assert (whole["unchanged"], whole["created"], whole["updated"]) == (ROWS_PER_CHUNK, ROWS_PER_CHUNK - 1, 1)
