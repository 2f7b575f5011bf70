"""What all jobs share: parameters from the request, one run at a time, a row in ``job_runs``, a JSON response."""

import functools
import inspect
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import functions_framework
import orjson
from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError

from shared import logs
from shared.clients import postgres, postgres_engine
from shared.errors import AppError, JobRunning, MalformedBody, Unavailable
from shared.storage.operations import job_runs
from shared.storage.schema import advisory_locks, presence
from shared.telemetry import metrics, spans
from shared.validation import validation_problem

log = logging.getLogger(__name__)

PROBLEM = "application/problem+json"
# what concurrent.futures says once the interpreter is ending
NO_THREADS: Final = "cannot schedule new futures after"


class Parameters(BaseModel):
    """Base of a job's parameters, the JSON body of the request that runs it. Unknown parameters are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


P = TypeVar("P", bound=Parameters)


@contextmanager
def one_at_a_time(name: str) -> Iterator[None]:
    """Hold the job's advisory lock, which Postgres releases if the run dies.

    Raises JobRunning if it is taken, and DatabaseUnavailable if Postgres is unreachable or cannot serve.
    """
    connected = False
    try:
        with postgres_engine.engine().connect() as connection:
            connected = True
            driver = connection.connection.dbapi_connection
            key = {"space": advisory_locks.JOBS, "name": name}
            if not postgres.execute(connection, "SELECT pg_try_advisory_lock(:space, hashtext(:name))", key)[0][0]:
                raise JobRunning(f"{name} is running already; wait for it to end.")
            try:
                yield
            finally:
                if driver is connection.connection.dbapi_connection:
                    _unlock(connection, key)
    except Exception as error:
        if (away := postgres.explained(error, connected=connected)) is None:
            raise
        raise away from error


def _unlock(connection: postgres.Connection, key: Mapping[str, Any]) -> None:
    try:
        postgres.execute(connection, "SELECT pg_advisory_unlock(:space, hashtext(:name))", key)
    except Exception as error:  # noqa: BLE001 — the outcome of the job is known, and stays what it is
        log.warning("job lock not released", extra={"error": type(error).__name__})
        # Postgres releases the lock when the session ends.
        connection.invalidate()


def run_job(name: str, work: Callable[[P], dict[str, Any]], parameters: P) -> dict[str, Any]:
    """Run ``work`` unless the job is already running, record it in ``job_runs``, and return its result and duration.

    A SecretStr in the result is for the caller only: it is neither stored in ``job_runs`` nor logged.
    """
    with one_at_a_time(name):
        run_id = job_runs.begin(name)
        started = time.perf_counter()
        outcome = "failed"
        try:
            result = work(parameters)
            outcome = "succeeded"
        except Exception as error:
            detail = error.detail if isinstance(error, AppError) else f"{type(error).__name__}: {error}"
            try:
                if run_id is not None:
                    job_runs.end(run_id, "failed", {"error": detail[:2000]})
            except AppError:
                log.warning("job_runs not written", extra={"job": name})
            raise
        finally:
            seconds = time.perf_counter() - started
            metrics.record(metrics.JOB_DURATION, seconds, {spans.FUNCTION: name, "aisle.outcome": outcome})
        result = {"job": name, **result, "seconds": round(seconds, 3)}
        public = {key: value for key, value in result.items() if not isinstance(value, SecretStr)}
        if run_id is not None:
            job_runs.end(run_id, "succeeded", public)
        log.info("job done", extra={"job": name, "result": public})
        return {
            key: value.get_secret_value() if isinstance(value, SecretStr) else value for key, value in result.items()
        }


def job(work: Callable[[P], dict[str, Any]]) -> Any:
    """Turn a function of parameters into the HTTP entry point that Cloud Scheduler calls.

    The JSON body, which may be empty, has the parameters; the response has the result. Rejected requests and failures
    are answered with a problem document (RFC 9457); Cloud Scheduler retries any status other than 2xx.
    ``entry.run(parameters)`` runs the job without HTTP, and ``entry.parameters`` is the parameters' model.
    """
    name = work.__name__
    model: type[P] = next(iter(inspect.signature(work, eval_str=True).parameters.values())).annotation

    @functools.wraps(work)
    def entry(request: Any) -> Any:
        logs.configure()
        traceparent = request.headers.get("traceparent")
        with (
            logs.fields(job=name, **logs.trace_fields(traceparent)),
            spans.span(f"job {name}", "server", {spans.FUNCTION: name}, traceparent=traceparent) as span,
        ):
            try:
                try:
                    parameters = model.model_validate(orjson.loads(request.get_data() or b"{}"))
                except orjson.JSONDecodeError as error:
                    raise MalformedBody(f"The body is not valid JSON: {error}.") from None
                except ValidationError as error:
                    raise validation_problem(error) from None
                return _answer(run_job(name, work, parameters), 200, "application/json")
            except AppError as error:
                span.fail(error.title)
                if error.status >= 500:
                    log.exception("job failed")
                return _answer(error.problem() | {"instance": request.path}, error.status, PROBLEM, error.headers)
            except Exception as error:
                if (explained := _interruption(name, error) or presence.explanation(error)) is not None:
                    span.fail(explained.title)
                    # Cloud Scheduler calls jobs from the first deployment on; alerting on those calls would be useless.
                    if explained.status >= 500:
                        log.exception("job failed", extra={"reason": explained.detail})
                    problem = explained.problem() | {"instance": request.path}
                    return _answer(problem, explained.status, PROBLEM, explained.headers)
                span.fail(type(error).__name__)
                log.exception("job failed")
                problem = AppError(f"{type(error).__name__}: the error was logged.").problem()
                return _answer(problem | {"instance": request.path}, 500, PROBLEM)
            finally:
                span.end()
                span.flush()
                metrics.flush()

    entry.run = functools.partial(run_job, name, work)  # type: ignore[attr-defined]  # an entry point is a function
    entry.parameters = model  # type: ignore[attr-defined]  # as above
    del entry.__wrapped__  # the signature is that of a request, not of the parameters
    return functions_framework.http(entry)


def _interruption(name: str, error: Exception) -> AppError | None:
    """Return the problem of a job whose process is ending; None for any other error."""
    if isinstance(error, RuntimeError) and str(error).startswith(NO_THREADS):
        return Unavailable(f"The process of {name} ended before the job did; run the job again.", retry_after_s=10)
    return None


def _answer(
    body: dict[str, Any], status: int, media_type: str, headers: Mapping[str, str] | None = None
) -> tuple[bytes, int, dict[str, str]]:
    return orjson.dumps(body, default=str), status, {**(headers or {}), "Content-Type": media_type}


def progress(message: str, **values: Any) -> None:
    """Log the progress of a long job."""
    log.info(message, extra={"progress": values})
