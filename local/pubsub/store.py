"""Durable state in SQLite: one writer thread commits the changes that have been queued since its last commit.

The event loop queues row changes and requests a commit. Changes that are queued while a commit is syncing to disk go
into the next one, so all publishes that wait share a disk flush. With ``synchronous=FULL`` an answered publish survives
a power cut, not only a kill.

A commit may fail: the disk is full, or breaks. Then the publishes of that commit are refused and dropped, so that a
refused message is neither stored nor delivered. Every other change describes what has happened already, in memory and
to the receivers; it is kept and written by the next commit that succeeds, at the latest RETRY_S after the disk has
recovered.

Within a commit, changes of the same kind are merged into statements of many rows. That spares the interpreter's lock,
not SQLite: the sqlite3 module releases the lock at every step and has to win it back from a busy event loop.
"""

import asyncio
import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from local.pubsub.errors import StartError

SCHEMA_VERSION = 1
LAZY_COMMIT_S = 0.05
RETRY_S = 1.0
_LOCK_WAIT_S = 0.5
_CHUNKS = (256, 32, 4, 1)
"""Row counts of merged statements. They are few and fixed, so that the cache of prepared statements holds them all."""

_SCHEMA = """
CREATE TABLE topics (name TEXT PRIMARY KEY, pb BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE subscriptions (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, pb BLOB NOT NULL);
CREATE TABLE messages (id INTEGER PRIMARY KEY, published_ms INTEGER NOT NULL, pb BLOB NOT NULL);
CREATE TABLE deliveries (
    subscription INTEGER NOT NULL, message INTEGER NOT NULL, attempts INTEGER NOT NULL, done INTEGER NOT NULL,
    PRIMARY KEY (subscription, message)
) WITHOUT ROWID;
"""

# a change that is written again replaces itself
INSERT_MESSAGE = "INSERT OR REPLACE INTO messages (id, published_ms, pb) VALUES {rows}"
INSERT_DELIVERY = "INSERT OR REPLACE INTO deliveries (subscription, message, attempts, done) VALUES {rows}"
DELETE_DELIVERY = "DELETE FROM deliveries WHERE (subscription, message) IN (VALUES {rows})"
DELETE_MESSAGE = "DELETE FROM messages WHERE id IN (VALUES {rows})"
_PHASES = (INSERT_MESSAGE, INSERT_DELIVERY, DELETE_DELIVERY, DELETE_MESSAGE)
"""Row changes of one commit run in this order: a message is inserted before it is delivered, and deleted last."""

_SAVE_TOPIC = "INSERT OR REPLACE INTO topics (name, pb) VALUES (?, ?)"
_DELETE_TOPIC = "DELETE FROM topics WHERE name = ?"
_SAVE_SUBSCRIPTION = "INSERT OR REPLACE INTO subscriptions (id, name, pb) VALUES (?, ?, ?)"
_DELETE_SUBSCRIPTION = "DELETE FROM subscriptions WHERE id = ?"
_DELETE_DELIVERIES = "DELETE FROM deliveries WHERE subscription = ?"

Row = tuple[Any, ...]

log = logging.getLogger(__name__)


class SavedState(NamedTuple):
    """The content of a state file: serialised topics, subscriptions and messages, and the open deliveries."""

    topics: list[bytes]
    subscriptions: list[tuple[int, bytes]]
    messages: list[tuple[int, int, bytes]]
    deliveries: list[tuple[int, int, int, int]]


class MemoryStore:
    """A store that keeps nothing beyond the life of the process."""

    def load(self) -> SavedState:
        return SavedState([], [], [], [])

    def save_topic(self, name: str, pb: bytes) -> None: ...

    def delete_topic(self, name: str) -> None: ...

    def save_subscription(self, id_: int, name: str, pb: bytes) -> None: ...

    def delete_subscription(self, id_: int) -> None: ...

    def queue(self, statement: str, rows: Sequence[Row]) -> None: ...

    def publish(self, _messages: Sequence[Row], _deliveries: Sequence[Row], /) -> asyncio.Future[None]:
        return self.commit()

    def commit(self) -> asyncio.Future[None]:
        stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        stored.set_result(None)
        return stored

    def close(self) -> None: ...


class _Publish(NamedTuple):
    """Rows that are stored together, or refused by failing ``stored``."""

    messages: Sequence[Row]
    deliveries: Sequence[Row]
    stored: asyncio.Future[None]


class Store(MemoryStore):
    """The state file. Every method but ``close`` belongs to the event loop's thread."""

    def __init__(self, path: Path) -> None:
        self._connection = _open(path)
        self._loop = asyncio.get_running_loop()
        self._wake = threading.Condition()
        self._segments: list[dict[str, list[Row]]] = []
        self._publishes: list[_Publish] = []
        self._waiting: list[asyncio.Future[None]] = []
        self._commit_requested = False
        self._closing = False
        self._lazy: asyncio.TimerHandle | None = None
        self._writer = threading.Thread(target=self._write, name="pubsub-store", daemon=True)

    def load(self) -> SavedState:
        """Read the saved state and start the writer thread."""
        read = self._connection.execute
        state = SavedState(
            [pb for (pb,) in read("SELECT pb FROM topics")],
            read("SELECT id, pb FROM subscriptions").fetchall(),
            read("SELECT id, published_ms, pb FROM messages").fetchall(),
            read("SELECT subscription, message, attempts, done FROM deliveries ORDER BY 2").fetchall(),
        )
        self._writer.start()
        return state

    def save_topic(self, name: str, pb: bytes) -> None:
        self._queue_alone(_SAVE_TOPIC, (name, pb))

    def delete_topic(self, name: str) -> None:
        self._queue_alone(_DELETE_TOPIC, (name,))

    def save_subscription(self, id_: int, name: str, pb: bytes) -> None:
        self._queue_alone(_SAVE_SUBSCRIPTION, (id_, name, pb))

    def delete_subscription(self, id_: int) -> None:
        self._queue_alone(_DELETE_SUBSCRIPTION, (id_,))
        self._queue_alone(_DELETE_DELIVERIES, (id_,))

    def queue(self, statement: str, rows: Sequence[Row]) -> None:
        """Queue changes to rows of messages or deliveries."""
        with self._wake:
            segment = self._segments[-1] if self._segments else self._new_segment()
            # a second change of the same delivery must not overtake the first, which a merged order would allow
            if statement == INSERT_DELIVERY and segment[DELETE_DELIVERY]:
                segment = self._new_segment()
            segment[statement].extend(rows)
        self._commit_soon()

    def publish(self, messages: Sequence[Row], deliveries: Sequence[Row], /) -> asyncio.Future[None]:
        """Store new messages; return a future that fails if they cannot be stored, and then never will be."""
        stored: asyncio.Future[None] = self._loop.create_future()
        with self._wake:
            self._publishes.append(_Publish(messages, deliveries, stored))
            self._commit_requested = True
            self._wake.notify()
        return stored

    def commit(self) -> asyncio.Future[None]:
        """Return a future that completes once all queued changes are on disk.

        It fails if the next commit does; a later commit then writes the changes.
        """
        stored: asyncio.Future[None] = self._loop.create_future()
        with self._wake:
            self._waiting.append(stored)
            self._commit_requested = True
            self._wake.notify()
        return stored

    def close(self) -> None:
        """Write queued changes and close the file. It blocks, so it must not run on the event loop's thread."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        if self._writer.is_alive():
            self._writer.join()
        self._connection.close()

    def _queue_alone(self, statement: str, row: Row) -> None:
        with self._wake:
            self._segments.append({statement: [row]})
            self._new_segment()
        self._commit_soon()

    def _new_segment(self) -> dict[str, list[Row]]:
        segment: dict[str, list[Row]] = {statement: [] for statement in _PHASES}
        self._segments.append(segment)
        return segment

    def _commit_soon(self) -> None:
        if self._lazy is None:
            self._lazy = self._loop.call_later(LAZY_COMMIT_S, self._request_commit)

    def _request_commit(self) -> None:
        self._lazy = None
        with self._wake:
            self._commit_requested = True
            self._wake.notify()

    # the writer's thread

    def _write(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._commit_requested or self._closing)
                self._commit_requested = False
                segments, self._segments = self._segments, []
                publishes, self._publishes = self._publishes, []
                waiting, self._waiting = self._waiting, []
                closing = self._closing
            failure: Exception | None = None
            try:
                self._commit(segments, publishes)
            except Exception as error:  # noqa: BLE001 — whatever it is, the publishers must learn of it
                failure = error
                log.error("the state file cannot be written: %s", error)
                with self._wake:
                    self._segments = segments + self._segments
            settled = [*waiting, *(publish.stored for publish in publishes)]
            if settled:
                self._loop.call_soon_threadsafe(_settle, settled, failure)
            if closing:
                return
            if failure is not None:
                self._loop.call_soon_threadsafe(self._loop.call_later, RETRY_S, self._request_commit)

    def _commit(self, segments: list[dict[str, list[Row]]], publishes: list[_Publish]) -> None:
        published = {
            INSERT_MESSAGE: [row for publish in publishes for row in publish.messages],
            INSERT_DELIVERY: [row for publish in publishes for row in publish.deliveries],
        }
        if not any(rows for changes in (*segments, published) for rows in changes.values()):
            return
        execute = self._connection.execute
        if self._connection.in_transaction:
            # the last one could not even be rolled back
            execute("ROLLBACK")
        execute("BEGIN IMMEDIATE")
        try:
            for changes in (*segments, published):
                for statement, rows in changes.items():
                    _run(execute, statement, rows)
            execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                execute("ROLLBACK")
            raise


def _run(execute: Callable[[str, Sequence[Any]], Any], statement: str, rows: list[Row]) -> None:
    if "{rows}" not in statement:
        execute(statement, rows[0])
        return
    for chunk in _chunks(rows):
        marks = "(" + ",".join("?" * len(chunk[0])) + ")"
        execute(statement.format(rows=",".join([marks] * len(chunk))), [value for row in chunk for value in row])


def _chunks(rows: list[Row]) -> Iterator[list[Row]]:
    start = 0
    for size in _CHUNKS:
        while len(rows) - start >= size:
            yield rows[start : start + size]
            start += size


def _settle(waiting: list[asyncio.Future[None]], failure: Exception | None) -> None:
    for stored in waiting:
        if stored.done():
            continue
        if failure is None:
            stored.set_result(None)
        else:
            stored.set_exception(failure)


def _open(path: Path) -> sqlite3.Connection:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, timeout=_LOCK_WAIT_S, isolation_level=None, check_same_thread=False)
    except (OSError, sqlite3.Error) as error:
        raise StartError(f"cannot open the state file {path}: {error}") from error
    try:
        # held for the life of the process, so that a second server on the same file fails at once
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("BEGIN EXCLUSIVE")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == 0:
            for statement in filter(None, map(str.strip, _SCHEMA.split(";"))):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        connection.close()
        reason = "another server is using it" if "locked" in str(error) else str(error)
        raise StartError(f"cannot open the state file {path}: {reason}") from error
    if version not in (0, SCHEMA_VERSION):
        connection.close()
        raise StartError(f"cannot open the state file {path}: it was written by another version ({version})")
    return connection
