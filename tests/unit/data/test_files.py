"""Groups of variants in the items of an evaluation: the same from every format."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.data.files import CatalogFile, read_catalog

# the last has a group of its own, the one before none
GROUPS: list[str | None] = ["10", "10", "blue", "NULL", None, "11"]


def parquet(groups: Any) -> bytes:
    body = io.BytesIO()
    pq.write_table(pa.table({"sku": list("abcdef"), "item_group_id": groups}), body)
    return body.getvalue()


def csv(name: str = "item_group_id", groups: list[str | None] = GROUPS) -> bytes:
    rows = zip("abcdef", groups, strict=True)
    return (f"sku,{name}\n" + "".join(f"{sku},{group or ''}\n" for sku, group in rows)).encode()


def lines() -> bytes:
    numbers = [int(group) if group and group.isdigit() else group for group in GROUPS]
    rows = zip("abcdef", numbers, strict=True)
    return "".join(json.dumps({"sku": sku, "item_group_id": group}) + "\n" for sku, group in rows).encode()


def read(folder: Path, name: str, body: bytes) -> CatalogFile:
    path = folder / name
    path.write_bytes(body)
    return read_catalog(str(path), np.array(list("abcdef"), dtype=object))


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("items.csv", csv()),
        ("items.csv", csv("parent_sku")),
        ("items.jsonl", lines()),
        ("items.parquet", parquet(GROUPS)),
    ],
)
def test_variants_of_one_group_have_one_code(tmp_path: Path, name: str, body: bytes) -> None:
    groups = read(tmp_path, name, body).catalog.groups
    assert groups is not None
    assert groups[0] == groups[1]
    assert groups.tolist() == [0, 0, 1, -1, -1, 2]


def test_a_number_of_parquet_is_the_same_group(tmp_path: Path) -> None:
    numbers = pa.array([10.0, 10.0, 7.0, None, None, 11.0])
    groups = read(tmp_path, "items.parquet", parquet(numbers)).catalog.groups
    assert groups is not None
    assert groups.tolist() == [0, 0, 1, -1, -1, 2]


def test_without_groups_no_product_has_variants(tmp_path: Path) -> None:
    assert read(tmp_path, "items.csv", csv(groups=[None] * 6)).catalog.groups is None
    assert read(tmp_path, "items.csv", csv("colour")).catalog.groups is None


def test_a_group_that_a_spreadsheet_shortened_is_reported_and_joins_nothing(tmp_path: Path) -> None:
    found = read(tmp_path, "items.csv", csv(groups=["1.23E+12", "1.23E+12", "x", "x", None, "y"]))
    assert found.catalog.groups is not None
    assert found.catalog.groups.tolist() == [-1, -1, 0, 0, -1, 1]
    [unread] = found.report()["unread"]
    assert (unread["count"], unread["rows"]) == (2, [2, 3])
    assert "item_group_id" in unread["reason"]
