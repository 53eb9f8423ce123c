"""The dashboard in a headless Chromium, in front of canned answers.

tests/e2e/test_dashboard.py runs some of the same against the real Worker with real traffic.
"""

from typing import Any

import httpx

from tests.browser import canned, canned_log, standin
from tests.browser.chromium import browse
from tests.browser.standin import ADMIN, HOSTILE, USER, VIEWER, StandIn


def test_the_figures_are_shown_in_every_look() -> None:
    with StandIn(open_=True) as server:
        text = browse("overview", server.url)["text"]
    for part in (
        *("billing-service", "11 of 14 calls failed", "620 requests an hour"),
        *("recovering\n4 of 6 calls were slow", "partly working\nrecovering\nopenai/gpt-oss-20b"),
        *("refused\nkey 2", "3 of 5 not as usual", "3 within 60 days"),
        "gemini/new-1\ninput 2 to 4, output 10 to 20 dollars a million tokens.",
        "gemini/old-1\nacme/new-1 answers from then on.",
        "gemini/old-2\nNothing replaces it.",
    ):
        assert part in text
    for part in ("half_open", "half-open", "key 1"):
        assert part not in text


def test_the_first_figures_come_within_a_second_and_with_one_call() -> None:
    with StandIn(open_=True) as server:
        told = browse("soon", server.url)
    assert min(told["waits"]) < 1_000
    assert set(told["asked"]) == {"/analytics/insights /analytics/overview /me"}


def test_window_and_filters_by_keyboard() -> None:
    with StandIn(open_=True) as server:
        browse("choosing", server.url)


def test_it_refreshes_by_itself() -> None:
    with StandIn(open_=True) as server:
        browse("refreshing", server.url)


def test_signing_in_and_out() -> None:
    with StandIn() as server:
        browse("signing", server.url, admin=ADMIN)
        assert not [path for path in server.seen if ADMIN in path]


def test_a_users_key_sees_its_own() -> None:
    with StandIn() as server:
        browse("user", server.url, key=USER)
        assert not [path for path in server.seen if path.startswith("/admin/")]


def test_nothing_there_yet() -> None:
    answers = {
        "/analytics/overview": lambda query: standin.empty(query, 1_764_100_000),
        "/analytics/insights": {"window": "1h", "sample": {"requests": 0}, "insights": []},
        "/analytics/requests": {"requests": [], "next": None},
    }
    with StandIn(open_=True, answers=answers) as server:
        browse("empty", server.url)


def test_a_script_that_does_not_come_or_breaks_is_told() -> None:
    with StandIn(open_=True) as server:
        browse("blocked", server.url)


def test_a_browser_of_an_odd_language() -> None:
    with StandIn(open_=True) as server:
        browse("language", server.url)


def test_a_viewer_sees_everything_and_calls_no_model() -> None:
    with StandIn() as server:
        browse("viewer", server.url, key=VIEWER)


def test_who_is_known_from_before_the_proxy_signs_in_nowhere() -> None:
    """Cloudflare Access let them in: there is no key, and signing out is Access's."""
    with StandIn(open_=True, via="access") as server:
        browse("access", server.url)


def test_trouble_is_told_where_it_is() -> None:
    broken = standin.refusal(500, "internal_error", "This is broken on purpose.")
    with StandIn(open_=True, answers={"/analytics/insights": broken}) as server:
        browse("trouble", server.url)


def test_names_are_text() -> None:
    with StandIn(open_=True, answers=_hostile()) as server:
        browse("hostile", server.url, strings=HOSTILE)


def _hostile() -> dict[str, Any]:
    """Answers with markup in the place of every name."""
    markup, script, quoted = HOSTILE

    told = canned.overview({}, 1_764_100_000)
    for part in ("byProvider", "byModel", "byUser", "byStatus"):
        for group, name in zip(told[part], HOSTILE, strict=False):
            group["key"] = dict.fromkeys(group["key"], name)
    health = told["providers"]
    health["providers"][0] |= {"name": markup, "models": {script: {"phase": "open"}}}
    health["providers"][0]["endings"][0] |= {"model": script, "replacedBy": quoted}
    health["providers"][5] |= {"name": script, "reason": quoted}
    insights = canned.insights({})
    insights["insights"][0] |= {"title": markup, "evidence": {script: quoted}}
    log = canned_log.requests({"limit": "3"}, 1_764_100_000)
    for row in log["requests"]:
        row |= {"user": markup, "model": script, "error": quoted, "asked": markup}
        row["attempts"] = [{"provider": markup, "model": script, "outcome": quoted, "ms": 1}]
        row["attempts"][0]["replaces"] = markup
    users = [{"user": markup, "demand": 1, "rate": None}]
    told["limits"] = {script: {"capacity": None, "closed_until": 0, "users": users}}
    won = {"provider": markup, "model": script, "outcome": "ok", "ms": 1, "message": quoted}

    def generate(body: dict[str, Any]) -> list[tuple[str, Any]]:
        done = dict(standin.generate(body)[-1:])["done"]
        done |= {"provider": script, "metadata": done["metadata"] | {"attempts": [won]}}
        return [("delta", {"text": text}) for text in HOSTILE] + [("done", done)]

    return {
        "/analytics/overview": told,
        "/analytics/insights": insights,
        "/analytics/requests": log | {"next": None},
        "/v1/generate": generate,
    }


def test_the_menu_of_a_phone() -> None:
    with StandIn(open_=True) as server:
        browse("menu", server.url)


def test_the_setup_page() -> None:
    with StandIn() as server:
        browse("setup", server.url)


def test_the_policy_is_sent() -> None:
    with StandIn() as server:
        headers = httpx.get(f"{server.url}/dashboard").headers
    directives = dict(
        part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";")
    )
    assert directives["default-src"] == "'none'"
    assert directives["script-src"] == directives["style-src"] == "'self'"
    assert directives["connect-src"] == "'self'"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
