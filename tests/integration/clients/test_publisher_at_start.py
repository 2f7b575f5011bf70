"""A function that publishes connects to Pub/Sub when it starts, before its first event; another function does not."""

import os
import subprocess
import time
from pathlib import Path

import httpx
import psutil
import pytest

from benchmarks.frame import command
from local.places import ROOT
from local.processes import free_port


def is_connected(process: psutil.Process, port: int) -> bool:
    """Whether one of the function's processes has a connection to a port of this machine."""
    for each in (process, *process.children(recursive=True)):
        try:
            connections = each.net_connections("tcp")
        except psutil.Error:
            # it ends or starts just now
            continue
        if any(one.raddr and one.raddr.port == port and one.status == "ESTABLISHED" for one in connections):
            return True
    return False


@pytest.mark.parametrize(("target", "publishes"), [("events", True), ("collect", True), ("products", False)])
def test_a_function_of_events_is_connected_before_its_first_one(
    env: dict[str, str], tmp_path: Path, target: str, *, publishes: bool
) -> None:
    port, pubsub_port = free_port(), int(env["PUBSUB_EMULATOR_HOST"].rpartition(":")[2])
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            command(target, ROOT / "main.py", port), env=os.environ | env, stdout=log, stderr=log
        )
        try:
            server = psutil.Process(process.pid)
            deadline = time.monotonic() + 60
            # a path that needs nothing
            while not serves(f"http://127.0.0.1:{port}/nowhere"):
                assert time.monotonic() < deadline, (tmp_path / "log").read_text()
                time.sleep(0.1)
            if publishes:
                while not is_connected(server, pubsub_port):
                    assert time.monotonic() < deadline, (tmp_path / "log").read_text()
                    time.sleep(0.1)
            else:
                # long enough for the others, which connect within a second of an idle machine
                time.sleep(2)
                assert not is_connected(server, pubsub_port)
        finally:
            process.terminate()
            process.wait(20)


def serves(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == 404
    except httpx.TransportError:
        return False
