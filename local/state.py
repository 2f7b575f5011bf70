"""The state folder of a local system: its lock, secrets, ports, and the description of the running system.

* ``state.json``  secrets and ports (0600); its presence marks the folder as Aisle's
* ``run.json``    parts and settings of the running system (0600); deleted when it stops
* ``lock``        held by the running system; contains its process id and port
* ``first-login.json``  login of the first admin until `up` has printed it (0600)
* ``loading``     exists while the first jobs of a load are due
* ``postgres/ valkey/ pubsub/ logs/``
* ``mail/``       the mails that were sent, a file each (0600)
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
    """Replace a file atomically, readable by its owner only."""
    partial = path.with_name(path.name + ".new")
    with contextlib.suppress(FileNotFoundError):
        partial.unlink()
    with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(content, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def read_json(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file; an empty one if the file does not exist. Raises Refused."""
    try:
        content = json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except PermissionError:
        raise Refused(
            f"{path} belongs to another user. Run as that user, or set AISLE_HOME to a folder of yours."
        ) from None
    except ValueError:
        raise Refused(f"{path} is damaged. Set AISLE_HOME to another folder, or delete {path.parent}.") from None
    return content if isinstance(content, dict) else {}


def is_state(home: Path) -> bool:
    """Return whether Aisle created the folder."""
    return read_json(home / "state.json").get("this is") == MARK


class State:
    """An existing state folder."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._saved = read_json(home / "state.json")
        self._lock: int | None = None

    @classmethod
    def create(cls, home: Path) -> "State":
        """Open the folder; create it if it does not exist.

        Raises Refused if it cannot be written, or holds files that are not Aisle's.
        """
        remedy = "Set AISLE_HOME to a folder that you can write."
        try:
            home.mkdir(parents=True, exist_ok=True, mode=0o711)
            if not is_state(home):
                if any(path.name != "lock" for path in home.iterdir()):
                    raise Refused(f"{home} holds files that are not Aisle's. Set AISLE_HOME to a new or empty folder.")
                write_private(home / "state.json", {"this is": MARK, "secrets": {}, "ports": {}})
            # an existing folder may be read-only
            probe = home / ".writable"
            probe.touch()
            probe.unlink()
        except (FileExistsError, NotADirectoryError):
            raise Refused(f"The state folder {home} is not a folder. {remedy}") from None
        except OSError as error:
            raise Refused(f"The state folder {home} cannot be written: {error.strerror}. {remedy}") from None
        return cls(home)

    def lock(self, port: int | None = None) -> None:
        """Hold the folder until this process ends. Raises Refused if a running system holds it."""
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
        """Release the folder."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def secret(self, name: str) -> str:
        """Return a random secret, which is created on first use and then stays the same."""
        values: dict[str, str] = self._saved.setdefault("secrets", {})
        if name not in values:
            values[name] = secrets.token_urlsafe(24)
            self.save()
        return values[name]

    def port(self, name: str) -> int:
        """Return the part's port of its last run if that is still free, otherwise another free one, and save it."""
        ports: dict[str, int] = self._saved.setdefault("ports", {})
        reserved = {port for part, port in ports.items() if part != name}
        if name not in ports or not is_free(ports[name]):
            while (port := free_port()) in reserved:
                pass
            self.remember_port(name, port)
        return ports[name]

    def remember_port(self, name: str, port: int) -> None:
        """Save this port for the part's next run."""
        self._saved.setdefault("ports", {})[name] = port
        self.save()

    @property
    def elsewhere(self) -> Path | None:
        """The folder outside of this one that holds the database where it cannot lie inside; see postgres.py."""
        folder = self._saved.get("elsewhere")
        return Path(folder) if folder else None

    def remember_elsewhere(self, folder: Path) -> None:
        """Save the folder that belongs to this one."""
        self._saved["elsewhere"] = str(folder)
        self.save()

    @property
    def prepared(self) -> str:
        """The migrations that have been applied to the embedded database, as far as is known."""
        return str(self._saved.get("prepared", ""))

    def remember_prepared(self, migrations: str) -> None:
        """Save which migrations have been applied to the embedded database."""
        if migrations != self.prepared:
            self._saved["prepared"] = migrations
            self.save()

    def save(self) -> None:
        """Write state.json."""
        write_private(self.home / "state.json", self._saved)

    def delete(self) -> None:
        """Delete Aisle's files, and the folder if it is then empty."""
        if self.elsewhere is not None and self.elsewhere.name.startswith("aisle-"):
            shutil.rmtree(self.elsewhere, ignore_errors=True)
        for name in ("postgres", "postgres.new", "valkey", "pubsub", "telemetry", "mail", "logs"):
            shutil.rmtree(self.home / name, ignore_errors=True)
        for name in ("run.json", "loading", "first-login.json", "lock", "state.json"):
            with contextlib.suppress(FileNotFoundError):
                (self.home / name).unlink()
        with contextlib.suppress(OSError):
            self.home.rmdir()


def holder(home: Path) -> dict[str, Any]:
    """Return process id and port of the system that holds the folder; empty if none does."""
    try:
        handle = os.open(home / "lock", os.O_RDWR)
    except OSError:
        return {}
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        content = os.pread(handle, 4096, 0)
        try:
            owner = json.loads(content)
        except ValueError:
            owner = {}
        return {"pid": owner.get("pid"), "port": owner.get("port")}
    finally:
        os.close(handle)
    return {}


def living(home: Path) -> str:
    """Return a message that names the running system and says what to do."""
    owner = holder(home)
    url = f"http://localhost:{owner['port']}" if owner.get("port") else "not serving yet"
    return (
        f"Aisle is already running on {home} (process {owner.get('pid', 'unknown')}, {url}). "
        "Use it, stop it with Ctrl-C, or set AISLE_HOME and AISLE_PORT to run another system beside it."
    )
