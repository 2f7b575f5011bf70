"""The OpenAPI description of the admin function."""

import httpx


def test_the_description_names_every_route_and_its_problems(client: httpx.Client) -> None:
    description = client.get("/openapi.json").json()
    assert description["openapi"].startswith("3.1")
    for path, methods in description["paths"].items():
        if path.startswith("/admin"):
            for method in methods.values():
                assert {"401", "403"} <= method["responses"].keys(), path
                # a link opens a report, too, and no scheme of OpenAPI describes it
                open_too = [{}] if method["operationId"] == "get_training_report" else []
                assert method["security"] == [*open_too, {"admin": []}]
