"""The route that shows the segments of users."""

import httpx

from jobs.segments import Segments, segments
from shared.clients import postgres
from tests.integration.conftest import Serve
from tests.integration.people import ADMIN, bearer, register
from tests.integration.segment_shop import add_shoppers, members


def test_without_a_run_the_list_is_empty(client: httpx.Client) -> None:
    answer = client.get("/admin/segments")
    assert (answer.status_code, answer.json()) == (200, {"segments": []})


def test_segments_have_size_value_movement_and_profile(client: httpx.Client) -> None:
    add_shoppers()
    # the job without its route: two applications do not share a process
    segments.run(Segments())
    listed = client.get("/admin/segments").json()["segments"]
    by_id = {segment["id"]: segment for segment in listed}
    assert [segment["size"] for segment in listed] == [20, 20, 20]
    fans = by_id[members()["fan0"]]
    assert fans["name"] == "Recent frequent buyers of Candles"
    # ten purchases at 5 each of 20 fans
    assert fans["value"] == {"days": 90, "purchases": 200, "revenue": 1000.0}
    assert fans["movement"] == {"joined": 20, "left": 0}
    # an hour ago may be yesterday
    assert fans["profile"].pop("recency_days") in (0.0, 1.0)
    assert fans["profile"] == {
        "purchase_days": 10.0,
        "spent": 50.0,
        "buyers": 1.0,
        "categories": [{"id": fans["profile"]["categories"][0]["id"], "name": "Candles", "share": 1.0}],
    }
    assert fans["ended_at"] is None
    assert fans["created_at"] == fans["computed_at"]
    # older purchases are no value, but part of the profile
    lapsed = by_id[members()["lapsed0"]]
    assert (lapsed["value"]["purchases"], lapsed["profile"]["spent"]) == (0, 5.0)


def test_it_needs_a_permission_that_support_has(client: httpx.Client, serve: Serve) -> None:
    tokens = register(serve("accounts"), "ada")
    assert client.get("/admin/segments", headers=bearer(tokens)).status_code == 403
    assert client.get("/admin/segments", headers={"Authorization": ""}).status_code == 401
    assert client.get("/admin/segments", headers=ADMIN).status_code == 200


def test_a_rule_may_name_a_segment_that_exists(client: httpx.Client) -> None:
    postgres.write(
        """INSERT INTO segments (id, name, size, joined, departed, purchases, revenue, profile)
           VALUES (7, 'Buyers', 0, 0, 0, 0, 0, '{}')"""
    )
    added = client.post("/admin/rules", json={"kind": "boost", "tag": "sale", "segment_id": 7})
    assert (added.status_code, added.json()["segment_id"], added.json()["in_force"]) == (201, 7, True)
    unknown = client.post("/admin/rules", json={"kind": "boost", "tag": "sale", "segment_id": 8})
    assert (unknown.status_code, unknown.json()["type"]) == (404, "urn:aisle:problem:segment-not-found")
    assert unknown.json()["detail"] == "There is no segment 8; GET /admin/segments lists them."
    # a segment says who sees a rule, not what it applies to
    assert client.post("/admin/rules", json={"kind": "exclude", "segment_id": 7}).status_code == 422
    path = f"/admin/rules/{added.json()['id']}"
    assert client.patch(path, json={"segment_id": 8}).status_code == 404
    assert client.patch(path, json={"factor": 3}).json()["segment_id"] == 7
    assert client.patch(path, json={"segment_id": None}).json()["segment_id"] is None
