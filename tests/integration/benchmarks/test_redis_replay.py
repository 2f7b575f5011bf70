"""What is recorded on its way to Redis, and sent again to a primary with a replica."""

from collections.abc import Iterator

import hiredis
import pytest
from redis import Redis

from benchmarks import redis_replay
from benchmarks.redis_pair import Pair, pair
from benchmarks.redis_replay import Assembler, Recorded, Write, recording, replay, restore, snapshot
from local import valkey
from shared.clients import redis_sync
from shared.storage.answers import invalidation
from shared.storage.answers.protocol import generation_key, user_key
from tests.integration.conftest import settings_of


def command(*words: str | bytes) -> bytes:
    return bytes(hiredis.pack_command(words))  # type: ignore[arg-type]  # the stub allows pairs only


@pytest.fixture(scope="module")
def servers() -> Iterator[Pair]:
    with pair(valkey.program()) as running:
        yield running


@pytest.fixture(autouse=True)
def is_empty(servers: Pair) -> None:
    servers.redis.flushall()


def test_a_write_ends_where_a_command_ends() -> None:
    assembler = Assembler()
    both = command("GET", "a") + command("SET", "b", b"\r\n" * 3)
    assert assembler.feed(both[:30]) is None
    assert assembler.feed(both[30:]) == Write(both, 2)
    assert assembler.feed(command("GET", "a")) == Write(command("GET", "a"), 1)


def test_commands_that_open_a_connection_are_left_out() -> None:
    assembler = Assembler()
    opening = command("AUTH", "secret") + command("client", "SETINFO", "LIB-NAME", "x")
    assert assembler.feed(opening) is None
    assert assembler.feed(opening + command("GET", "a")) == Write(command("GET", "a"), 1)


def test_what_a_client_of_the_shop_wrote_does_the_same_elsewhere(env: dict[str, str], servers: Pair) -> None:
    with recording(env["REDIS_URL"]) as recorder, settings_of({"REDIS_URL": recorder.url}):
        servers.redis.hset(user_key("ann"), "k=10", "an answer")
        servers.redis.hset(user_key("bob"), "k=10", "an answer")
        # the first one opens the connection
        assert redis_sync.ping()
        recorder.take()
        assert invalidation.forget_users(["ann"])
        writes = recorder.take()
        stored = redis_sync.client().get(generation_key("ann"))
    assert [write.replies for write in writes] == [2]
    replay(servers, writes)
    assert stored is not None
    assert servers.redis.get(generation_key("ann")) == stored
    assert not servers.redis.exists(user_key("ann"))
    assert servers.redis.hget(user_key("bob"), "k=10") == b"an answer"


def test_every_write_is_sent_once(servers: Pair) -> None:
    replay(servers, [Write(command("INCR", "n") * 2, 2)] * (redis_replay.CONNECTIONS + 1))
    assert servers.redis.get("n") == b"%d" % (2 * redis_replay.CONNECTIONS + 2)
    replay(servers, [])
    assert servers.redis.get("n") == b"%d" % (2 * redis_replay.CONNECTIONS + 2)


def test_an_error_of_the_server_is_raised(servers: Pair) -> None:
    with pytest.raises(hiredis.ReplyError, match="wrong number of arguments"):
        replay(servers, [Write(command("GET"), 1)])


def test_a_snapshot_restores_values_and_the_time_they_live(servers: Pair) -> None:
    redis = servers.redis
    redis.set("text", b"\x00\xff", ex=100)
    redis.hset("hash", mapping={"a": "1", "b": b"\n"})
    redis.zadd("ranking", {"x": 1.25, "y": -3})
    state = snapshot(redis)
    redis.delete("hash")
    redis.set("text", "changed")
    redis.set("new", "value")
    restore(redis, state)
    assert set(redis.keys()) == {b"text", b"hash", b"ranking"}
    assert redis.get("text") == b"\x00\xff"
    assert 90 < redis.ttl("text") <= 100
    assert redis.hgetall("hash") == {b"a": b"1", b"b": b"\n"}
    assert redis.ttl("hash") == -1
    assert redis.zrange("ranking", 0, -1, withscores=True) == [(b"y", -3.0), (b"x", 1.25)]


def test_each_replay_begins_with_the_recorded_state_and_reaches_the_replica(servers: Pair) -> None:
    spent = Recorded(1, [(b"SET", b"n", b"5")], [Write(command("INCR", "n"), 1)]).busy_ms(servers)
    assert servers.redis.get("n") == b"6"
    assert spent > 0
    servers.wait_for_replica()
    replica = servers.redis.info("replication")["slave0"]
    with Redis(port=replica["port"], protocol=2) as client:
        assert client.get("n") == b"6"


def test_more_work_costs_more_and_none_costs_nothing(servers: Pair) -> None:
    small, large = (
        Recorded(100, [], [Write(command("SET", "key", b"x" * size), 1)] * 100).busy_ms(servers)
        for size in (10, 1_000_000)
    )
    assert large > 3 * small
    assert Recorded(100, [], []).busy_ms(servers) == 0
