"""The dashboard in a headless Chromium, in front of canned answers.

tests/e2e/test_dashboard.py runs some of the same against the real Worker with real traffic.
"""

import json
import subprocess
from typing import Any

import httpx

from tests.browser import canned, canned_log, standin
from tests.browser.chromium import browse
from tests.browser.standin import ADMIN, USER, VIEWER, StandIn
from tools.layout import NODE_MODULES

HOSTILE = (
    "<img src=x onerror=hacked=1>",
    "</script><script>hacked=1</script>",
    "\"><svg onload=hacked=1> & 'quoted'",
)


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


def test_the_playground() -> None:
    prompt = 'What\'s "this"?\n$HOME `id` \\ é 日本'
    with StandIn() as server:
        told = browse("playground", server.url, key=USER, prompt=prompt)
    assert told["answer"].startswith("Paris is the capital of France.")
    for part in ("groq", "25 in, 17 out", "$0.000021 computed", "unavailable 503"):
        assert part in told["receipt"]
    _check_code(told["code"], prompt)


def _check_code(code: dict[str, str], prompt: str) -> None:
    """Each says what was asked, whatever stands in the prompt."""
    compile(code["Python"], "sdk.py", "exec")
    sent = _as_the_shell_reads(code["curl"])
    assert sent["body"] == {"prompt": prompt, "stream": True}
    assert "authorization: Bearer $PROXY_KEY" in sent["arguments"]
    assert json.dumps(prompt, ensure_ascii=False) in code["Python"]
    check = [str(NODE_MODULES / ".bin" / "node"), "--input-type=module", "--check"]
    subprocess.run(check, input=code["JavaScript"], text=True, check=True, timeout=20)


def _as_the_shell_reads(command: str) -> dict[str, Any]:
    spy = "curl() { printf '%s\\0' \"$@\"; }; PROXY_KEY='$PROXY_KEY'\n"
    output = subprocess.run(
        ["sh", "-c", spy + command], capture_output=True, text=True, check=True, timeout=20
    ).stdout
    arguments = output.split("\0")[:-1]
    return {"arguments": arguments, "body": json.loads(arguments[arguments.index("-d") + 1])}


def test_a_stream_that_breaks_or_is_stopped() -> None:
    def generate(body: dict[str, Any]) -> list[tuple[str, Any]]:
        delta = ("delta", {"text": "Half an answer"})
        if body["prompt"] == "stall":
            return [delta] * 400
        error = standin.refusal(502, "provider_error", "The stream broke.")[1]
        return [delta, ("error", error)]

    with StandIn(open_=True, answers={"/v1/generate": generate}) as server:
        browse("breaking", server.url)


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
