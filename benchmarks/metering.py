"""What a served function and its services spend: processor time, and bytes between them."""

import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import psutil

from benchmarks.redis_pair import main_thread_s
from shared.clients import redis_sync


@dataclass(frozen=True)
class Spent:
    """Seconds of processor time, and bytes that went between the function and its services."""

    function: float
    postgres: float
    redis: float
    network: float

    def minus(self, before: "Spent") -> "Spent":
        """Return what was spent since ``before``."""
        return Spent(
            self.function - before.function,
            self.postgres - before.postgres,
            self.redis - before.redis,
            self.network - before.network,
        )


def family(pid: int) -> list[psutil.Process]:
    """Return a process and all its descendants."""
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]


def processor_s(processes: Iterable[psutil.Process]) -> float:
    """Return the processor time of processes, and of their children that have ended."""
    total = 0.0
    for process in processes:
        try:
            total += sum(process.cpu_times()[:4])
        except psutil.NoSuchProcess:
            # its parent counts it among those that have ended
            continue
    return total


def postgres_bytes(processes: Sequence[psutil.Process], port: int) -> float:
    """Return the bytes that these processes have sent to PostgreSQL and received, over connections that are open."""
    ours = {
        connection.laddr.port
        for process in processes
        for connection in process.net_connections("tcp")
        if connection.raddr and connection.raddr.port == port
    }
    listed = subprocess.run(
        ["ss", "-tinH", f"dport = :{port}"],  # part of every Linux; PATH says where
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    total = 0
    for address, counters in zip(listed[::2], listed[1::2], strict=True):
        if int(address.split()[3].rpartition(":")[2]) in ours:
            total += sum(
                int(word.partition(":")[2])
                for word in counters.split()
                if word.startswith(("bytes_sent:", "bytes_received:"))
            )
    return total


def redis_bytes() -> int:
    """Return the bytes that Redis has sent and received."""
    info = redis_sync.client().info("stats")
    return int(info["total_net_input_bytes"]) + int(info["total_net_output_bytes"])


class Meter:
    """Counts what a served function and its services spend."""

    def __init__(self, function: str, parts: Mapping[str, int], postgres_port: int) -> None:
        (server,) = [child for child in psutil.Process().children() if function in child.cmdline()]
        self.function, self.parts, self.port = server.pid, parts, postgres_port

    def spent(self) -> Spent:
        """Return what was spent so far."""
        function = family(self.function)
        return Spent(
            processor_s(function),
            processor_s(family(self.parts["PostgreSQL"])),
            main_thread_s(redis_sync.client()),
            postgres_bytes(function, self.port) + redis_bytes(),
        )
