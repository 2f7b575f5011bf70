"""The weekly report, and the choice of a model for a shop that is large enough."""

from typing import Any

import pytest

from jobs.evaluation import Evaluation, evaluation
from jobs.similarity import Similarity, similarity
from shared.clients import postgres
from shared.storage.recommending import models
from tests.integration.shop import add_two_kinds_of_users


@pytest.fixture
def shop(env: object) -> None:
    """Two kinds of users, each with products of its own."""
    add_two_kinds_of_users()


def runs(job: str) -> list[Any]:
    return postgres.read("SELECT outcome, version, details FROM training_runs WHERE job = :job", job=job)


def test_the_report_is_written_and_the_active_model_is_left_alone(shop: None) -> None:
    version = similarity.run(Similarity(time_budget_s=0))["version"]
    answer = evaluation.run(Evaluation(days=14, time_budget_s=0))
    assert answer["outcome"] == "evaluated"
    assert answer["served"].keys() == {"new-only", "repeats"}
    ((outcome, of_version, details),) = runs("evaluation")
    assert (outcome, of_version) == ("evaluated", None)
    assert details["report"].startswith("<!doctype html>")
    assert [result["mode"] for result in details["results"]] == ["new-only", "repeats"]
    for result in details["results"]:
        assert [line["name"] for line in result["results"]][:2] == ["served", "most popular"]
        assert 0 < result["served"]["ndcg@20"]["mean"] < 1
    active = models.active()
    assert active is not None
    assert active.version == version


def test_the_evaluation_of_an_empty_shop_has_its_reason(env: object) -> None:
    answer = evaluation.run(Evaluation(time_budget_s=0))
    assert answer["outcome"] == "nothing to measure"
    assert answer["reasons"] == {"new-only": "no events", "repeats": "no events"}
    assert runs("evaluation")[0][0] == "nothing to measure"


def test_the_chosen_model_is_published_with_its_trials_and_its_formula(shop: None) -> None:
    answer = similarity.run(Similarity(time_budget_s=2))
    assert answer["outcome"] == "published"
    model = models.active()
    assert model is not None
    assert model.algorithm == answer["algorithm"]
    assert {
        "profile_events",
        "rank_decay",
        "half_life_days",
        "blend",
        "trending_prior",
        "returning",
        "repeat_weight",
    } <= (model.parameters["serving"].keys())
    candidates = {trial["algorithm"]: trial for trial in model.metrics["candidates"]}
    # and a mixture of them, where one is better than the best alone
    algorithms = {"cosine", "transitions", "tfidf", "bm25", "rp3beta", "ease", "ease_head", "als", "popularity"}
    assert candidates.keys() - {"mixture"} == algorithms
    assert candidates[model.algorithm]["ndcg@20"] == model.metrics["ndcg@20"] > 0
    assert model.algorithm == model.metrics["candidates"][0]["algorithm"]
    assert runs("similarity")[0][2]["candidates"] == model.metrics["candidates"]
