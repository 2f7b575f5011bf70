"""Job, on demand: write the recommendations of all active users to Parquet files, for example for email tools."""

import re
from collections.abc import Iterator, Mapping, Set
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from io import BytesIO
from typing import Annotated, Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

from shared.clients.destinations import Folder
from shared.domain.formula import Repeats
from shared.job import Parameters, job, progress
from shared.selection import RecommendationsRequest, select_products
from shared.storage.recommending import active_users, answer_products
from shared.storage.recommending.active_users import ActiveUser
from shared.storage.recommending.candidates import read_candidates_of

# The number of users whose candidates one statement reads, and of statements that run at the same time.
USERS_AT_ONCE: Final = 50
THREADS: Final = 3
# The name of a file: its users have ids above the first number, up to the second.
PART: Final = re.compile(r"part-(\d{12})-(\d{12})\.parquet")
SCHEMA: Final = pa.schema(
    [
        pa.field("user_id", pa.string(), nullable=False),
        pa.field("product_id", pa.int64(), nullable=False),
        pa.field("score", pa.float64(), nullable=False),
        pa.field("updated_at", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("rank", pa.int32(), nullable=False),
        pa.field("external_id", pa.string(), nullable=False),
    ]
)


class UserRecommendations(Parameters):
    """What to write, and where.

    destination : folder, gs:// or s3://; below it, each day has a folder of its own.
    k : products for each user.
    active_days : users with an event within this many days before today are active.
    repeats : which of the products that a user knows are recommended.
    in_stock : whether products that are sold out are left out.
    users_per_file : users per file; an interrupted run continues after the last complete file.
    """

    destination: Annotated[str, Field(min_length=1, max_length=1000)]
    k: Annotated[int, Field(ge=1, le=100)] = 10
    active_days: Annotated[int, Field(ge=1, le=3650)] = 90
    repeats: Repeats = "exclude"
    in_stock: bool = True
    users_per_file: Annotated[int, Field(ge=1, le=100_000)] = 10_000


class Row(NamedTuple):
    """A recommended product."""

    user_id: str
    product_id: int
    score: float
    rank: int


def find_end(names: list[str], first: int) -> int | None:
    """Return where the file that begins after user ``first`` ends, or None if there is none among ``names``."""
    matches = (PART.fullmatch(name) for name in names)
    return next((int(match[2]) for match in matches if match and int(match[1]) == first), None)


def recommend(users: list[ActiveUser], parameters: UserRecommendations, sold_out: Set[int]) -> list[Row]:
    """Return the recommendations of these users, by user, best first.

    An answer without a filter ranks products in stock first and reads fewer candidates than one with a filter. So the
    filter is used only for users whose answer would be too short without the products that are sold out.
    """
    answers = _select(users, parameters, in_stock=False)
    if parameters.in_stock:
        answers = {user: [row for row in rows if row.product_id not in sold_out] for user, rows in answers.items()}
        short = [user for user, rows in answers.items() if len(rows) < parameters.k]
        answers |= _select(short, parameters, in_stock=True)
    return [row for rows in answers.values() for row in rows]


def _select(users: list[ActiveUser], parameters: UserRecommendations, *, in_stock: bool) -> dict[ActiveUser, list[Row]]:
    candidates_by_user = read_candidates_of(
        [user.external_id for user in users], k=parameters.k, repeats=parameters.repeats, in_stock=in_stock
    )
    answers = {}
    for user, candidates in zip(users, candidates_by_user, strict=True):
        request = RecommendationsRequest(
            user.external_id, parameters.k, in_stock=in_stock or None, repeats=parameters.repeats
        )
        selection = select_products(request, candidates)
        answers[user] = [
            Row(user.external_id, product_id, selection.scores.get(product_id, 0.0), rank)
            for rank, product_id in enumerate(selection.ids, start=1)
        ]
    return answers


def in_chunks(users: list[ActiveUser]) -> Iterator[list[ActiveUser]]:
    """Yield the users, USERS_AT_ONCE at a time."""
    for first in range(0, len(users), USERS_AT_ONCE):
        yield users[first : first + USERS_AT_ONCE]


def as_parquet(rows: list[Row], updated_at: datetime, external_ids: Mapping[int, str]) -> bytes:
    """Return a Parquet file with SCHEMA; ``external_ids`` maps Aisle's product ids to the shop's own."""
    table = pa.table(
        {
            "user_id": [row.user_id for row in rows],
            "product_id": [row.product_id for row in rows],
            "score": [row.score for row in rows],
            "updated_at": [updated_at] * len(rows),
            "rank": [row.rank for row in rows],
            "external_id": [external_ids[row.product_id] for row in rows],
        },
        schema=SCHEMA,
    )
    file = BytesIO()
    pq.write_table(table, file, compression="zstd")
    return file.getvalue()


@job
def user_recommendations(parameters: UserRecommendations) -> dict[str, Any]:
    """Write the recommendations of all active users, as GET /recommendations would answer, many users per file.

    The answers are not logged, so purchases after emails are not attributed to them. A run on the same day with the
    same destination keeps the existing files and continues after them; delete the day's folder to write it anew.
    """
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    since = today - timedelta(days=parameters.active_days)
    folder = Folder(f"{parameters.destination.rstrip('/')}/date={today:%Y-%m-%d}")
    names = folder.names()
    files = users_written = rows_written = files_kept = last = 0
    with ThreadPoolExecutor(THREADS) as pool:
        while True:
            if (end := find_end(names, last)) is not None:
                last, files_kept = end, files_kept + 1
                continue
            users = active_users.read_page(last, since, parameters.users_per_file)
            if not users:
                break
            recommend_chunk = partial(recommend, parameters=parameters, sold_out=answer_products.sold_out())
            parts = pool.map(recommend_chunk, in_chunks(users))
            rows = [row for part in parts for row in part]
            external_ids = answer_products.external_ids({row.product_id for row in rows})
            file = as_parquet(rows, datetime.now(UTC), external_ids)
            folder.write(f"part-{last:012d}-{users[-1].id:012d}.parquet", file)
            last = users[-1].id
            files, users_written, rows_written = files + 1, users_written + len(users), rows_written + len(rows)
            progress("file written", users=users_written, rows=rows_written)
    return {
        "destination": folder.address,
        "files": files,
        "files_kept": files_kept,
        "users": users_written,
        "rows": rows_written,
    }
