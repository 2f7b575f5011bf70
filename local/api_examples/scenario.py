"""The requests that the examples show: a small shop from its first product to its first report, in this order.

Each operation of the description with a JSON answer is called once at least. ``read`` parts of a request are made up;
ids of answers are passed on.
"""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from local.api_examples.normalising import PASSWORD, days_before
from local.api_examples.recording import UNKNOWN, Recorder
from shared.domain import signatures

ADMIN_EMAIL: Final = "ada@shop.example"
NOWHERE: Final = 999_999
NO_ORDER: Final = "00000000-0000-4000-8000-00000000ffff"
# a picture of one pixel
IMAGE: Final = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b55"
    "0000000a4944415478da6368000000820081dd436af40000000049454e44ae426082"
)
RETAIL: Final = {"project": "my-shop", "location": "global", "catalog": "default_catalog"}
PRODUCTS: Final[list[dict[str, Any]]] = [
    {
        "external_id": "LAN-1",
        "name": "Hurricane lantern",
        "price": 24.9,
        "category": "Home > Lighting",
        "brand": "Luma",
    },
    {"external_id": "LAN-2", "name": "Paper lantern", "price": 8.5, "category": "Home > Lighting", "brand": "Luma"},
    {"external_id": "LAN-3", "name": "Solar lantern", "price": 32.0, "category": "Home > Lighting", "brand": "Helio"},
    {"external_id": "MUG-1", "name": "Stoneware mug", "price": 12.0, "category": "Home > Kitchen", "brand": "Terra"},
    {"external_id": "MUG-2", "name": "Enamel mug", "price": 9.9, "list_price": 12.9, "category": "Home > Kitchen"},
    {"external_id": "TEA-1", "name": "Cast iron teapot", "price": 49.0, "category": "Home > Kitchen", "brand": "Terra"},
    {"external_id": "BAG-1", "name": "Canvas bag", "price": 18.0, "category": "Bags", "tags": ["cotton", "large"]},
    {"external_id": "BAG-2", "name": "Felt bag", "price": 27.5, "category": "Bags", "tags": ["wool"]},
]
# shoppers of the shop's own, and the places of the products that each bought: what the models learn from
SHOPPERS: Final = {f"customer-{number}": (number % 3, 3 + number % 2, 5 + number % 3) for number in range(1, 25)}


def play(shop: Recorder, environment: dict[str, str], mail: Path) -> None:
    """Send every request of the scenario. Raises CommandError if one is answered otherwise than it should be."""
    _catalog(shop)
    _history(shop)
    _shoppers(shop)
    _sessions(shop, mail)
    _recommendations(shop)
    _orders(shop)
    _collectors(shop, environment)
    _administration(shop)
    _operations(shop)
    _people(shop)
    shop.call("get_page_settings")


def _catalog(shop: Recorder) -> None:
    shop.call(
        "update_shop", by="admin", body={"name": "Lantern & Co.", "currency": "EUR", "time_zone": "Europe/Berlin"}
    )
    shop.call("get_shop", by="admin")
    lines = "\n".join(json.dumps({"quantity": 20} | product) for product in PRODUCTS[:-1])
    shop.call("import_products", by="admin", content=lines)
    shop.refused("create_product", 409, by="admin", body={"name": "Lantern", "price": 5, "external_id": "LAN-1"})
    shop.call("create_product", by="admin", body={"quantity": 20} | PRODUCTS[-1])
    shop.call("update_product", by="admin", path={"product_id": 2}, body={"price": 7.9}, unknown=_no_product())
    external: dict[str, Any] = {"query": {"external_id": "LAN-1"}, "unknown": {"query": {"external_id": "LAN-99"}}}
    shop.call("update_product_by_external_id", by="admin", body={"quantity": 12}, **external)
    shop.call("get_product", path={"product_id": 1}, unknown=_no_product())
    shop.wait(
        "the search index",
        lambda: shop.client.get("/products", params={"search": "lantern"}).json()["products"],
    )
    shop.call("list_products", query={"search": "lantren", "in_stock": "true", "page_size": 2})
    shop.call("list_suggestions", query={"q": "lan", "k": 3})
    shop.call("list_categories")
    _image(shop)
    spare = [
        shop.client.post("/products", json={"name": "Spare", "price": 1, "external_id": name}, headers=_admin(shop))
        for name in ("SPARE-1", "SPARE-2")
    ]
    shop.call("delete_product", by="admin", path={"product_id": spare[0].json()["id"]}, unknown=_no_product())
    external = {"query": {"external_id": "SPARE-2"}, "unknown": {"query": {"external_id": "LAN-99"}}}
    shop.call("delete_product_by_external_id", by="admin", **external)
    shop.call("create_synonym", by="admin", body={"term": "torch", "meant": "lantern"})
    shop.call("list_synonyms", by="admin")


def _admin(shop: Recorder) -> dict[str, str]:
    return dict(shop.credentials["admin"])


def _no_product() -> dict[str, dict[str, object]]:
    return {"path": {"product_id": NOWHERE}}


def _image(shop: Recorder) -> None:
    product: dict[str, Any] = {"path": {"product_id": 1}, "unknown": _no_product()}
    upload = shop.call(
        "create_image_upload", by="admin", body={"content_type": "image/png", "size": len(IMAGE)}, **product
    )
    sent = shop.client.put(upload["url"], content=IMAGE, headers=upload["headers"])
    assert sent.status_code == 204, sent.text
    shop.call("set_image", by="admin", path={"product_id": 1}, body={"upload": upload["upload"]})


def _history(shop: Recorder) -> None:
    """Send what customers of the shop did in the last weeks, and run the jobs that learn from it."""
    events = []
    for number, (user, places) in enumerate(SHOPPERS.items()):
        for step, place in enumerate(places):
            product = PRODUCTS[place]
            at = days_before(shop.now, 20 - number % 6 - 7 * step)
            facts = {"user_id": user, "external_id": product["external_id"], "timestamp": at}
            events.append(facts | {"event_type": "view"})
            events.append(facts | {"event_type": "purchase", "metadata": {"order_id": f"{user}-1", "quantity": 1}})
    key = {"X-API-Key": shop.credentials["key"]["X-API-Key"]}
    answer = shop.client.post("/events/batch", json={"events": events}, headers=key)
    assert answer.json()["accepted"] == len(events), answer.text
    shop.wait(
        "the events",
        lambda: len(shop.client.get("/recently-viewed", params={"user_id": user}, headers=key).json()["products"]) == 3,
    )
    for name, parameters in (
        ("trending", {}),
        ("popular", {}),
        ("bought_together", {}),
        ("similarity", {"time_budget_s": 0}),
        ("segments", {}),
        ("evaluation", {"time_budget_s": 0}),
        ("daily_stats", {"days": 30}),
    ):
        ended = shop.client.post(f"/admin/jobs/{name}/run", json=parameters, headers=_admin(shop))
        assert ended.status_code == 200, (name, ended.text)


def _shoppers(shop: Recorder) -> None:
    guest = shop.call("create_guest")
    shop.credentials["guest"] = {"Authorization": f"Bearer {guest['access_token']}"}
    user = guest["user_id"]
    shop.call("record_event", body={"user_id": user, "external_id": "LAN-1", "event_type": "view"})
    batch = [
        {"user_id": user, "external_id": "LAN-2", "event_type": "view"},
        {"user_id": user, "external_id": "LAN-2", "event_type": "add_to_cart"},
        {"user_id": user, "event_type": "search", "metadata": {"query": "lantern"}},
        {"user_id": "undefined", "external_id": "LAN-2", "event_type": "view"},
    ]
    shop.call("record_event_batch", body={"events": batch})
    shop.call("record_plain_event", body={"user_id": user, "external_id": "LAN-3", "event_type": "view"})
    shop.wait(
        "the guest's views",
        lambda: len(shop.client.get("/recently-viewed", params={"user_id": user}).json()["products"]) == 3,
    )
    shop.call("list_recently_viewed", query={"user_id": user, "k": 3})
    me = {"user_id": user}
    item = {"external_id": "LAN-1", "quantity": 1}
    shop.call("add_cart_item", query=me, body=item, unknown={"body": {"external_id": "LAN-99"}})
    shop.refused("add_cart_item", 409, query=me, body={"external_id": "LAN-1", "quantity": 99})
    shop.call("add_cart_item", query=me, body={"external_id": "MUG-1", "quantity": 1})
    shop.call(
        "update_cart_item", query=me, path={"product_id": 1}, body={"quantity": 2}, unknown={"path": {"product_id": 7}}
    )
    by_id: dict[str, Any] = {"query": me | {"external_id": "MUG-1"}}
    shop.call(
        "update_cart_item_by_external_id",
        **by_id,
        body={"quantity": 3},
        unknown={"query": {"external_id": "BAG-1"}},
    )
    shop.call("get_cart", query=me)
    shop.call("remove_cart_item", query=me, path={"product_id": 1})
    shop.call("remove_cart_item_by_external_id", **by_id)
    shop.call("empty_cart", query=me)
    shop.refused("check_out", 409, query=me, body={}, headers={"Idempotency-Key": "order-0"})
    wished: dict[str, Any] = {"query": me | {"external_id": "TEA-1"}, "unknown": {"query": {"external_id": "TEA-99"}}}
    shop.call("add_wishlist_item_by_external_id", **wished)
    shop.call("add_wishlist_item", query=me, path={"product_id": 8}, unknown=_no_product())
    shop.call("get_wishlist_item", query=me, path={"product_id": 8}, unknown=_no_product())
    shop.call("get_wishlist", query=me)
    shop.call("remove_wishlist_item", query=me, path={"product_id": 8})
    shop.call("remove_wishlist_item_by_external_id", query=me | {"external_id": "TEA-1"})


def _sessions(shop: Recorder, mail: Path) -> None:
    guest = shop.client.post("/auth/guest").json()
    proof = {"Authorization": f"Bearer {guest['access_token']}"}
    body = {"username": "grace", "email": "grace@shop.example", "password": PASSWORD}
    with_guest = body | {"guest_user_id": guest["user_id"]}
    tokens = shop.call("register_account", body=with_guest, headers=proof)
    shop.refused("register_account", 409, body=body)
    login = {"email": "grace@shop.example", "password": PASSWORD}
    shop.refused("log_in", 401, body=login | {"password": "a wrong password"})
    tokens = shop.call("log_in", body=login)
    shop.refused("refresh_session", 401, body={"refresh_token": "no-such-token"})
    tokens = shop.call("refresh_session", body={"refresh_token": tokens["refresh_token"]})
    shop.credentials["token"] = {"Authorization": f"Bearer {tokens['access_token']}"}
    shop.call("request_verification", by="token")
    link = shop.wait("the mail", lambda: _link(mail, "verify-email"))
    shop.call("verify_email", body={"token": link})
    shop.call("request_password_reset", body={"email": "grace@shop.example"})
    link = shop.wait("the mail", lambda: _link(mail, "set-password"))
    shop.call("set_password", body={"token": link, "new_password": "another plum in the rain"})
    shop.refused("set_password", 410, body={"token": link, "new_password": "another plum in the rain"})
    tokens = shop.client.post("/auth/login", json=login | {"password": "another plum in the rain"}).json()
    shop.credentials["token"] = {"Authorization": f"Bearer {tokens['access_token']}"}
    passwords = {"current_password": "another plum in the rain", "new_password": PASSWORD}
    tokens = shop.call("change_password", by="token", body=passwords)
    shop.credentials["token"] = {"Authorization": f"Bearer {tokens['access_token']}"}
    nobody = {"query": {"user_id": "customer-0"}}
    shop.call("get_profile", by="token")
    _unknown_user(shop, "get_profile", nobody)
    shop.client.post("/auth/register", json=body | {"username": "linus", "email": "linus@shop.example"})
    shop.refused("update_profile", 409, by="token", body={"username": "linus"})
    shop.call("update_profile", by="token", body={"city": "Berlin"})
    place = {"latitude": 52.52, "longitude": 13.405, "city": "Berlin"}
    shop.call("set_location", by="token", body=place)
    _unknown_user(shop, "set_location", nobody | {"body": place})
    shop.client.get("/products", params={"search": "lantern"}, headers=shop.credentials["token"])
    shop.wait(
        "the search history",
        lambda: shop.client.get("/users/me/search-history", headers=shop.credentials["token"]).json().get("searches"),
    )
    for name in ("get_preferences", "list_search_history", "export_my_data", "clear_search_history", "delete_location"):
        shop.call(name, by="token")
    for name in ("get_preferences", "export_my_data"):
        _unknown_user(shop, name, nobody)
    shop.call("create_user_token", by="key", body={"user_id": "customer-1"})
    spare = shop.client.post("/auth/guest").json()["user_id"]
    shop.refused("request_merge", 409, by="key", body={"from": tokens["user_id"], "to": "customer-1"})
    shop.call("request_merge", by="key", body={"from": spare, "to": "customer-1"})
    shop.call("log_out", body={"refresh_token": tokens["refresh_token"]})
    leaver = shop.client.post("/auth/guest").json()
    shop.credentials["leaver"] = {"Authorization": f"Bearer {leaver['access_token']}"}
    shop.call("erase_my_data", by="leaver")
    _unknown_user(shop, "erase_my_data", nobody)


def _unknown_user(shop: Recorder, name: str, request: dict[str, Any]) -> None:
    """Show the answer for a user whom the shop does not know, to the shop's server."""
    shop.refused(name, 404, by="key", **request)


def _link(mail: Path, path: str) -> str | None:
    """Return the token of the newest mailed link to a path; None if no such mail is there."""
    for file in sorted(mail.glob("*"), key=lambda file: file.stat().st_mtime_ns, reverse=True):
        text = file.read_text(errors="replace").replace("=\n", "").replace("=3D", "=")
        if match := re.search(rf"/auth/{path}\?token=([\w.-]+)", text):
            return match[1]
    return None


def _recommendations(shop: Recorder) -> None:
    user = {"user_id": "customer-1"}
    query = user | {"k": 3, "explain": "true"}
    answer = shop.call("get_recommendations", by="key", query=query, unknown={"query": {"category": "Boats"}})
    product = {"external_id": "LAN-1"}
    unknown: dict[str, dict[str, object]] = {"query": {"external_id": "LAN-99"}}
    shop.call("list_similar_products", query=product | {"k": 3, "explain": "true"}, unknown=unknown)
    shop.call("list_frequently_bought_together", query=product | {"k": 2}, unknown=unknown)
    shop.call("list_trending_products", query={"window": "30d", "k": 3}, unknown={"query": {"category": "Boats"}})
    shop.call("list_popular_products", query={"k": 3})
    shop.call("list_buy_again", by="key", query=user | {"k": 3})
    feedback = {
        "recommendation_id": answer["recommendation_id"],
        "product_id": answer["recommendations"][0]["id"],
        "action": "click",
        "position": 1,
    }
    shop.call("send_feedback", body=feedback, unknown={"body": {"recommendation_id": NO_ORDER}})
    batch = {"user_ids": ["customer-1", "customer-2"], "k": 2}
    shop.call("list_user_recommendations", by="key", body=batch, unknown={"body": {"category": "Boats"}})


def _orders(shop: Recorder) -> None:
    guest = shop.client.post("/auth/guest").json()["user_id"]
    me = {"user_id": guest}
    orders = []
    for number in (1, 2):
        shop.client.post("/cart/items", params=me, json={"external_id": "MUG-2", "quantity": 2})
        headers = {"Idempotency-Key": f"order-{number}"}
        orders.append(shop.call("check_out", query=me, body={}, headers=headers)["id"])
    no_order: dict[str, dict[str, object]] = {"path": {"order_id": NO_ORDER}}
    shop.call("list_orders", query=me)
    shop.call("get_order", query=me, path={"order_id": orders[0]}, unknown=no_order)
    shop.call("cancel_order", query=me, path={"order_id": orders[0]}, unknown=no_order)
    shop.refused("change_order_state", 409, by="staff", path={"order_id": orders[0]}, body={"state": "shipped"})
    shop.call(
        "change_order_state", by="staff", path={"order_id": orders[1]}, body={"state": "shipped"}, unknown=no_order
    )
    shop.refused("cancel_order", 409, query=me, path={"order_id": orders[1]})
    shop.call("get_any_order", by="staff", path={"order_id": orders[1]}, unknown=no_order)


def _collectors(shop: Recorder, environment: dict[str, str]) -> None:
    key: dict[str, Any] = {"by": "publishable"}
    track = {
        "type": "track",
        "messageId": "m-1",
        "event": "Product Viewed",
        "anonymousId": "browser-1",
        "properties": {"product_id": "LAN-1"},
    }
    shop.call("record_segment_call", **key, path={"call": "track"}, body=track, unknown={"path": {"call": "fly"}})
    shop.call("record_segment_batch", **key, body={"batch": [track | {"messageId": "m-2"}]})
    item = {"item_id": "LAN-1", "quantity": 1}
    good = {"name": "view_item", "params": {"items": [item]}}
    bad = {"name": "purchase", "params": {"items": [item | {"quantity": -1}], "transaction_id": "T-1"}}
    measurement = {"client_id": "browser-1", "events": [good, bad]}
    shop.call("record_measurement", **key, body=measurement)
    shop.call("check_measurement", **key, body={"client_id": "browser-1", "events": [good, {"params": {}}]})
    viewed = {
        "eventType": "detail-page-view",
        "visitorId": "browser-1",
        "productDetails": [{"product": {"id": "LAN-1"}}],
    }
    shop.call("record_retail_event", **key, path=RETAIL, body=viewed)
    shop.call("send_retail_event", **key, path=RETAIL, body=viewed)
    shop.call("log_retail_event", **key, path=RETAIL, query={"userEvent": json.dumps(viewed)})
    events = {"inputConfig": {"userEventInlineSource": {"userEvents": [viewed, viewed | {"visitorId": "null"}]}}}
    shop.call("import_retail_events", **key, path=RETAIL, body=events)
    feed = {
        "name": "Medusa",
        "preset": "medusa",
        "url": "https://medusa.shop.example",
        "credentials": "aisle-feed-medusa",
    }
    created = shop.call("create_feed", by="admin", body=feed)
    order = {
        "type": "order",
        "id": "order_1",
        "order": {
            "id": "order_1",
            "customer_id": "customer-3",
            "created_at": days_before(shop.now, 1),
            "items": [{"id": "ordli_1", "variant_sku": "LAN-1", "quantity": 1}],
        },
    }
    shop.refused("record_medusa_delivery", 401, body=order)
    secret = environment["WEBHOOK_KEYS"].partition(":")[2].partition(",")[0]
    # as the client encodes it, since the signature is of the body's bytes
    content = shop.client.build_request("POST", "/", json=order).content
    signed = {signatures.HEADER: signatures.sign(content, secret.encode(), datetime.now(UTC))}
    shop.refused("record_medusa_delivery", 422, body=order, query={"colour": "red"}, headers=signed)
    shop.signed("record_medusa_delivery", body=order, headers=signed)
    no_feed: dict[str, dict[str, object]] = {"path": {"feed_id": NOWHERE}}
    path = {"feed_id": created["id"]}
    shop.call("get_feed", by="admin", path=path, unknown=no_feed)
    shop.call("update_feed", by="admin", path=path, body={"every_minutes": 60}, unknown=no_feed)
    shop.call("list_feeds", by="admin")
    imports = shop.call("list_imports", by="admin", query={"limit": 3})["imports"]
    if imports:
        shop.call(
            "get_import", by="admin", path={"import_id": imports[0]["id"]}, unknown={"path": {"import_id": NOWHERE}}
        )
    shop.call("delete_feed", by="admin", path=path, unknown=no_feed)


def _administration(shop: Recorder) -> None:
    no_rule: dict[str, dict[str, object]] = {"path": {"rule_id": NOWHERE}}
    boost = {"kind": "boost", "brand": "Luma", "factor": 1.5, "note": "lanterns of the season"}
    rule = shop.call("create_rule", by="admin", body=boost, unknown={"body": {"brand": None, "external_id": "LAN-99"}})
    shop.call("update_rule", by="admin", path={"rule_id": rule["id"]}, body={"factor": 2}, unknown=no_rule)
    shop.call("list_rules", by="admin")
    shop.call("get_preview", by="staff", query={"user_id": "customer-1", "k": 2})
    draft = {"user_id": "customer-1", "k": 2, "rule": boost | {"factor": 3}}
    shop.call("check_rule", by="staff", body=draft, unknown={"body": draft | {"rule_id": NOWHERE}})
    shop.call("delete_rule", by="admin", path={"rule_id": rule["id"]}, unknown=no_rule)
    shop.call("delete_synonym", by="admin", path={"synonym_id": 1}, unknown={"path": {"synonym_id": NOWHERE}})
    for name in ("get_dashboard", "list_segments", "get_doctor_report", "list_rejected_events", "list_audit_log"):
        shop.call(name, by="admin")
    shop.call("get_overview", by="admin", query={"days": 7})
    shop.call("get_operations", by="admin")
    shop.call("list_searches", by="admin", query={"days": 7})
    shop.call("flush_cache", by="admin")
    shop.call("flush_cache_scope", by="admin", path={"scope": "similar"})
    ended = shop.client.post("/admin/jobs/similarity/run", json={"time_budget_s": 0}, headers=_admin(shop))
    assert ended.status_code == 200, ended.text
    models = shop.call("list_models", by="admin")["models"]
    shop.call(
        "activate_model",
        by="admin",
        path={"version": models[-1]["version"]},
        unknown={"path": {"version": NOWHERE}},
    )


def _operations(shop: Recorder) -> None:
    no_job: dict[str, dict[str, object]] = {"path": {"name": "no_such_job"}}
    shop.call("run_job", by="admin", path={"name": "daily_stats"}, body={"days": 2}, unknown=no_job)
    for name in ("pause_job", "resume_job"):
        # Cloud Scheduler is what pauses a job
        shop.refused(name, 401, path={"name": "popular"})
        shop.refused(name, 404, by="admin", path={"name": "no_such_job"})
        shop.refused(name, 422, by="admin", path={"name": "popular"}, query=UNKNOWN)
        shop.refused(name, 503, by="admin", path={"name": "popular"})
    shop.call("list_jobs", by="admin", query={"runs": 1})
    shop.call("list_dead_letters", by="admin", query={"topic": "user-events"})
    shop.call("replay_dead_letters", by="admin", body={"topic": "user-events", "limit": 10})
    runs = shop.call("list_training_runs", by="admin")["runs"]
    run = next(run for run in runs if run["report"])
    shop.call("create_report_link", by="admin", path={"run_id": run["id"]}, unknown={"path": {"run_id": NOWHERE}})


def _people(shop: Recorder) -> None:
    key = shop.call("create_api_key", by="admin", body={"kind": "publishable", "name": "storefront"})
    shop.call("list_api_keys", by="admin")
    shop.call("delete_api_key", by="admin", path={"key_id": key["id"]}, unknown={"path": {"key_id": "0" * 12}})
    accounts = shop.call("list_accounts", by="staff", query={"email": "grace@shop.example"})["users"]
    user = {"user_id": accounts[0]["user_id"]}
    nobody: dict[str, dict[str, object]] = {"query": {"user_id": "acct_0"}}
    body = {"role": "support", "email": "grace@shop.example"}
    shop.refused("assign_role", 409, by="staff", query=user, body=body | {"email": "another@shop.example"})
    shop.call("assign_role", by="staff", query=user, body=body, unknown=nobody)
    shop.call("export_user", by="staff", query={"user_id": "customer-2"}, unknown=nobody)
    shop.call("erase_user", by="staff", query={"user_id": "customer-2"}, unknown=nobody)
