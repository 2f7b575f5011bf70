"""Promises beyond those of Google's emulator: no accepted message is lost, and the server starts and stops cleanly."""

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from google.api_core import exceptions

from local.pubsub import PubSubServer, StartError
from tests.integration.local.pubsub.client import Client, Endpoint, wait_until
from tests.integration.local.pubsub.conftest import REPOSITORY, Process


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-m", "local.pubsub", *arguments]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=20, check=False)


def test_kill_nine_under_load_loses_no_accepted_message(server: Process) -> None:
    accepted: set[str] = set()
    stopping = threading.Event()
    with Client(server.address, "crash") as client:
        topic = client.topic()
        subscription = client.subscription(topic)

        def publish(worker: int) -> None:
            for n in range(100_000):
                name = f"{worker}-{n}"
                try:
                    client.publish(topic, name.encode())
                except exceptions.GoogleAPICallError:
                    if stopping.is_set():
                        return
                else:
                    accepted.add(name)

        workers = [threading.Thread(target=publish, args=(n,)) for n in range(8)]
        for worker in workers:
            worker.start()
        wait_until(lambda: len(accepted) > 500, awaited="some load")
        stopping.set()
        server.kill()
        for worker in workers:
            worker.join()

    server.start()
    with Client(server.address, "crash") as client:
        delivered: set[str] = set()
        while batch := client.pull(subscription, 1000, wait_s=0.5):
            delivered.update(received.message.data.decode() for received in batch)
            client.acknowledge(subscription, batch)
    assert accepted <= delivered


def test_everything_about_a_subscription_survives_a_kill(server: Process) -> None:
    with Client(server.address, "crash") as client:
        topic, dead = client.topic(labels={"a": "b"}), client.topic("dead")
        policy = {"dead_letter_topic": dead, "max_delivery_attempts": 5}
        subscription = client.subscription(
            topic, enable_message_ordering=True, filter="attributes:keep", dead_letter_policy=policy
        )
        graveyard = client.subscription(dead, "graveyard")
        messages = [{"data": name, "attributes": {"keep": ""}, "ordering_key": "k"} for name in (b"1", b"2", b"3")]
        ids = client.publish(topic, *messages)
        received = client.pull(subscription)
        client.acknowledge(subscription, received[:1])
        for _ in range(2):
            client.nack(subscription, received[-2:])
            received = client.pull(subscription)
        time.sleep(0.2)  # acknowledgements and attempts reach the disk within 50 ms
        server.kill()
    server.start()
    with Client(server.address, "crash") as client:
        redelivered = client.pull(subscription)
        assert [r.message.message_id for r in redelivered] == ids[1:]
        assert redelivered[0].delivery_attempt == 3
        assert client.publisher.get_topic(topic=topic).labels == {"a": "b"}
        client.publish(topic, b"filtered out")
        for _ in range(3):
            client.nack(subscription, redelivered[:1])
            redelivered = client.pull(subscription, wait_s=0.5)
        assert client.pull(graveyard)[0].message.data == b"2"


def test_a_push_continues_after_a_restart(server: Process) -> None:
    with Endpoint() as endpoint:
        endpoint.status = 503
        with Client(server.address, "crash") as client:
            topic = client.topic()
            client.subscription(topic, push_config={"push_endpoint": endpoint.url})
            client.publish(topic, b"x")
            endpoint.wait_for(1)
            server.kill()
            endpoint.status = 200
            posts = len(endpoint.posts)
            server.start()
            endpoint.wait_for(posts + 1)


def test_ids_of_an_earlier_run_are_never_given_to_new_messages(server: Process) -> None:
    with Client(server.address, "crash") as client:
        topic = client.topic()
        subscription = client.subscription(topic)
        before = client.publish(topic, b"x")
        received = client.pull(subscription)
        client.acknowledge(subscription, received)
        assert server.stop() == 0
        server.start()
    with Client(server.address, "crash") as client:
        after = client.publish(topic, b"y")
        assert int(after[0]) > int(before[0])
        redelivered = client.pull(subscription)
        client.acknowledge(subscription, received)  # the old ack id means nothing now
        client.nack(subscription, redelivered)
        assert [r.message.data for r in client.pull(subscription)] == [b"y"]


@pytest.mark.parametrize("with_signal", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly_even_with_an_open_stream(server: Process, with_signal: signal.Signals) -> None:
    with Client(server.address, "crash") as client:
        subscription = client.subscription(client.topic())
        with client.stream(subscription) as stream:
            time.sleep(0.1)
            assert server.stop(with_signal) == 0
            wait_until(lambda: stream.error, awaited="the stream's end")


def test_a_port_in_use_is_one_line_and_exit_code_2() -> None:
    with socket.create_server(("127.0.0.1", 0)) as occupied:
        ended = run("--port", str(occupied.getsockname()[1]))
    assert ended.returncode == 2
    assert ended.stdout == ""
    (line,) = ended.stderr.splitlines()
    assert "cannot listen" in json.loads(line)["message"]


def test_a_state_file_in_use_or_not_ours_is_one_line_and_exit_code_2(server: Process, tmp_path: Path) -> None:
    nonsense = tmp_path / "nonsense.db"
    nonsense.write_bytes(b"this is no database, but it is long enough to be looked at" * 20)
    for state in (server.state, nonsense):
        ended = run("--port", "0", "--state", str(state))
        assert ended.returncode == 2
        assert len(ended.stderr.splitlines()) == 1


def test_it_says_where_it_listens() -> None:
    command = [sys.executable, "-m", "local.pubsub", "--port", "0"]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        ready: dict[str, Any] = json.loads(process.stdout.readline())
        assert ready["address"].startswith("127.0.0.1:")
        process.terminate()
        assert process.wait(timeout=10) == 0


def test_it_runs_inside_a_test_process_and_stops_twice(tmp_path: Path) -> None:
    state = tmp_path / "folder" / "pubsub.db"
    for n in range(2):
        with PubSubServer(state_path=state) as server, Client(server.address, "inside") as client:
            if n == 0:
                client.publish(_topic_with_subscription(client), b"kept")
            else:
                received = client.pull("projects/inside/subscriptions/worker")
                assert [r.message.data for r in received] == [b"kept"]
        server.stop()
    with PubSubServer(port=0) as first, pytest.raises(StartError, match="cannot listen"):
        PubSubServer(port=int(first.address.rpartition(":")[2])).start()


def _topic_with_subscription(client: Client) -> str:
    topic = client.topic()
    client.subscription(topic)
    return topic
