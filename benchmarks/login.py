"""Login: 16 clients, each request with another account, compared with the password hashes alone on the same machine."""

import time
from concurrent.futures import ThreadPoolExecutor

import orjson

from benchmarks.frame import RUNS, Bench, Row, median
from benchmarks.load import load, post
from shared import passwords
from shared.clients.postgres import write

CLIENTS = 16
LOGINS = 96
PASSWORD = "a plum in the rain"  # noqa: S105 — its accounts exist during the benchmark only

FILL = """
INSERT INTO users (external_id, is_anonymous, email, password_hash)
SELECT 'acct_bench' || n, false, 'bench' || n || '@example.com', :password_hash
FROM generate_series(0, cast(:logins AS integer) - 1) AS n"""


def bare_hashes(stored: str) -> float:
    """Return how many passwords are verified per second, from CLIENTS threads."""
    begun = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as pool:
        if not all(pool.map(lambda _number: passwords.verify(stored, PASSWORD), range(LOGINS))):
            raise RuntimeError("a password was not verified")
    return LOGINS / (time.perf_counter() - begun)


def rows(bench: Bench) -> list[Row]:
    """Log in and receive tokens. The cost of a login is argon2, by design."""
    stored = passwords.hash_password(PASSWORD)
    write(FILL, password_hash=stored, logins=LOGINS)
    requests = [
        post("/auth/login", orjson.dumps({"email": f"bench{number}@example.com", "password": PASSWORD}))
        for number in range(LOGINS)
    ]
    rates, p50s, p95s, alone = [], [], [], []
    # 16 clients of one address would have the share of one (shared/gates.py)
    with bench.serving("accounts", RATE_LIMIT_PER_MINUTE="0") as url:
        load(url, requests[:CLIENTS], connections=CLIENTS)
        for _ in range(RUNS):
            alone.append(bare_hashes(stored))
            measured = load(url, requests, connections=CLIENTS)
            if measured.failures:
                raise RuntimeError(f"{measured.failures} logins failed")
            rates.append(measured.per_second)
            p50s.append(measured.percentile(0.5))
            p95s.append(measured.percentile(0.95))
    parameters = (
        f"argon2id, m = {passwords.MEMORY_KIB // 1024} MiB, t = {passwords.TIME_COST}, p = {passwords.PARALLELISM}"
    )
    return [
        Row("login, one process", median(rates), "logins/s", note=f"{CLIENTS} clients; {parameters}"),
        Row("… against argon2 alone", median(rates) / median(alone), "×", note=f"{median(alone):,.0f}/s"),
        Row("… p50", median(p50s), "ms"),
        Row("… p95", median(p95s), "ms"),
    ]
