"""Running jobs of the running system by their URL, as Cloud Scheduler does."""

from typing import Any

from delivery import http
from local.errors import CommandError
from shared.manifest import Manifest

# After a first load, in this order, since each builds on the ones before; all other jobs wait for their schedules.
# Similarity is cut short: its schedule gives it ten minutes to tune, which is too long for a first look. The budget is
# predicted cost, so that every machine publishes the same model of the same data, however busy it is.
FIRST_JOBS: dict[str, dict[str, Any]] = {
    "trending": {},
    "popular": {},
    "similarity": {"time_budget_s": 20},
    "bought_together": {},
    "segments": {},
    "daily_stats": {},
}


def first_jobs(deployed: Manifest) -> dict[str, dict[str, Any]]:
    """Return the jobs that make a freshly loaded shop complete, with their parameters, in the order to run them."""
    names = {entry.name for entry in deployed.of_kind("job")}
    return {name: parameters for name, parameters in FIRST_JOBS.items() if name in names}


def run(url: str, name: str, parameters: dict[str, Any], token: str) -> tuple[int, dict[str, Any]]:
    """Run a job and return its status and answer; see ``local/worker.py`` for the tokens.

    Raises CommandError when nothing answers at ``url``.
    """
    headers = {"Authorization": f"Bearer {token}"}
    try:
        # no time-out: a job may take as long as it needs
        answer = http.post(f"{url}/{name}", parameters, headers=headers, timeout_s=None)
    except http.NoAnswer as error:
        raise CommandError(
            f"Job {name}: no answer from {url} ({error}). Run ./aisle status to see which part has stopped."
        ) from None
    try:
        content = answer.json()
    except ValueError:
        content = {"detail": answer.text()}
    return answer.status, content if isinstance(content, dict) else {"answer": content}


def outcome(answer: dict[str, Any]) -> str:
    """Return what the answer of a job says about the model that it chose; "" for a job that chooses none.

    The model stands beside the algorithms that it was chosen against, so that one that is worth little is seen. A
    default that nothing was compared with, and a choice that was aborted, are warnings.
    """
    if answer.get("outcome") == "kept":
        return f"; kept the active model: {answer.get('reason')}{drift(answer)}"
    if "algorithm" not in answer:
        return ""
    chosen, score = answer["algorithm"], answer.get("ndcg@20")
    others = {
        trial["algorithm"]: trial["ndcg@20"]
        for trial in answer.get("candidates", ())
        if trial["ndcg@20"] is not None and trial["algorithm"] != chosen
    }
    text = f"; published {chosen}, {answer.get('why')}"
    if score is not None:
        text += f"; NDCG@20: {chosen} {score:.3f}"
        if others:
            text += f" against {', '.join(f'{name} {value:.3f}' for name, value in others.items())}"
    text += drift(answer)
    warnings = []
    if score is None and not str(answer.get("why")).startswith("the parameters of version"):
        warnings.append(f"WARNING: {chosen} is a default; no models were compared")
    if answer.get("aborted"):
        warnings.append(
            "WARNING: this machine was too slow to finish the choice; run ./aisle job similarity when it is idle"
        )
    return "\n    ".join([text, *warnings])


def drift(metrics: dict[str, Any]) -> str:
    """Return how the shop has drifted since the model version before; "" if it has not, or if there was none."""
    report = metrics.get("drift") or {}
    if not report.get("drifted"):
        return ""
    return f"; drifted since version {report.get('since_version')}: {', '.join(report.get('reasons', ()))}"


def get(url: str) -> tuple[int, Any]:
    """Return status and JSON of a GET request; status 0 when no JSON comes."""
    try:
        answer = http.get(url)
        return answer.status, answer.json()
    except (http.NoAnswer, ValueError):
        return 0, None
