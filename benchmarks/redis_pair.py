"""A primary of Redis with a replica, as Memorystore's tier STANDARD_HA has them, and TLS if the program has it."""

import ssl
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from local.processes import free_port

START_S: Final = 30
MAIN_THREAD: Final = ("used_cpu_user_main_thread", "used_cpu_sys_main_thread")


def main_thread_s(redis: Any) -> float:
    """Return the processor time of a server's main thread, by its own count, whose unit is a microsecond."""
    info = redis.info("cpu")
    return sum(float(info[name]) for name in MAIN_THREAD)


@dataclass(frozen=True)
class Pair:
    """The running primary: ``tls_port`` and ``certificate`` are those of TLS, if the program has it."""

    port: int
    redis: Any
    tls_port: int = 0
    certificate: Path | None = None

    def context(self) -> ssl.SSLContext:
        """Return what a client needs for TLS: as Memorystore's, the certificate names no host."""
        context = ssl.create_default_context(cafile=self.certificate)
        context.check_hostname = False
        return context

    def wait_for_replica(self) -> None:
        """Wait until the replica has everything that the primary has. Raises TimeoutError after START_S."""
        if not self.redis.wait(1, START_S * 1000):
            raise TimeoutError("the replica of Redis does not follow")


def self_signed(folder: Path) -> tuple[Path, Path]:
    """Write a certificate and its key, and return their paths."""
    import datetime

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.x509.oid import NameOID

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "redis")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = folder / "certificate.pem", folder / "key.pem"
    files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return files


@contextmanager
def server(program: Path, folder: Path, port: int, options: Sequence[str] = ()) -> Iterator[Any]:
    """Run a server on the loopback interface, configured like Memorystore, and yield a client of it."""
    from redis import Redis
    from redis.exceptions import ConnectionError as RedisConnectionError

    folder.mkdir()
    command = [str(program), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", ""]
    command += ["--maxmemory", "1gb", "--maxmemory-policy", "allkeys-lru", *options]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        with Redis(port=port, protocol=2) as client:
            deadline = time.monotonic() + START_S
            while True:
                with suppress(RedisConnectionError):
                    client.ping()
                    break
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{program} did not start:\n{(folder / 'log').read_text()[-2000:]}")
                time.sleep(0.05)
            yield client
    finally:
        process.terminate()
        process.wait(60)


@contextmanager
def pair(program: Path, *, tls: bool = False) -> Iterator[Pair]:
    """Run a primary with a replica that follows it; with ``tls``, the primary has a second port with TLS."""
    with tempfile.TemporaryDirectory(prefix="aisle-redis-") as name:
        folder = Path(name)
        port, tls_port, certificate, options = free_port(), 0, None, ["--repl-diskless-sync-delay", "0"]
        if tls:
            tls_port = free_port()
            certificate, key = self_signed(folder)
            options += ["--tls-port", str(tls_port), "--tls-cert-file", str(certificate), "--tls-key-file", str(key)]
            options += ["--tls-ca-cert-file", str(certificate), "--tls-auth-clients", "no"]
        with (
            server(program, folder / "primary", port, options) as primary,
            # Google encrypts what replicas receive in the network, and not in Redis
            server(program, folder / "replica", free_port(), ["--replicaof", "127.0.0.1", str(port)]),
        ):
            running = Pair(port, primary, tls_port, certificate)
            running.wait_for_replica()
            yield running
