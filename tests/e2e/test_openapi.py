"""The description of the interface, and the running Worker held to it."""

import httpx


def test_the_description_is_served(closed: httpx.Client) -> None:
    """To anybody, a page of another origin too: it says nothing of the deployment."""
    answer = closed.get("/openapi.json")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.json()["openapi"] == "3.1.0"
    assert closed.head("/openapi.json").status_code == 200
    refused = closed.post("/openapi.json")
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")
