"""Listing and switching model versions."""

import httpx
import pytest

from functions.admin.schemas.models import ModelVersionList
from shared.storage.recommending import models
from tests.integration.admin.conftest import audited, epochs
from tests.integration.storage.recommending.test_models import publish


def test_models_are_listed_and_switched_and_the_answers_of_the_other_are_dropped(client: httpx.Client) -> None:
    first, second = publish(1), publish(2)
    listed = client.get("/admin/models").json()
    ModelVersionList.model_validate(listed)
    assert [(model["version"], model["active"], model["stored"]) for model in listed["models"]] == [
        (second, True, True),
        (first, False, True),
    ]
    before = epochs()
    answer = client.post(f"/admin/models/{first}/activate")
    assert answer.json() == {"version": first, "previous": second}
    active = models.active()
    assert active is not None
    assert active.version == first
    after = epochs()
    assert {scope for scope in after if after[scope] != before.get(scope)} == {
        b"similar",
        b"recommendations",
        b"dashboard",
    }
    assert audited() == [("admin-token", "model.activate", str(first), {"version": second}, {"version": first})]


@pytest.mark.parametrize(
    ("version", "status"), [("999", 404), ("0", 422), ("-1", 422), ("x", 422), ("2147483648", 422), ("1.5", 422)]
)
def test_an_invalid_or_unknown_version_is_refused(client: httpx.Client, version: str, status: int) -> None:
    active = publish()
    answer = client.post(f"/admin/models/{version}/activate")
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    model = models.active()
    assert model is not None
    assert model.version == active
    assert audited() == []


def test_a_version_that_was_dropped_is_a_conflict(client: httpx.Client) -> None:
    versions = [publish(marker) for marker in range(6)]
    models.drop_surplus()
    assert client.post(f"/admin/models/{versions[0]}/activate").status_code == 409
    assert audited() == []
