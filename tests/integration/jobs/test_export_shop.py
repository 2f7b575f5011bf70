"""The job that exports a shop: what it writes is read back to the same shop."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import local.data
from jobs import export_shop
from jobs.import_catalog import ImportCatalog, import_catalog
from jobs.load_events import LoadEvents, load_events
from local.data import exported
from shared.clients import postgres, sources
from shared.clients.destinations import Folder
from shared.domain.events import EventType
from shared.errors import InvalidRequest
from shared.event_origin import Origin
from shared.storage.events import ingestion, purchase_counts
from shared.storage.operations import shop_tables
from tests.integration.conftest import Running, Serve
from tests.integration.deliveries import event
from tests.integration.shop import add_model, embed_products, now

FORMATS = ("parquet", "csv")
# numbers that the database gives, and what follows from the row
INTERNAL = ["user_id", "merged_into", "document", "checkout_id", "request_hash", "title_key"]
ODD_TEXT = 'Café, "12V/2A"\nline 2; O\'Neil — 花 \\N'


def add_shop() -> None:
    """Make a shop with everything that an export has, and values that files often lose."""
    local.data.load("synthetic", {"products": 60, "users": 25, "events": 3000, "skew": 0.5}, lambda _line: None)
    postgres.write("UPDATE shop SET name = 'Lamps', currency = 'EUR', time_zone = 'Europe/Berlin'")
    postgres.write(
        """INSERT INTO categories (name, leaf, parent_id)
           SELECT x.name, x.leaf, c.id FROM categories c,
               (VALUES ('Lamps', 'Lamps'), ('Garden > Lamps', 'Lamps')) AS x(name, leaf)
           WHERE c.name = CASE WHEN x.name = 'Lamps' THEN 'Books' ELSE 'Garden' END"""
    )
    postgres.write(
        """UPDATE products SET name = :odd, description = :odd, tags = ARRAY['a|b', '["x"]', '', 'NULL', 'ü,v'],
               further_category_ids = ARRAY(SELECT id FROM categories WHERE leaf IN ('Lamps', 'Toys') ORDER BY id DESC),
               category_id = (SELECT id FROM categories WHERE name = 'Garden > Lamps'), item_group_id = 'G 1',
               variant_title = 'S / Rot',
               list_price = 999.90, currency = 'EUR', average_rating = 4.25, review_count = 0, latitude = 52.5200066,
               longitude = -0.1, available_from = '2026-01-31 12:00:00.123456+00', is_active = false, quantity = 0,
               image_url = 'https://shop.example/a,b.png'
           WHERE id = 3""",
        odd=ODD_TEXT,
    )
    postgres.write("UPDATE products SET category_id = NULL, brand = NULL, tags = '{}', description = '' WHERE id = 4")
    postgres.write("DELETE FROM product_stats WHERE product_id = 5")
    # a purchase that does not count, a custom event without a product, a purchase that was given back
    browser = Origin(client="c")
    for number, fields in enumerate(
        (
            {"product_id": 7, "event_type": "purchase", "event_id": "9a000000-0000-4000-8000-000000000001"},
            {"product_id": None, "event_type": "custom", "event_id": "9a000000-0000-4000-8000-000000000002"},
        )
    ):
        more = {"position": 0, "quantity": 1, "occurred_at": now().isoformat()}
        events = [event(**fields, **more, metadata={"note": ODD_TEXT, "order_id": "A,1"})]
        ingestion.store(f"m{number}", "browser-1", events, browser)
        purchase_counts.count("browser-1", events, browser)
    postgres.write("UPDATE events SET session_id = '', metadata = '{}' WHERE product_id = 1")
    postgres.write(
        """INSERT INTO users (external_id, is_anonymous, username, email, password_hash, role, latitude, longitude)
           VALUES ('acct_1', false, 'ada', 'ada@example.com', '$argon2id$secret', 'admin', 1, 2), ('null', true, null,
           null, null, 'user', null, null)"""
    )
    postgres.write(
        """UPDATE users SET merged_at = now(), merged_into = (SELECT id FROM users WHERE external_id = 'acct_1')
           WHERE external_id = 'null'"""
    )
    postgres.write(
        """INSERT INTO orders (id, user_id, request_hash, state, total)
           SELECT v.id::uuid, u.id, 'x', 'refunded', 12.50
           FROM (VALUES ('11111111-0000-4000-8000-000000000000', 'acct_1'),
                        ('22222222-0000-4000-8000-000000000000', NULL)) AS v(id, external_id)
           LEFT JOIN users u USING (external_id)"""
    )
    postgres.write(
        """INSERT INTO order_items (order_id, product_id, external_id, name, variant_title, quantity, price,
               event_id, price_when_added, added_at)
           SELECT o.id, p.id, p.external_id, p.name, p.variant_title, 2, 6.25, gen_random_uuid(), 7.00, now()
           FROM orders o, products p WHERE p.id IN (2, 3)"""
    )
    postgres.write(
        "INSERT INTO order_state_changes (order_id, state, reason) SELECT id, 'paid', :odd FROM orders", odd=ODD_TEXT
    )
    postgres.write(
        """INSERT INTO refunds (event_id, user_id, order_id, product_id, quantity, vouched)
           SELECT gen_random_uuid(), id, 'A,1', NULL, NULL, false FROM users WHERE external_id = 'browser-1'"""
    )
    postgres.write(
        "INSERT INTO cart_items (user_id, product_id, quantity, price_when_added) SELECT min(id), 2, 9, 1.00 FROM users"
    )
    postgres.write("INSERT INTO wishlist_items (user_id, product_id) SELECT min(id), 2 FROM users")


def tables() -> dict[str, list[str]]:
    """Return all rows of the exported tables, and of those that follow from them, with users by their own ids."""
    bases = {table.base for table in shop_tables.TABLES} | {"product_stats", "event_ids"}
    found = {}
    for base in sorted(bases):
        columns = {
            row[0] for row in postgres.read(f"SELECT attname FROM pg_attribute WHERE attrelid = '{base}'::regclass")
        }
        owner = "(SELECT external_id FROM users u WHERE u.id = t.user_id)" if "user_id" in columns else "null"
        merged = "(SELECT external_id FROM users u WHERE u.id = t.merged_into)" if base == "users" else "null"
        hidden = [*INTERNAL, *(["id"] if base in ("users", "order_state_changes") else [])]
        if base == "users":
            hidden += ["username", "email", "password_hash", "role", "latitude", "longitude"]
        rows = postgres.read(
            f"""SELECT ((to_jsonb(t) - cast(:hidden AS text[]))
                    || jsonb_build_object('owner', {owner}, 'merged', {merged}))::text
                FROM {base} t ORDER BY 1""",
            hidden=hidden,
        )
        found[base] = [row[0] for row in rows]
    return found


def answers(serve: Serve) -> dict[str, Any]:
    """Return what shoppers see: the ids of products of several kinds of answers, in order."""
    add_model({1: {2: 0.9, 6: 0.5}, 8: {9: 0.8, 10: 0.3}}, {"serving": {"blend": 1.0}})
    embed_products()
    for job in ("trending", "popular"):
        assert serve(job).post("/", json={}).status_code == 200
    client, shown = serve("recommendations"), {}
    users = [
        row[0] for row in postgres.read("SELECT external_id FROM users WHERE external_id LIKE 'user-%' ORDER BY 1")
    ]
    for path in ("/popular", "/trending", *(f"/recommendations?user_id={user}" for user in users[:8])):
        answer = client.get(path)
        assert answer.status_code == 200, answer.text
        listed = next(value for value in answer.json().values() if isinstance(value, list))
        shown[path] = [product["id"] for product in listed]
    # the title of a product that is shown
    (name,) = postgres.read("SELECT name FROM products WHERE id = 8")[0]
    found = serve("products").get("/products", params={"search": name}).json()
    shown["search"] = [product["id"] for product in found["products"]]
    return shown


def run(folder: Path, **parameters: Any) -> dict[str, Any]:
    result: dict[str, Any] = export_shop.export_shop.run(export_shop.ExportShop(destination=str(folder), **parameters))
    return result


def listed(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "export.json").read_bytes())
    return content


def load(folder: Path) -> None:
    exported.store(*exported.open_export(str(folder)), lambda _line: None)


@pytest.mark.parametrize("form", FORMATS)
def test_an_export_is_read_back_to_the_same_shop(form: str, services: Running, serve: Serve, tmp_path: Path) -> None:
    with services.clean():
        add_shop()
        before, seen = tables(), answers(serve)
        result = run(tmp_path / "shop", format=form, rows_per_file=700)
        assert result["files"] == len(list((tmp_path / "shop").glob(f"*.{form}")))
        assert result["tables"]["events"] == 3002
        # several files of a table, none of which is longer than it may be but by rows of one key
        assert len(listed(tmp_path / "shop")["tables"]["events"]) == 5
    with services.clean():
        load(tmp_path / "shop")
        assert tables() == before
        assert answers(serve) == seen
        # new rows get numbers that are free
        postgres.write("INSERT INTO products (name, price) VALUES ('Lantern', 1)")
        postgres.write("INSERT INTO categories (name) VALUES ('New')")
        assert postgres.read("SELECT name, currency, time_zone, search_language FROM shop") == [
            ("Lamps", "EUR", "Europe/Berlin", "english")
        ]
    assert all(before[name] for name in before), [name for name in before if not before[name]]
    assert all(seen.values()), seen


def test_an_export_holds_no_account_and_no_secret(env: object, tmp_path: Path) -> None:
    add_shop()
    postgres.write("UPDATE users SET city = 'Atlantis' WHERE external_id = 'acct_1'")
    run(tmp_path, format="csv")
    written = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"acct_1" in written
    for secret in (b"ada@", b",ada", b"argon2", b"Atlantis", b"admin"):
        assert secret not in written, secret


@pytest.mark.parametrize("form", FORMATS)
def test_the_files_are_read_by_the_jobs_of_imports(
    form: str, services: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields = """SELECT p.external_id, p.name, description, price, list_price, currency, image_url, path, brand, tags,
        quantity, is_active, available_from, average_rating, review_count, latitude, longitude, item_group_id,
        variant_title,
        ARRAY(SELECT path FROM unnest(further_category_ids) AS w(id) JOIN categories USING (id) ORDER BY 1)
        FROM products p LEFT JOIN categories c ON c.id = category_id ORDER BY 1"""
    counts = "SELECT event_type, count(*), count(DISTINCT user_id) FROM events GROUP BY 1 ORDER BY 1"
    with services.clean():
        add_shop()
        # an import drops what is no tag, and strips texts
        postgres.write("UPDATE products SET tags = ARRAY['a|b', '[\"x\"]', 'ü,v'] WHERE id = 3")
        run(tmp_path, format=form)
        products, events = postgres.read(fields), postgres.read(counts)
    with services.clean(), sources.local_files():
        report = import_catalog.run(ImportCatalog(source=str(tmp_path / f"products-00001.{form}")))
        assert (report["created"], report["rejected"]) == (60, 0), report["errors"]
        assert postgres.read(fields) == products
        loaded = load_events.run(LoadEvents(source=str(tmp_path / f"events-00001.{form}")))
        assert (loaded["stored"], loaded["rejected"]) == (3002, 0), loaded["rejections"]
        assert postgres.read(counts) == events


class Killed(BaseException):
    """The process ends here."""


@pytest.fixture
def killed_after(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """``killed_after(n)`` ends the job at its n-th file."""

    def kill(files: int) -> None:
        write, count = Folder.write, iter(range(files))

        def counting(folder: Folder, name: str, content: bytes) -> None:
            if name != "export.json" and next(count, None) is None:
                monkeypatch.setattr(Folder, "write", write)
                raise Killed
            write(folder, name, content)

        monkeypatch.setattr(Folder, "write", counting)

    return kill


def test_a_killed_export_goes_on_and_is_of_one_moment(
    services: Running, killed_after: Callable[[int], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_shop, "LIST_EVERY_S", 0)
    with services.clean():
        add_shop()
        killed_after(6)
        with pytest.raises(Killed):
            run(tmp_path, rows_per_file=700)
        with pytest.raises(InvalidRequest, match="not complete"):
            load(tmp_path)
        first = {file.name: file.stat().st_mtime_ns for file in tmp_path.glob("*.parquet")}
        assert len(first) == 6
        # two rows of files that are written already, and a new product
        postgres.write("UPDATE products SET price = 777.00 WHERE id = 1")
        postgres.write("INSERT INTO products (external_id, name, price) VALUES ('late', 'Late lamp', 1.00)")
        result = run(tmp_path, rows_per_file=700)
        kept = {file.name for file in tmp_path.glob("*.parquet") if first.get(file.name) == file.stat().st_mtime_ns}
        assert result["files_kept"] == len(kept) == 5
        assert kept == set(first) - {"products-00001.parquet"}
        before = tables()
        # a run without a change writes nothing but the list
        assert (again := run(tmp_path, rows_per_file=700))["files"] == 0
        assert again["files_kept"] == result["files"] + 5
    with services.clean():
        load(tmp_path)
        assert tables() == before


def test_a_file_that_grew_is_cut_anew_and_leftover_files_go(env: object, tmp_path: Path) -> None:
    local.data.load("synthetic", {"products": 10, "users": 5, "events": 100}, lambda _line: None)
    run(tmp_path, rows_per_file=40)
    assert [part["rows"] for part in listed(tmp_path)["tables"]["events"]] == [40, 40, 20]
    postgres.write(
        """INSERT INTO events (event_id, user_id, product_id, event_type, occurred_at)
           SELECT cast(overlay(:low placing to_char(n, 'FM0000') from 5) AS uuid), 1, 1, 'view', now()
           FROM generate_series(1, 41) AS n""",
        low="00000000-0000-4000-8000-000000000000",
    )
    run(tmp_path, rows_per_file=40)
    # 81 rows in the first part: more than twice its size
    assert [part["rows"] for part in listed(tmp_path)["tables"]["events"]] == [40, 40, 40, 21]
    postgres.write("DELETE FROM events")
    (tmp_path / "events-00009.parquet").write_bytes(b"of an earlier run")
    (tmp_path / "notes.txt").write_bytes(b"mine")
    run(tmp_path, rows_per_file=40)
    assert sum(part["rows"] for part in listed(tmp_path)["tables"]["events"]) == 0
    assert not (tmp_path / "events-00009.parquet").exists()
    assert (tmp_path / "notes.txt").exists()


def test_all_files_are_of_one_snapshot(env: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    local.data.load("synthetic", {"products": 10, "users": 5, "events": 100}, lambda _line: None)
    write = Folder.write

    def meanwhile(folder: Folder, name: str, content: bytes) -> None:
        write(folder, name, content)
        if name.startswith("products"):
            postgres.write("INSERT INTO users (external_id) VALUES ('late')")
            postgres.write("UPDATE events SET counted = false")

    monkeypatch.setattr(Folder, "write", meanwhile)
    result = run(tmp_path, format="csv")
    assert result["tables"]["users"] == 5
    with open(tmp_path / "events-00001.csv", newline="") as file:
        assert {row["counted"] for row in csv.DictReader(file)} == {"true"}


@pytest.fixture
def small(env: object, tmp_path: Path) -> Path:
    """An export of an empty shop with one product."""
    postgres.write("INSERT INTO products (external_id, name, price) VALUES ('a', 'Lamp', 1.00)")
    run(tmp_path, format="csv")
    postgres.write("DELETE FROM products")
    return tmp_path


def test_an_export_that_was_changed_is_not_loaded(small: Path) -> None:
    file = small / "products-00001.csv"
    content = file.read_bytes()
    file.write_bytes(content.replace(b"Lamp", b"Lump"))
    with pytest.raises(InvalidRequest, match=r"products-00001\.csv is not the file that export\.json lists"):
        load(small)
    assert postgres.read("SELECT count(*) FROM products")[0][0] == 0
    file.unlink()
    with pytest.raises(InvalidRequest, match=r"lacks products-00001\.csv"):
        load(small)
    file.write_bytes(content)
    (small / "export.json").write_text("{}")
    with pytest.raises(InvalidRequest, match=r"export\.json is damaged"):
        load(small)
    (small / "export.json").unlink()
    with pytest.raises(InvalidRequest, match=r"no export\.json"):
        load(small)


def test_keys_of_a_list_that_was_changed_never_reach_sql(small: Path) -> None:
    content = listed(small)
    (part,) = content["tables"]["products"]
    content["tables"]["products"] = [part | {"to": "1'; DROP TABLE users; --"}]
    (small / "export.json").write_text(json.dumps(content))
    with pytest.raises(InvalidRequest, match=r"export\.json is damaged: products has the key"):
        run(small, format="csv")
    assert postgres.read("SELECT count(*) FROM users")[0][0] == 0


def test_a_destination_that_holds_something_else_is_refused(
    small: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with pytest.raises(InvalidRequest, match="holds an export as csv; give format=csv"):
        run(small, format="parquet")
    other = tmp_path_factory.mktemp("other")
    (other / "thesis.txt").write_text("mine")
    with pytest.raises(InvalidRequest, match=r"has files but no export\.json"):
        run(other)
    assert [file.name for file in other.iterdir()] == ["thesis.txt"]
    with pytest.raises(InvalidRequest, match="needs its absolute path"):
        run(Path("relative"))


def test_the_job_answers_over_http(small: Path, serve: Serve) -> None:
    answer: httpx.Response = serve("export_shop").post("/", json={"destination": str(small), "format": "xml"})
    assert answer.status_code == 422
    answer = serve("export_shop").post("/", json={"destination": str(small), "format": "csv"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["tables"]["products"] == 0


def test_parquet_has_types(env: object, tmp_path: Path) -> None:
    add_shop()
    run(tmp_path)
    schema = pq.read_schema(tmp_path / "products-00001.parquet")
    assert schema.field("price").type == pa.decimal128(18, 3)
    assert schema.field("created_at").type == pa.timestamp("us", tz="UTC")
    assert schema.field("is_active").type == pa.bool_()
    rows = pq.read_table(tmp_path / "events-00001.parquet").to_pylist()
    assert {row["event_type"] for row in rows} >= {EventType.PURCHASE.value, EventType.CUSTOM.value}
    assert [row["counted"] for row in rows if row["user_id"] == "browser-1" and row["product_id"]] == [False]
