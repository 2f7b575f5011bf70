"""What a load costs in a shop with a long history."""

import io
import re
from collections.abc import Mapping
from datetime import timedelta
from uuid import uuid4

import pytest

from shared.clients.postgres import copy_in, execute, transaction
from shared.storage.events import bulk_loading
from tests.integration.shop import add_products, now

# more than a plan would read as a whole without need
HISTORY = 20_000
FILL = (
    """CREATE TEMP TABLE filler ON COMMIT DROP AS
       SELECT gen_random_uuid() AS id, now() AS at FROM generate_series(1, :n)""",
    "INSERT INTO users (external_id) VALUES ('regular')",
    "INSERT INTO event_ids SELECT id, at FROM filler",
    "INSERT INTO counted_purchases (event_id) SELECT id FROM filler",
    """INSERT INTO events (event_id, user_id, product_id, event_type, occurred_at)
       SELECT f.id, u.id, 1, 'view', at FROM filler f, users u""",
)
GROWING = re.compile(
    r"(?:Seq Scan|Index Only Scan using \w+|Index Scan using \w+) on (event_ids|events\w*|counted_\w+)"
)


@pytest.mark.parametrize("statement", ["CHECKED", "UNCOUNTED", "PURCHASE_COUNTS"])
def test_a_load_looks_its_rows_up_and_does_not_read_the_whole_history(env: Mapping[str, str], statement: str) -> None:
    add_products()
    rows = "".join(f"{n},{uuid4()},regular,,1,purchase,1,{now().isoformat()},,\n" for n in range(50))
    with transaction() as connection:
        for sql in FILL:
            execute(connection, sql, {"n": HISTORY} if ":n" in sql else None)
        execute(connection, "ANALYZE event_ids, events, counted_purchases")
        for sql in (*bulk_loading.PLAN_IN_BULK, *bulk_loading.STAGE):
            execute(connection, sql)
        copy_in(connection, bulk_loading.COPY, io.BytesIO(rows.encode()))
        execute(connection, "ANALYZE history_rows")
        execute(connection, bulk_loading.CHECKED)
        execute(connection, bulk_loading.NEW)
        if statement == "CHECKED":
            execute(connection, "TRUNCATE history_checked")
        plan = "\n".join(
            row[0] for row in execute(connection, f"EXPLAIN (ANALYZE, TIMING OFF) {getattr(bulk_loading, statement)}")
        )
    scans = [line for line in plan.splitlines() if GROWING.search(line)]
    assert scans
    # (actual rows=… loops=…): what one look-up returns
    assert all(float(rows) <= 1 for line in scans for rows in re.findall(r"actual rows=([\d.]+)", line)), plan
    assert not [line for line in scans if "Seq Scan on event_ids" in line or "Seq Scan on counted" in line], plan


def test_a_history_is_stored_in_order_of_time_whatever_the_order_of_its_lines(env: Mapping[str, str]) -> None:
    add_products()
    times = [now() - timedelta(minutes=minute) for minute in (3, 9, 1, 7, 5)]
    rows = "".join(f"{n},{uuid4()},regular,,1,view,1,{time.isoformat()},,\n" for n, time in enumerate(times))
    with transaction() as connection:
        for sql in (*bulk_loading.PLAN_IN_BULK, *bulk_loading.STAGE):
            execute(connection, sql)
        copy_in(connection, bulk_loading.COPY, io.BytesIO(rows.encode()))
        for sql in (bulk_loading.CHECKED, bulk_loading.NEW, bulk_loading.USERS, bulk_loading.EVENTS):
            execute(connection, sql)
        # one partition, unless the test runs in the first minutes of a month
        stored = execute(connection, "SELECT occurred_at FROM events ORDER BY tableoid::regclass::text, ctid")
    assert [time for (time,) in stored] == sorted(times)


def test_only_users_who_were_seen_later_than_before_are_written(env: Mapping[str, str]) -> None:
    add_products()
    seen, before, later = now(), now() - timedelta(days=1), now() + timedelta(minutes=1)
    with transaction() as connection:
        execute(
            connection,
            "INSERT INTO users (external_id, last_seen_at) SELECT unnest(cast(:names AS text[])), :seen",
            {"names": ["earlier", "same", "later"], "seen": seen},
        )
        versions = dict(execute(connection, "SELECT external_id, ctid::text FROM users"))
        times = [("earlier", before), ("same", seen), ("later", before), ("later", later), ("new", before)]
        rows = "".join(f"{n},{uuid4()},{user},,1,view,1,{at.isoformat()},,\n" for n, (user, at) in enumerate(times))
        assert bulk_loading.append(connection, [io.BytesIO(rows.encode())]).stored == len(times)
        users = execute(connection, "SELECT external_id, ctid::text, last_seen_at FROM users")
    assert {name: at for name, _version, at in users} == {"earlier": seen, "same": seen, "later": later, "new": before}
    assert {name for name, version, _at in users if versions.get(name) == version} == {"earlier", "same"}
