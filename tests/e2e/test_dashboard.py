"""The dashboard as the Worker serves it, with real traffic behind it."""

import re
from typing import Any

import httpx
import pytest

from tests.browser.chromium import browse
from tests.e2e.deployments import ADMIN_TOKEN, CALLER_KEY


@pytest.fixture
def traffic(proxy: httpx.Client, script: Any) -> None:
    """Answers, hits, a stream, a fallback, refusals."""

    def ask(prompt: str, **more: Any) -> None:
        proxy.post("/v1/generate", json={"prompt": prompt, **more})

    for number in range(3):
        ask(script(f"Name {number} fruits."), model="groq/fast")
        ask(script(f"Name {number} fruits."), model="groq/fast")
        ask(script(f"Name {number} trees."), model="openai/fast", stream=True)
    ask(script("Fall back.", groq={"status": 503}), model="groq/fast", fallback=["openai"])
    ask(script("Fail.", groq={"status": 503}), model="groq/fast", fallback=False)
    ask("Nobody has this.", model="<img src=x onerror=hacked=1>")
    ask(script("Name a lake."), model="openai/fast", sessionId="talk-1")


def test_it_is_one_page_behind_a_strict_policy(proxy: httpx.Client) -> None:
    page = proxy.get("/dashboard")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'" in policy
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["cache-control"] == "no-cache"
    assert "<style" not in page.text and "onclick" not in page.text
    assert (
        proxy.get("/dashboard", headers={"if-none-match": page.headers["etag"]}).status_code == 304
    )
    script = proxy.get("/dashboard/app.js")
    assert script.headers["content-type"].startswith("text/javascript")
    assert script.headers["content-security-policy"] == policy


def test_its_other_methods_and_its_neighbours(proxy: httpx.Client) -> None:
    assert proxy.head("/dashboard").status_code == 200
    refused = proxy.post("/dashboard")
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")
    assert proxy.get("/dashboard/").headers["location"] == "/dashboard"
    missing = proxy.get("/dashboard/nothing.js")
    assert (missing.status_code, missing.json()["error"]["type"]) == (404, "not_found")
    assert proxy.get("/_headers").status_code == 404


def test_the_setup_page_is_filled_in_for_its_address(keyed_url: str) -> None:
    """Also where the proxy is closed: it says nothing that is secret."""
    page = httpx.get(f"{keyed_url}/setup")
    assert page.status_code == 200
    assert "script-src 'self'" in page.headers["content-security-policy"]
    browse("setup", keyed_url)


@pytest.mark.usefixtures("traffic")
def test_it_shows_real_figures(open_url: str) -> None:
    told = browse("overview", open_url, shot="real")
    total, text = told["total"], told["text"]
    assert total["requests"] >= 12
    assert (total["cacheHits"] >= 3, total["errors"] >= 2) == (True, True)
    assert float(told["failing"]["groq"].rstrip("%")) > 0  # one failure went to another
    for part in ("groq", "openai", "working", "502", "404"):
        assert part in text


@pytest.mark.usefixtures("traffic")
def test_the_first_figures_come_soon_and_with_one_call(open_url: str) -> None:
    told = browse("soon", open_url)
    assert set(told["asked"]) == {"/analytics/insights /analytics/overview /me"}
    assert min(told["waits"]) < 1_000


@pytest.mark.usefixtures("traffic")
def test_the_log_grows(open_url: str) -> None:
    told = browse("realLog", open_url)
    assert told["asked"] == "<img src=x onerror=hacked=1>"
    head, *rows = told["csv"].splitlines()
    assert head.startswith("at,requestId,")
    assert rows
    assert all(re.search(",4[0-9]{2},", row) for row in rows)


def test_the_playground_streams(open_url: str, script: Any) -> None:
    prompt = script("Name a river.", openai={"event_delay_ms": 20})
    told = browse("playground", open_url, prompt=prompt, model="openai/fast")
    assert told["answer"].strip() == "echo: Name a river."
    for part in ("openai", "miss", "computed"):
        assert part in told["receipt"]


def test_an_operator_runs_the_proxy_by_it(keyed_url: str, script: Any) -> None:
    headers = {"authorization": f"Bearer {ADMIN_TOKEN}"}
    with httpx.Client(base_url=keyed_url, headers=headers, timeout=60) as operator:
        for alias in operator.get("/admin/aliases").json()["aliases"]:  # other tests' own
            operator.delete(f"/admin/aliases/{alias['name']}").raise_for_status()
    failing = script("Fail.", groq={"status": 503})
    options = {"prompt": script("Name a lake."), "failing": failing}
    browse("running", keyed_url, key=ADMIN_TOKEN, **options)


def test_keys_decide_what_is_seen(keyed_url: str) -> None:
    browse("signing", keyed_url, admin=ADMIN_TOKEN)
    browse("user", keyed_url, key=CALLER_KEY)
