"""The state folder of a local system: its lock, secrets, remembered ports, and what is running.

* ``state.json``  secrets and ports, kept (0600); its presence marks the folder as Aisle's
* ``run.json``    parts and settings of the running system (0600); gone when it is stopped
* ``lock``        held by the running system, with its process id and port
* ``loading``     there while a first load is unfinished, with the stage that was reached
* ``postgres/ valkey/ pubsub/ logs/``
"""

import contextlib
import errno
import fcntl
import json
import os
import secrets
import shutil
from pathlib import Path
from typing import Any

from local.errors import Refused
from local.processes import free_port, is_free

MARK = "an Aisle state folder"


def write_private(path: Path, content: dict[str, Any]) -> None:
    """Replace a file that only its owner may read, whole or not at all."""
    partial = path.with_name(path.name + ".new")
    with contextlib.suppress(FileNotFoundError):
        partial.unlink()
    with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(content, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a file; empty when there is none."""
    try:
        found = json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except PermissionError:
        raise Refused(
            f"{path} belongs to another user. Run as that user, or set AISLE_HOME to a folder of yours."
        ) from None
    except ValueError:
        raise Refused(f"{path} is damaged. Set AISLE_HOME to another folder, or delete {path.parent}.") from None
    return found if isinstance(found, dict) else {}


def is_state(home: Path) -> bool:
    """Whether the folder was made by Aisle."""
    return read_json(home / "state.json").get("this is") == MARK


class State:
    """An existing state folder."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._kept = read_json(home / "state.json")
        self._lock: int | None = None

    @classmethod
    def create(cls, home: Path) -> "State":
        """Open the folder, making it where it is missing.

        Raises Refused when it cannot be written or is somebody's folder with other things in it.
        """
        how = "Set AISLE_HOME to a folder that can be written."
        try:
            home.mkdir(parents=True, exist_ok=True, mode=0o711)
            if not is_state(home):
                if any(path.name != "lock" for path in home.iterdir()):
                    raise Refused(f"{home} has other things in it. Set AISLE_HOME to a new or empty folder.")
                write_private(home / "state.json", {"this is": MARK, "secrets": {}, "ports": {}})
            # even where the folder existed before
            probe = home / ".writable"
            probe.touch()
            probe.unlink()
        except (FileExistsError, NotADirectoryError):
            raise Refused(f"The state folder {home} is not a folder. {how}") from None
        except OSError as error:
            raise Refused(f"The state folder {home} cannot be written: {error.strerror}. {how}") from None
        return cls(home)

    def lock(self, port: int | None = None) -> None:
        """Hold the folder until this process ends. Raises Refused when a living system holds it."""
        handle = os.open(self.home / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(handle)
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
            raise Refused(living(self.home)) from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, json.dumps({"pid": os.getpid(), "port": port}).encode(), 0)
        self._lock = handle

    def unlock(self) -> None:
        """Give the folder back."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def secret(self, name: str) -> str:
        """Return a random secret, the same every time."""
        kept: dict[str, str] = self._kept.setdefault("secrets", {})
        if name not in kept:
            kept[name] = secrets.token_urlsafe(24)
            self.save()
        return kept[name]

    def port(self, name: str) -> int:
        """Return the port that the part had before, if it is free, otherwise a free one, and remember it."""
        kept: dict[str, int] = self._kept.setdefault("ports", {})
        taken = {port for part, port in kept.items() if part != name}
        if name not in kept or not is_free(kept[name]):
            while (port := free_port()) in taken:
                pass
            self.remember_port(name, port)
        return kept[name]

    def remember_port(self, name: str, port: int) -> None:
        """Ask for this port again next time."""
        self._kept.setdefault("ports", {})[name] = port
        self.save()

    @property
    def elsewhere(self) -> Path | None:
        """The folder outside that holds what cannot be inside; see postgres.py."""
        kept = self._kept.get("elsewhere")
        return Path(kept) if kept else None

    def remember_elsewhere(self, folder: Path) -> None:
        """Note a folder that belongs to this one."""
        self._kept["elsewhere"] = str(folder)
        self.save()

    @property
    def prepared(self) -> str:
        """The migrations that the embedded database is known to have been through."""
        return str(self._kept.get("prepared", ""))

    def remember_prepared(self, migrations: str) -> None:
        """Note that the embedded database has been through these migrations."""
        if migrations != self.prepared:
            self._kept["prepared"] = migrations
            self.save()

    def save(self) -> None:
        """Write what is kept."""
        write_private(self.home / "state.json", self._kept)

    def delete(self) -> None:
        """Delete the state: only what Aisle made, and the folder if nothing else is in it."""
        if self.elsewhere is not None and self.elsewhere.name.startswith("aisle-"):
            shutil.rmtree(self.elsewhere, ignore_errors=True)
        for name in ("postgres", "postgres.new", "valkey", "pubsub", "logs"):
            shutil.rmtree(self.home / name, ignore_errors=True)
        for name in ("run.json", "loading", "lock", "state.json"):
            with contextlib.suppress(FileNotFoundError):
                (self.home / name).unlink()
        with contextlib.suppress(OSError):
            self.home.rmdir()


def holder(home: Path) -> dict[str, Any]:
    """Return process id and port of the system that holds the folder; empty when none does."""
    try:
        handle = os.open(home / "lock", os.O_RDWR)
    except OSError:
        return {}
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        content = os.pread(handle, 4096, 0)
        try:
            found = json.loads(content)
        except ValueError:
            found = {}
        return {"pid": found.get("pid"), "port": found.get("port")}
    finally:
        os.close(handle)
    return {}


def living(home: Path) -> str:
    """Return the message that names the living system and how to go on."""
    found = holder(home)
    where = f"http://localhost:{found['port']}" if found.get("port") else "not serving yet"
    return (
        f"Aisle is running already on {home} (process {found.get('pid', 'unknown')}, {where}). "
        "Use it, stop it with Ctrl-C, or set AISLE_HOME and AISLE_PORT to run another beside it."
    )
