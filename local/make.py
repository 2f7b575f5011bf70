"""`./aisle make synthetic --out PLACE`: write a made-up shop as the files that a deployment imports."""

import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa
from pyarrow import csv

from local.commands import parameters
from local.data.shop import Shop
from local.data.store import chunks
from local.errors import CommandError, Refused

USAGE: Final = "Write: ./aisle make synthetic --out FOLDER|gs://BUCKET/FOLDER [KEY=VALUE ...]."
CATALOG: Final = "catalog.csv"
EVENTS: Final = "events.csv"


def make(arguments: Sequence[str]) -> int:
    """Write catalog.csv for the job import_catalog and events.csv for load_events. Raises Refused or CommandError."""
    place, options = _chosen(arguments)
    from local.data import synthetic

    try:
        shop = synthetic.make(options)
    except (ValueError, TypeError) as error:
        raise Refused(f"synthetic: {error}") from None
    if place.startswith("gs://"):
        with tempfile.TemporaryDirectory(prefix="aisle-make-") as folder:
            write(shop, Path(folder))
            _upload(Path(folder), place.rstrip("/"))
    else:
        write(shop, Path(place).expanduser())
    print(f"wrote {len(shop.products)} products and {len(shop.events.ids)} events to {place.rstrip('/')}/")
    return 0


def _chosen(arguments: Sequence[str]) -> tuple[str, dict[str, object]]:
    rest = list(arguments)
    if not rest or rest.pop(0) != "synthetic":
        raise Refused(f"Make what? {USAGE}")
    for position, argument in enumerate(rest):
        name, given, value = argument.partition("=")
        if name == "--out":
            place = value if given else "".join(rest[position + 1 : position + 2])
            del rest[position : position + (1 if given else 2)]
            if not place or ("://" in place and not place.startswith("gs://")):
                raise Refused(f"--out must be a folder or begin with gs://; got {place!r}. {USAGE}")
            return place, parameters(rest)
    raise Refused(f"Name a place. {USAGE}")


def write(shop: Shop, folder: Path) -> None:
    """Write the files of a shop into a folder, which is created if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    products = shop.products.assign(tags=shop.products["tags"].map("|".join))
    csv.write_csv(pa.Table.from_pandas(products, preserve_index=False), folder / CATALOG)
    names = {"user_key": "user_id", "occurred_at": "timestamp"}
    with (folder / EVENTS).open("wb") as file:
        for number, chunk in enumerate(chunks(shop)):
            table = pa.table({names.get(name, name): column for name, column in chunk.items()})
            csv.write_csv(table, file, csv.WriteOptions(include_header=not number))


def _upload(folder: Path, place: str) -> None:
    files = [str(folder / name) for name in (CATALOG, EVENTS)]
    try:
        subprocess.run(["gcloud", "storage", "cp", *files, f"{place}/"], check=True)
    except FileNotFoundError:
        raise CommandError("gcloud is not installed. Make the shop in a folder, and copy it to the bucket.") from None
    except subprocess.CalledProcessError as error:
        raise CommandError(f"gcloud could not write to {place}: exit code {error.returncode}.") from None
