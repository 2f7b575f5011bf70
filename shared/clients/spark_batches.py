"""Batches on Google's Managed Service for Apache Spark, through Dataproc's REST API instead of its gRPC client.

https://cloud.google.com/dataproc-serverless/docs/reference/rest/v1/projects.locations.batches has the fields.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple
from uuid import NAMESPACE_URL, uuid5

from shared.errors import MissingSetting, Unavailable
from shared.settings import SparkBatches, settings

ADDRESS: Final = "https://dataproc.googleapis.com"
SCOPE: Final = "https://www.googleapis.com/auth/cloud-platform"
TIMEOUT_S: Final = 30.0
# Spark 4.0, Java 21, Python 3.12
RUNTIME: Final = "3.0"
# Seconds after which Google ends a batch; the allowed range is 10 minutes to 14 days.
BATCH_TTL_S: Final = 6 * 3600
# Of an executor. Each core runs one task, and Python needs most of the memory.
EXECUTOR_CORES: Final = 4
EXECUTOR_HEAP_GIB: Final = 6
EXECUTOR_OVERHEAD_GIB: Final = 18
# Path of the code in the image: jobs/spark/Dockerfile.
PROGRAM: Final = "file:///opt/aisle/jobs/spark/train.py"

# The firewall blocks machines with this tag from the database and the cache (terraform/spark.tf).
NETWORK_TAG: Final = "aisle-spark"

ENDED: Final = frozenset({"SUCCEEDED", "FAILED", "CANCELLED"})


# Statuses of the class 4xx with which Google asks to try again.
TEMPORARY: Final = frozenset({408, 429})


class BatchRefused(Unavailable):
    """Google refuses a request, and will until the configuration, or the caller's roles, have changed."""


class BatchState(NamedTuple):
    """``state`` is PENDING, RUNNING, CANCELLING or one of ENDED; ``message`` comes from Google and may be empty."""

    state: str
    message: str


def place() -> SparkBatches:
    """Return where batches run. Raises MissingSetting."""
    if (where := settings().spark_batches) is None:
        raise MissingSetting("Set the environment variable SPARK_BATCHES: docs/settings.md has its keys.")
    return where


def batch_body(arguments: Sequence[str], where: SparkBatches) -> dict[str, Any]:
    """Return the request body of a batch that runs the program with these arguments."""
    return {
        "labels": {"app": "aisle"},
        "pysparkBatch": {"mainPythonFileUri": PROGRAM, "args": list(arguments)},
        "runtimeConfig": {
            "version": RUNTIME,
            "containerImage": where.image,
            "properties": {
                "spark.executor.cores": str(EXECUTOR_CORES),
                "spark.executor.memory": f"{EXECUTOR_HEAP_GIB}g",
                "spark.executor.memoryOverhead": f"{EXECUTOR_OVERHEAD_GIB}g",
                "spark.dynamicAllocation.maxExecutors": str(where.max_executors),
            },
        },
        "environmentConfig": {
            "executionConfig": {
                "serviceAccount": where.service_account,
                "subnetworkUri": where.subnetwork,
                "networkTags": [NETWORK_TAG],
                "ttl": f"{BATCH_TTL_S}s",
            }
        },
    }


def create_batch(batch_id: str, body: Mapping[str, Any]) -> None:
    """Submit a batch. An existing id is not an error, since an earlier attempt submitted it.

    batch_id : 4 to 63 lower-case letters, digits and hyphens.

    Raises Unavailable, or BatchRefused if another attempt would be refused as well.
    """
    # Google answers a repeated request id, of at most 40 characters, with the first response.
    query = {"batchId": batch_id, "requestId": str(uuid5(NAMESPACE_URL, batch_id))}
    status, answer = _call("POST", "", query, body)
    if status not in (200, 409):
        raise _failure(status, f"Spark refuses the batch {batch_id} with status {status}: {_message(answer)}")


def read_batch(batch_id: str) -> BatchState | None:
    """Return the state of a batch, or None if there is no such batch. Raises Unavailable or BatchRefused."""
    status, answer = _call("GET", f"/{batch_id}")
    if status == 404:
        return None
    if status != 200:
        text = f"The state of the batch {batch_id} cannot be read, status {status}: {_message(answer)}"
        raise _failure(status, text)
    return BatchState(answer.get("state", "STATE_UNSPECIFIED"), answer.get("stateMessage", ""))


def _failure(status: int, text: str) -> Unavailable:
    return BatchRefused(text) if 400 <= status < 500 and status not in TEMPORARY else Unavailable(text)


def _message(answer: Mapping[str, Any]) -> str:
    return str(answer.get("error", {}).get("message", ""))[:500]


def _call(
    method: str, path: str, query: Mapping[str, str] | None = None, body: Mapping[str, Any] | None = None
) -> tuple[int, dict[str, Any]]:
    from google.auth.exceptions import GoogleAuthError
    from requests.exceptions import RequestException

    project, location = settings().require("google_cloud_project"), place().location
    emulator = settings().spark_emulator_host
    address = f"http://{emulator}" if emulator else ADDRESS
    url = f"{address}/v1/projects/{project}/locations/{location}/batches{path}"
    try:
        with _session(anonymous=emulator is not None) as session:
            response = session.request(method, url, params=query, json=body, timeout=TIMEOUT_S)
            answer = response.json() if response.content else {}
    except (RequestException, GoogleAuthError, ValueError) as error:
        raise Unavailable(f"Spark does not answer: {str(error)[:300]}") from error
    return response.status_code, answer if isinstance(answer, dict) else {}


def _session(*, anonymous: bool) -> Any:
    if anonymous:
        from requests import Session

        return Session()
    import google.auth
    from google.auth.transport.requests import AuthorizedSession

    credentials, _ = google.auth.default(scopes=[SCOPE])
    return AuthorizedSession(credentials)
