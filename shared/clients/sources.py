"""Read catalogs and event histories from a shop's storage: ``gs://``, ``s3://``, ``https://`` or a local file.

Endpoints and credentials are those of the cloud providers' clients: AWS_ENDPOINT_URL, application default credentials.
The caller of a job chooses the source: `http_files` restricts the servers it may name, and local files are reserved for
the operator.
"""

import io
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import PurePosixPath
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from shared.clients import http_files
from shared.errors import InvalidRequest
from shared.settings import settings

Format = Literal["csv", "jsonl", "xml", "parquet"]

REMOTE: Final = ("gs", "s3", "https")
# On a developer's machine only: a deployed job reads neither its own disk nor other machines over unencrypted HTTP.
LOCAL_ONLY: Final = ("file", "http")
BLOCK_BYTES: Final = 1_048_576
GZIP_MAGIC: Final = b"\x1f\x8b"
_COMPRESSIONS: Final = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2"}
# The second one of zstd is a skippable frame, which pzstd writes first.
_MAGICS: Final = (
    (GZIP_MAGIC, "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\x50\x2a\x4d\x18", "zstd"),
    (b"BZh", "bz2"),
)
_FORMATS: Final[dict[str, Format]] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".jsonld": "jsonl",
    ".xml": "xml",
    ".rss": "xml",
    ".atom": "xml",
    ".parquet": "parquet",
    ".pq": "parquet",
}

_NO_TABLES: Final = frozenset((".xlsx", ".xls", ".xlsm", ".ods", ".numbers", ".zip", ".rar", ".7z", ".pdf"))
_local_files_allowed: ContextVar[bool] = ContextVar("local_files_allowed", default=False)


@contextmanager
def local_files(*, allowed: bool = True) -> Iterator[None]:
    """Set whether jobs inside the block may read local files: the operator may, a caller over HTTP may not."""
    token = _local_files_allowed.set(allowed)
    try:
        yield
    finally:
        _local_files_allowed.reset(token)


def checked(source: str) -> str:
    """Return the source in fsspec's form. Raises InvalidRequest for a source that this environment does not read."""
    is_local = settings().environment == "local"
    allowed = REMOTE + (LOCAL_ONLY if is_local else ())
    scheme = urlsplit(source).scheme if "://" in source else "file"
    # `::` would chain file systems and so bypass this list.
    if "::" in source or scheme not in allowed:
        names = ", ".join(f"{name}://" for name in allowed)
        raise InvalidRequest(f"source: must begin with one of {names}; got {source[:200]!r}.")
    if scheme == "file":
        if not _local_files_allowed.get():
            raise InvalidRequest(
                "source: only ./aisle job and ./aisle load read files of this machine; over HTTP name a URL."
            )
        path = source.removeprefix("file://")
        if not path.startswith("/"):
            raise InvalidRequest(f"source: a file needs its absolute path; got {source[:200]!r}.")
        return path
    return source


def _ending(source: str) -> str:
    suffixes = PurePosixPath(urlsplit(source).path).suffixes
    return next((suffix.lower() for suffix in reversed(suffixes) if suffix.lower() not in _COMPRESSIONS), "")


def known_format(source: str, chosen: Format | None) -> Format | None:
    """Return the chosen format, or else the one that the file extension indicates; None if there is neither.

    Raises InvalidRequest for the extension of a workbook or an archive.
    """
    ending = _ending(source)
    if chosen is None and ending in _NO_TABLES:
        raise InvalidRequest(f"format: a file that ends in {ending} is not read; save the table as CSV.")
    return chosen or _FORMATS.get(ending)


def format_of(source: str, chosen: Format | None) -> Format:
    """Return the chosen format, or else that of the file extension. Raises InvalidRequest if there is neither."""
    if chosen is not None:
        return chosen
    ending = _ending(source)
    if ending not in _FORMATS:
        raise InvalidRequest(
            f"format: the name's ending {ending or '(none)'} is not a known format; give csv, jsonl or parquet."
        )
    return _FORMATS[ending]


class _Guarded(io.RawIOBase):
    """A file whose errors name the source: any error of a provider's client becomes an InvalidRequest."""

    def __init__(self, file: Any, source: str, *, is_packed: bool = False) -> None:
        self._file, self._source, self._is_packed = file, source, is_packed

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return bool(self._file.seekable())

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        return int(self._file.tell())

    def readinto(self, buffer: Any) -> int:
        try:
            data = self._file.read(len(buffer))
        except InvalidRequest:
            raise  # from the inner file, if this one unpacks it
        except OSError as error:
            if not self._is_packed:
                raise unreadable(self._source, error) from error
            raise InvalidRequest(
                f"source: {self._source} cannot be read: it breaks off or is damaged; fetch or upload it again."
            ) from error
        except Exception as error:  # every client has its own exception hierarchy
            raise unreadable(self._source, error) from error
        buffer[: len(data)] = data
        return len(data)


def unreadable(source: str, error: Exception) -> InvalidRequest:
    """Return the error for a source that cannot be opened or read."""
    if isinstance(error, FileNotFoundError):
        # Over HTTP, a client also raises this for a server that does not respond.
        where = " or cannot be reached" if source.startswith("http") else ""
        return InvalidRequest(f"source: {source} does not exist{where}.")
    reason = (str(error).splitlines() or [""])[0][:300] or type(error).__name__
    return InvalidRequest(f"source: {source} cannot be read: {reason}.")


@contextmanager
def unpacked(file: Any, source: str) -> Iterator[io.BufferedIOBase]:
    """Yield a file's content, decompressed if its first bytes or name indicate compression. Reading may raise
    InvalidRequest."""
    guarded = io.BufferedReader(_Guarded(file, source), BLOCK_BYTES)
    head = guarded.peek(4)
    by_name = _COMPRESSIONS.get(PurePosixPath(urlsplit(source).path).suffix.lower()) if head else None
    compression = next((name for magic, name in _MAGICS if head.startswith(magic)), by_name)
    if compression is None:
        yield guarded
    else:
        import pyarrow as pa

        with pa.CompressedInputStream(guarded, compression) as plain:
            yield io.BufferedReader(_Guarded(plain, source, is_packed=True), BLOCK_BYTES)


def open_http(
    address: str, authorization: str | None = None, conditions: Mapping[str, str] | None = None
) -> http_files.HttpFile:
    """Open a file on a web server, within the limits in the settings; see ``http_files.open_url``."""
    return http_files.open_url(
        address,
        allow_private=settings().allow_private_sources,
        max_bytes=settings().source_max_mb * 1_048_576,
        authorization=authorization,
        conditions=conditions,
    )


@contextmanager
def opened(source: str) -> Iterator[io.BufferedIOBase]:
    """Open a source for reading, decompressed. Raises InvalidRequest if it cannot be read."""
    # Feeds are in ordinary buckets; querying a bucket's type would need another permission and another channel.
    os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
    import fsspec

    address = checked(source)
    try:
        if urlsplit(address).scheme in ("http", "https"):
            file: Any = open_http(address)
        else:
            file = fsspec.open(address, "rb").open()
    except InvalidRequest:
        raise
    except Exception as error:
        raise unreadable(source, error) from error
    with file, unpacked(file, source) as plain:
        yield plain


def blocks(file: io.BufferedIOBase) -> Iterator[bytes]:
    """Yield a file's content in blocks of BLOCK_BYTES."""
    while block := file.read(BLOCK_BYTES):
        yield block


def seekable(file: io.BufferedIOBase) -> io.BufferedIOBase:
    """Return the file, or its content in memory if it is not seekable (Parquet requires random access)."""
    return file if file.seekable() else io.BytesIO(file.read())
