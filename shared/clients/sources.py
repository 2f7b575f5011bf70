"""Reading feeds and histories from where shops keep them: ``gs://``, ``s3://``, ``https://``, or a file at home.

Endpoints and credentials are those of the clouds' own clients: AWS_ENDPOINT_URL, application default credentials, ….
"""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from shared.errors import InvalidRequest
from shared.settings import settings

Format = Literal["csv", "jsonl", "parquet"]

REMOTE: Final = ("gs", "s3", "https")
# on a developer's machine only: a deployed job reads neither its own disk nor, unencrypted, its neighbours
LOCAL_ONLY: Final = ("file", "http")
MAX_LINE_BYTES: Final = 1_048_576
_COMPRESSIONS: Final = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2"}
_FORMATS: Final[dict[str, Format]] = {
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".parquet": "parquet",
}


def checked(source: str) -> str:
    """Return the source as fsspec wants it. Raises InvalidRequest for one that this environment does not read."""
    at_home = settings().environment == "local"
    allowed = REMOTE + (LOCAL_ONLY if at_home else ())
    scheme = urlsplit(source).scheme if "://" in source else "file"
    # `::` would chain file systems, and so get round this list
    if "::" in source or scheme not in allowed:
        names = ", ".join(f"{name}://" for name in allowed)
        raise InvalidRequest(f"source: must begin with one of {names}; got {source[:200]!r}.")
    if scheme == "file":
        path = source.removeprefix("file://")
        if not path.startswith("/"):
            raise InvalidRequest(f"source: a file needs its absolute path; got {source[:200]!r}.")
        return path
    return source


def format_of(source: str, chosen: Format | None) -> Format:
    """Return the format by choice, or by the name's ending. Raises InvalidRequest when it tells nothing."""
    if chosen is not None:
        return chosen
    suffixes = PurePosixPath(urlsplit(source).path).suffixes
    ending = next((suffix.lower() for suffix in reversed(suffixes) if suffix.lower() not in _COMPRESSIONS), "")
    if ending not in _FORMATS:
        raise InvalidRequest("format: the name does not tell it; give csv, jsonl or parquet.")
    return _FORMATS[ending]


class _Guarded(io.RawIOBase):
    """A file whose failures name the source: whatever a cloud's client raises is one problem for the caller."""

    def __init__(self, file: Any, source: str) -> None:
        self._file, self._source = file, source

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
            raise  # of the file within, when this one unpacks it
        except Exception as error:  # every client has its own tree of errors
            raise _unreadable(self._source, error) from error
        buffer[: len(data)] = data
        return len(data)


def _unreadable(source: str, error: Exception) -> InvalidRequest:
    if isinstance(error, FileNotFoundError):
        # over HTTP a client says this of a server that does not answer too
        where = " or cannot be reached" if source.startswith("http") else ""
        return InvalidRequest(f"source: {source} does not exist{where}.")
    reason = (str(error).splitlines() or [""])[0][:300] or type(error).__name__
    return InvalidRequest(f"source: {source} cannot be read: {reason}.")


@contextmanager
def opened(source: str) -> Iterator[io.BufferedIOBase]:
    """Open a source for reading, decompressed by its name's ending. Raises InvalidRequest when it cannot be read."""
    # feeds lie in ordinary buckets: asking which kind a bucket is would be another permission and another channel
    os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
    import fsspec

    address = checked(source)
    try:
        file = fsspec.open(address, "rb").open()
    except Exception as error:
        raise _unreadable(source, error) from error
    with file:
        guarded = io.BufferedReader(_Guarded(file, source), 1 << 20)
        compression = _COMPRESSIONS.get(PurePosixPath(urlsplit(source).path).suffix.lower())
        if compression is None:
            yield guarded
        else:
            import pyarrow as pa

            with pa.CompressedInputStream(guarded, compression) as plain:
                yield io.BufferedReader(_Guarded(plain, source), 1 << 20)


def lines(file: io.BufferedIOBase) -> Iterator[bytes]:
    """Yield the lines of a file; one longer than MAX_LINE_BYTES is cut to a byte more: it is seen to be too long."""
    while line := file.readline(MAX_LINE_BYTES + 1):
        rest = line
        while len(rest) > MAX_LINE_BYTES and not rest.endswith(b"\n"):
            rest = file.readline(MAX_LINE_BYTES + 1)
        yield line


def seekable(file: io.BufferedIOBase) -> io.BufferedIOBase:
    """Return the file, or its content in memory where it cannot be read out of order (as Parquet must be)."""
    return file if file.seekable() else io.BytesIO(file.read())
