"""All Postgres advisory locks that Aisle takes: their numbers, and what they protect.

During a rollout the previous release uses the same numbers, so they never change. The numbers are arbitrary.
The migration ``shared/sql/migrations/0002_search.sql`` takes SEARCH_VOCABULARY in its function ``lock_search_words``.
"""

from typing import Final

from shared.clients.postgres import Connection, execute

# One migration run at a time. Also held while the roles are prepared.
MIGRATIONS: Final = 4_711_001
# One change of the active model, or removal of an old version, at a time.
MODEL_VERSIONS: Final = 4_711_002
# One load of a shop by the local system at a time. It has the same number as MODEL_VERSIONS, so that a load and a
# publication also exclude each other.
SHOP_LOAD: Final = 4_711_002
# One writer of the search vocabulary at a time.
SEARCH_VOCABULARY: Final = 4_711_005
# One writer of content words and embeddings at a time. Taken in ``lock_content``; after SEARCH_VOCABULARY if both are
# taken.
CONTENT: Final = 4_711_006
# One compaction of the catalog's counts at a time, in the function ``compact_catalog_counts``.
CATALOG_COUNTS: Final = 4_711_007
# One merge of two user ids at a time: each locks up to four rows of ``users``, which it finds one after the other.
USER_MERGES: Final = 4_711_008
# The first key of a job's own lock; the second is the hash of the job's name.
JOBS: Final = 4711

_LOCK: Final = "SELECT pg_advisory_xact_lock(:lock)"


def lock_until_commit(connection: Connection, lock: int) -> None:
    """Wait for ``lock`` and hold it until the caller's transaction ends."""
    execute(connection, _LOCK, {"lock": lock})
