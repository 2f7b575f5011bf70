"""Write files to a shop's storage: ``gs://``, ``s3://`` or, on a developer's machine, a local folder.

Endpoints and credentials are those of the cloud providers' clients, as for shared/clients/sources.py.
"""

import os
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any, Final
from urllib.parse import urlsplit

from shared.errors import InvalidRequest
from shared.settings import settings

REMOTE: Final = ("gs", "s3")
# Suffix of a local file's name until it is complete.
UNFINISHED: Final = ".part"


class Folder:
    """A folder whose files are written atomically.

    Raises InvalidRequest for an address that this environment does not write to, and whenever the folder cannot be
    read or written.
    """

    def __init__(self, address: str) -> None:
        os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
        import fsspec

        scheme = urlsplit(address).scheme if "://" in address else "file"
        allowed = REMOTE + (("file",) if settings().environment == "local" else ())
        # `::` would chain file systems and so bypass this list.
        if "::" in address or scheme not in allowed:
            names = ", ".join(f"{name}://" for name in allowed)
            raise InvalidRequest(f"destination: must begin with one of {names}; got {address[:200]!r}.")
        if scheme == "file" and not address.removeprefix("file://").startswith("/"):
            raise InvalidRequest(f"destination: a folder needs its absolute path; got {address[:200]!r}.")
        self.address: Final = address.rstrip("/")
        self.is_local = scheme == "file"
        self._files, self._path = self._tried(lambda: fsspec.core.url_to_fs(self.address))

    def names(self) -> list[str]:
        """Return the sorted names of the files in the folder; empty if the folder does not exist yet."""

        def listed() -> list[str]:
            self._files.invalidate_cache()
            if not self._files.exists(self._path):
                return []
            return sorted(PurePosixPath(path).name for path in self._files.ls(self._path, detail=False))

        names: list[str] = self._tried(listed)
        return names

    def write(self, name: str, content: bytes) -> None:
        """Write a file, or replace it."""
        path = f"{self._path}/{name}"

        def write() -> None:
            if not self.is_local:
                # An object becomes visible only once it is complete.
                self._files.pipe_file(path, content)
                return
            self._files.makedirs(self._path, exist_ok=True)
            self._files.pipe_file(f"{path}{UNFINISHED}", content)
            os.replace(f"{path}{UNFINISHED}", path)

        self._tried(write)

    def read(self, name: str) -> bytes:
        """Return a file's content."""
        content: bytes = self._tried(lambda: self._files.cat_file(f"{self._path}/{name}"))
        return content

    def remove(self, name: str) -> None:
        """Delete a file."""
        self._tried(lambda: self._files.rm_file(f"{self._path}/{name}"))

    def _tried(self, work: Callable[[], Any]) -> Any:
        try:
            return work()
        except Exception as error:  # every client has its own exception hierarchy
            reason = (str(error).splitlines() or [""])[0][:300] or type(error).__name__
            raise InvalidRequest(f"destination: {self.address} cannot be used: {reason}.") from error
