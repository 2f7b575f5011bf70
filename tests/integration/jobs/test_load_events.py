"""The job that loads a history: from any source, each event once, into a new or a running shop."""

import gzip
import http.server
import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest

from shared.clients import postgres, redis_sync
from shared.storage.answers import protocol
from tests.integration import derived_tables
from tests.integration.conftest import Serve
from tests.integration.deliveries import deliver, event
from tests.integration.shop import add_products

BASE = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(days=3)
HEADER = "user_id,product_id,event_type,timestamp,quantity,session_id,metadata,event_id\n"


def time_after(hours: float) -> str:
    return (BASE + timedelta(hours=hours)).isoformat()


def write(path: Path, *rows: str, header: str = HEADER) -> str:
    path.write_text(header + "".join(row + "\n" for row in rows))
    return str(path)


def load(serve: Serve, source: str, **parameters: Any) -> httpx.Response:
    return serve("load_events").post("/", json={"source": source, **parameters})


def history(count: int = 400) -> pd.DataFrame:
    """Return events over a month, of ten users and ten products, all different."""
    types = ("view", "view", "add_to_cart", "purchase", "wishlist", "remove_from_cart", "recommendation_click")
    return pd.DataFrame(
        {
            "user_id": [f"u{n % 10}" for n in range(count)],
            "item_id": [f"SKU{n * 7 % 10 + 1}" for n in range(count)],
            "event_type": [types[n % 7] for n in range(count)],
            "timestamp": [BASE - timedelta(hours=1.7 * n) for n in range(count)],
        }
    )


def test_rows_become_events_and_everything_that_follows_from_them(env: object, serve: Serve, tmp_path: Path) -> None:
    add_products()
    epochs = redis_sync.client().hgetall(protocol.EPOCHS)
    source = write(
        tmp_path / "h.csv",
        f"ann,1,view,{time_after(0)},,s1,,",
        f'ann,1,purchase,{time_after(1)},3,s1,"{{""order"": ""o1""}}",o1-1',
        f"bob,2,add_to_cart,{time_after(2)},,,,",
        f'bob,,search,{time_after(2.5)},,,"{{""query"": ""lantern""}}",',
    )
    answer = load(serve, source)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["rows"], body["stored"], body["known"], body["rejected"]) == (4, 4, 0, 0)
    rows = postgres.read(
        """SELECT u.external_id, product_id, event_type, quantity, session_id, metadata FROM events e
           JOIN users u ON u.id = e.user_id ORDER BY occurred_at"""
    )
    assert [tuple(row) for row in rows] == [
        ("ann", 1, "view", 1, "s1", None),
        ("ann", 1, "purchase", 3, "s1", {"order": "o1"}),
        ("bob", 2, "add_to_cart", 1, None, None),
        ("bob", None, "search", 1, None, {"query": "lantern"}),
    ]
    derived_tables.assert_match_events()
    assert redis_sync.client().hgetall(protocol.EPOCHS) != epochs, "stored answers are no longer valid"


def test_loading_the_same_file_twice_adds_nothing(env: object, serve: Serve, tmp_path: Path) -> None:
    add_products()
    history().to_csv(tmp_path / "h.csv", index=False)
    assert load(serve, str(tmp_path / "h.csv"), chunk_rows=150).json()["stored"] == 400
    before = derived_tables.row_counts(), derived_tables.stored()
    second = load(serve, str(tmp_path / "h.csv")).json()
    assert (second["stored"], second["known"], second["rejected"]) == (0, 400, 0)
    assert (derived_tables.row_counts(), derived_tables.stored()) == before
    derived_tables.assert_match_events()


@pytest.mark.parametrize("name", ["h.csv", "h.csv.gz", "h.jsonl", "h.ndjson.gz", "h.parquet"])
def test_every_format_loads_the_same_events(env: object, serve: Serve, tmp_path: Path, name: str) -> None:
    add_products()
    frame, path = history(), tmp_path / name
    if name == "h.parquet":
        frame.to_parquet(path)
    else:
        text = frame.assign(timestamp=frame["timestamp"].map(datetime.isoformat))
        written = text.to_csv(index=False) if "csv" in name else text.to_json(orient="records", lines=True)
        path.write_bytes(gzip.compress(written.encode()) if name.endswith(".gz") else written.encode())
    first = load(serve, str(path), chunk_rows=101)
    assert first.status_code == 200, first.text
    assert (first.json()["stored"], first.json()["rejected"]) == (400, 0)
    frame.to_csv(tmp_path / "same.csv", index=False)
    # an event's id depends on its values, not on the file
    assert load(serve, str(tmp_path / "same.csv")).json()["known"] == 400


@pytest.mark.parametrize(("unit", "factor"), [("s", 1), ("ms", 1000), ("us", 1_000_000)])
def test_the_unit_of_epoch_numbers_follows_from_their_size(
    env: object, serve: Serve, tmp_path: Path, unit: str, factor: int
) -> None:
    add_products()
    frame = history(20)
    frame["timestamp"] = [int(time.timestamp() * factor) for time in frame["timestamp"]]
    frame.to_parquet(tmp_path / "h.parquet")
    refused = load(serve, str(tmp_path / "h.parquet"), timestamp_unit="iso")
    assert refused.status_code == 422
    assert (refused.json()["stored"], refused.json()["rejected"]) == (0, 20)
    assert load(serve, str(tmp_path / "h.parquet")).json()["stored"] == 20
    assert postgres.read("SELECT max(occurred_at) FROM events")[0][0] == BASE
    assert load(serve, str(tmp_path / "h.parquet"), timestamp_unit=unit).json()["known"] == 20


def test_bad_rows_are_counted_with_examples_and_kept_and_the_others_load(
    env: object, serve: Serve, tmp_path: Path
) -> None:
    add_products()
    source = write(
        tmp_path / "h.csv",
        f"ann,1,view,{time_after(0)},,,,",
        f"ann,999,view,{time_after(0)},,,,",  # line 3
        f"ann,1,look,{time_after(0)},,,,",  # line 4
        "ann,1,view",  # line 5
        f'"ann,1,view,{time_after(1)},,,,',  # line 6: a quote that never closes
        *(f",1,view,{time_after(0)},,,," for _ in range(8)),  # lines 7 to 14
        f"ann,2,view,{time_after(0)},,,,",
    )
    body = load(serve, source, keep_rejected=6, chunk_rows=7).json()
    assert (body["rows"], body["stored"], body["rejected"]) == (14, 2, 12)
    reasons = {entry["reason"]: (entry["count"], entry["rows"]) for entry in body["rejections"]}
    assert reasons == {
        "no user_id": (8, [7, 8, 9, 10, 11]),
        "unknown product": (1, [3]),
        "unknown event_type": (1, [4]),
        "has 3 cells where the header has 8": (1, [5]),
        "a quote is not closed": (1, [6]),
    }
    rejected = postgres.read("SELECT position, reason, event FROM rejected_events ORDER BY position")
    assert [row[0] for row in rejected] == [3, 4, 5, 6, 7, 8]
    assert (rejected[0][1], rejected[0][2]["product_id"]) == ("unknown product: 999", "999")
    load(serve, source, keep_rejected=6, chunk_rows=7)
    assert postgres.read("SELECT count(*) FROM rejected_events")[0][0] == 6
    derived_tables.assert_match_events()


def test_history_and_live_events_count_each_event_once_in_any_order(env: object, serve: Serve, tmp_path: Path) -> None:
    add_products()
    now = datetime.now(UTC).replace(microsecond=0)
    events = [
        event(
            n % 10 + 1,
            ("view", "purchase", "add_to_cart")[n % 3],
            event_id=f"e{n}",
            timestamp=(now - timedelta(hours=5 * n)).isoformat(),
        )
        for n in range(40)
    ]
    live = serve("update_preferences"), serve("update_popularity")

    def send(chosen: list[dict[str, Any]]) -> None:
        for function in live:
            assert deliver(function, "ann", *chosen).status_code < 300

    send(events[5:15])
    # counted by one subscriber, not yet stored by the other
    deliver(live[1], "ann", *events[15:20])
    rows = [f"ann,{row['product_id']},{row['event_type']},{row['timestamp']},,,,{row['event_id']}" for row in events]
    body = load(serve, write(tmp_path / "h.csv", *rows), chunk_rows=17).json()
    assert (body["stored"], body["known"]) == (30, 10)
    send(events[10:40])
    assert postgres.read("SELECT count(*) FROM events")[0][0] == 40
    derived_tables.assert_match_events()


def test_old_events_into_a_running_shop_change_its_preferences_as_if_they_had_come_in_time(
    env: object, serve: Serve, tmp_path: Path
) -> None:
    add_products()
    frame = history()
    for part in (frame[::3], frame[1::3], frame[2::3]):
        part.to_csv(tmp_path / "part.csv", index=False)
        assert load(serve, str(tmp_path / "part.csv")).json()["rejected"] == 0
    derived_tables.assert_match_events()


def test_a_second_run_completes_an_interrupted_load(env: object, serve: Serve, tmp_path: Path) -> None:
    add_products()
    rows = [f"ann,{n % 10 + 1},view,{time_after(n / 10)},,,," for n in range(30)]
    source = tmp_path / "h.csv.gz"
    complete = gzip.compress((HEADER + "\n".join(rows)).encode(), mtime=0)
    # cut where the reader has some rows already
    source.write_bytes(complete[: len(complete) // 2])
    broken = load(serve, str(source), chunk_rows=1)
    assert broken.status_code == 422
    assert "cannot be read" in broken.json()["detail"]
    source.write_bytes(complete)
    body = load(serve, str(source)).json()
    assert body["stored"] + body["known"] == 30
    derived_tables.assert_match_events()


def test_one_row_of_long_ago_makes_one_partition(env: object, serve: Serve, tmp_path: Path) -> None:
    add_products()
    count = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'events'::regclass"
    before = postgres.read(count)[0][0]
    body = load(
        serve, write(tmp_path / "h.csv", "ann,1,view,2003-05-31T23:30:00-05:00,,,,", f"ann,1,view,{time_after(0)},,,,")
    ).json()
    assert body["stored"] == 2
    assert postgres.read(count)[0][0] - before <= 2
    assert postgres.read("SELECT count(*) FROM events_default")[0][0] == 0
    assert postgres.read("SELECT count(*) FROM events_2003_06")[0][0] == 1
    derived_tables.assert_match_events()


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("/no/such/file.csv", "does not exist"),
        ("file.csv", "absolute path"),
        ("ftp://host/file.csv", "must begin with"),
        ("simplecache::https://host/file.csv", "must begin with"),
        ("/", "cannot be read"),
        ("http://127.0.0.1:9/h.csv", "not a public address"),
    ],
)
def test_an_unreadable_source_is_a_problem_with_its_reason(env: object, serve: Serve, source: str, says: str) -> None:
    answer = load(serve, source)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert says in answer.json()["detail"]


@pytest.mark.parametrize(
    ("content", "name", "says"),
    [
        (b"", "h.csv", "no CSV header"),
        (b"user_id,event_type,timestamp\n", "h.csv", "no column product_id or external_id"),
        (b"user_id,item_id,event_type\n", "h.csv", "no column timestamp"),
        (b"user_id,item_id,external_id,event_type,timestamp\n", "h.csv", "twice"),
        (b"PAR1 it is not", "h.parquet", "cannot be read as parquet"),
        (b"not gzip", "h.csv.gz", "cannot be read"),
    ],
)
def test_a_file_that_is_not_a_history_is_a_problem_with_its_reason(
    env: object, serve: Serve, tmp_path: Path, content: bytes, name: str, says: str
) -> None:
    (tmp_path / name).write_bytes(content)
    answer = load(serve, str(tmp_path / name))
    assert answer.status_code == 422
    assert says in answer.json()["detail"]


@pytest.mark.parametrize("name", ["h.parquet", "h.csv"])
def test_times_without_a_zone_are_read_in_the_given_zone_and_reported(
    env: object, serve: Serve, tmp_path: Path, name: str
) -> None:
    add_products()
    frame = history(5)
    frame["timestamp"] = frame["timestamp"].dt.tz_localize(None)
    if name == "h.csv":
        frame.to_csv(tmp_path / name, index=False)
    else:
        frame.to_parquet(tmp_path / name)
    body = load(serve, str(tmp_path / name)).json()
    first = 2 if name == "h.csv" else 1
    assert body["times_without_zone"] == {"rows": 5, "first_row": first, "read_in": "UTC"}
    assert postgres.read("SELECT max(occurred_at) FROM events")[0][0] == BASE
    assert load(serve, str(tmp_path / name), timezone="+02:00").json()["stored"] == 5
    assert postgres.read("SELECT count(*) FROM events WHERE occurred_at = :at", at=BASE - timedelta(hours=2))[0][0] == 1
    refused = load(serve, str(tmp_path / name), timezone="Mars/Olympus")
    assert refused.status_code == 422
    assert "timezone" in refused.json()["detail"]


# what tools write for one and the same event: header, row, and the options that the file needs
WRITTEN: dict[str, tuple[str, str, dict[str, str]]] = {
    "bigquery.csv": ("user_id,item_id,event_type,timestamp", "7,SKU1,purchase,2026-03-01 10:00:00 UTC", {}),
    "caps.csv": ("User_ID,Item_ID,Event_Type,TIMESTAMP", "7,SKU1,purchase,2026-03-01T10:00:00Z", {}),
    "retailrocket.csv": ("timestamp,visitorid,event,itemid,transactionid", "1772359200000,7,transaction,SKU1,1", {}),
    "reviews.csv": ("reviewerID;asin;type;unixReviewTime", "7.0;SKU1;Purchase;1772359200", {}),
    "excel.csv": ("sep=;\r\nuser_id;sku;event;event_time;;", "7;SKU1;buy;2026-03-01T11:00:00+01:00;;\r\n;;;;;", {}),
    "index.tsv": ("\tuser_id\titem_id\tevent_type\ttimestamp", "0\t7\tSKU1\torder\t2026-03-01T10:00:00Z", {}),
    "mapped.csv": (
        "Kunde,Artikel,Vorgang,Zeit",
        "7,SKU1,Kauf,2026-03-01 11:00",
        {
            "columns": "user_id:Kunde,external_id:Artikel,event_type:Vorgang,timestamp:Zeit",
            "event_types": "kauf:purchase",
            "timezone": "Europe/Berlin",
        },
    ),
    "constant.csv": ("user_id,item_id,timestamp", "7,SKU1,2026-03-01T10:00:00Z", {"event_type": "purchase"}),
    "float.jsonl": ('{"userId": 7.0, "itemId": "SKU1", "event": "transaction", "ts": 1772359200000}', "", {}),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_the_formats_of_common_tools_load_the_same_event(env: object, serve: Serve, tmp_path: Path, name: str) -> None:
    add_products()
    header, row, options = WRITTEN[name]
    (tmp_path / name).write_text(f"{header}\n{row}\n", newline="")
    answer = load(serve, str(tmp_path / name), **options)
    assert answer.status_code == 200, answer.text
    assert (answer.json()["rows"], answer.json()["stored"]) == (1, 1)
    expected = write(
        tmp_path / "plain.csv", "7,SKU1,purchase,2026-03-01T10:00:00Z", header="user_id,item_id,event_type,timestamp\n"
    )
    assert load(serve, expected).json()["known"] == 1


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16", "utf-8-sig"])
def test_a_history_is_read_in_the_encoding_that_it_has(
    env: object, serve: Serve, tmp_path: Path, encoding: str
) -> None:
    add_products()
    text = f"user_id,item_id,event_type,timestamp\nMüller,SKU1,view,{time_after(0)}\n"
    (tmp_path / "h.csv").write_bytes(text.encode(encoding))
    assert load(serve, str(tmp_path / "h.csv")).json()["stored"] == 1
    assert postgres.read("SELECT external_id FROM users")[0][0] == "Müller"


def test_a_file_without_usable_rows_is_a_problem_with_the_reasons(env: object, serve: Serve, tmp_path: Path) -> None:
    add_products()
    source = write(tmp_path / "h.csv", f"ann,99,view,{time_after(0)},,,,", f"ann,1,applause,{time_after(0)},,,,")
    answer = load(serve, source)
    assert answer.status_code == 422
    body = answer.json()
    assert "unknown product (99): 1 row, the first in row 2" in body["detail"]
    assert "unknown event_type (applause): 1 row, the first in row 3" in body["detail"]
    assert sorted(entry["rows"] for entry in body["rejections"]) == [[2], [3]]
    empty = load(serve, write(tmp_path / "empty.csv"))
    assert empty.status_code == 422
    assert "has no rows" in empty.json()["detail"]


def test_a_row_of_the_far_future_is_refused_and_named(env: object, serve: Serve, tmp_path: Path) -> None:
    add_products()
    body = load(
        serve, write(tmp_path / "h.csv", f"ann,1,view,{time_after(0)},,,,", "ann,1,view,2099-01-01T00:00:00Z,,,,")
    ).json()
    assert (body["rows"], body["used"], body["rejected"]) == (2, 1, 1)
    assert body["rejections"] == [
        {"reason": "timestamp is in the future", "count": 1, "rows": [3], "example": "2099-01-01T00:00:00Z"}
    ]


@pytest.mark.parametrize("source", ["/etc/hostname", "file:///etc/hostname", "http://metadata.google.internal/x.csv"])
def test_a_deployed_job_reads_neither_its_own_disk_nor_its_neighbours(
    env: object, serve: Serve, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from shared.settings import settings

    monkeypatch.setenv("ENVIRONMENT", "prod")
    settings.cache_clear()
    answer = load(serve, source, format="csv")
    assert answer.status_code == 422
    assert "must begin with one of gs://, s3://, https://" in answer.json()["detail"]


@pytest.mark.parametrize("parameters", [{"chunk_rows": 0}, {"timestamp_unit": "days"}, {"format": "xml"}, {"sauce": 1}])
def test_an_invalid_parameter_is_refused(env: object, serve: Serve, parameters: dict[str, Any]) -> None:
    answer = load(serve, "/tmp/h.csv", **parameters)  # noqa: S108 — never opened
    assert answer.status_code == 422
    assert next(iter(parameters)) in answer.json()["detail"]


@pytest.mark.parametrize("name", ["h.xml", "h.XML", "h.xml.gz"])
def test_a_history_of_xml_is_refused_by_its_name(env: object, serve: Serve, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("<events/>")
    answer = load(serve, str(tmp_path / name))
    assert answer.status_code == 422
    assert "XML is read by import_catalog only" in answer.json()["detail"]


def test_a_history_is_read_over_http(
    env: object, serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from shared.settings import settings

    monkeypatch.setenv("ALLOW_PRIVATE_SOURCES", "true")
    settings.cache_clear()
    add_products()
    history(50).to_csv(tmp_path / "h.csv.gz", index=False)
    history(70).to_parquet(tmp_path / "h.parquet")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        assert load(serve, f"{url}/h.csv.gz").json()["stored"] == 50
        assert load(serve, f"{url}/h.parquet").json()["stored"] == 20
        missing = load(serve, f"{url}/nothing.csv")
        assert missing.status_code == 422
        assert "does not exist" in missing.json()["detail"]
        server.shutdown()


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, bytes], str]]:
    """Returns a function that puts an object into a bucket of moto's S3 and returns its address."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    client = boto3.client("s3")
    client.create_bucket(Bucket="feeds", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})

    def put(key: str, body: bytes) -> str:
        client.put_object(Bucket="feeds", Key=key, Body=body)
        return f"s3://feeds/{key}"

    yield put
    client.close()
    server.stop()


def test_a_history_is_read_from_s3(env: object, serve: Serve, bucket: Callable[[str, bytes], str]) -> None:
    add_products()
    text = history(50).to_csv(index=False).encode()
    assert load(serve, bucket("2026/h.csv", text)).json()["stored"] == 50
    packed = bucket("h.csv.gz", gzip.compress(history(60).to_csv(index=False).encode()))
    assert load(serve, packed).json()["stored"] == 10
    assert load(serve, bucket("h.parquet", history(70).to_parquet())).json()["stored"] == 10
    missing = load(serve, "s3://feeds/nothing.csv")
    assert missing.status_code == 422
    assert "does not exist" in missing.json()["detail"]
    assert json.loads(json.dumps(missing.json()))["status"] == 422
    derived_tables.assert_match_events()
