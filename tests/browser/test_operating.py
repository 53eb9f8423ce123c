"""The operators' pages in a headless Chromium, in front of canned answers."""

from typing import Any

from tests.browser import office
from tests.browser.chromium import browse
from tests.browser.standin import ADMIN, USER, VIEWER, StandIn, refusal

HOSTILE = (
    "<img src=x onerror=hacked=1>",
    "</script><script>hacked=1</script>",
    "\"><svg onload=hacked=1> & 'quoted'",
)
LOOKS = ("light", "phone")
MINI = "openai%2Fgpt-5.4-mini"


def test_every_page_in_every_look() -> None:
    with StandIn(open_=True, answers=office.answers()) as server:
        texts = browse("operating", server.url)
    for name, parts in {
        "keys": ("$2.21 of $2.50 today", "used up", "team payments", "50,000 tokens a minute"),
        "budgets": ("payments", "$131.20 of $150.00 this month", "used up"),
        "aliases": ("plan=pro|team", "90%", "a system prompt", "1,000 of 1,000 requests an hour"),
        "limits": ("recovering", "key 2", "620 an hour for all", "out of reach"),
        "cache": ("412 of 1,000", "1 hour", "1 day more", "openai/gpt-5-mini"),
        "settings": ("GROQ_APIKEY: The proxy has no setting", "default: 3600"),
    }.items():
        for part in parts:
            assert part in texts[name], f"{name} does not show {part}"
    for name in ("aliases", "limits"):
        for part in (
            *("$4.20 of $5.00 today", "3 of 20 requests at once, 500 an hour", "used up"),
            "$12.00 of $40.00 this month",
        ):
            assert part in texts[name], f"{name} does not show {part}"


def test_nothing_there_yet() -> None:
    with StandIn(open_=True, answers=office.empty()) as server:
        texts = browse("operating", server.url, shot="operate-empty", looks=LOOKS)
    assert "No key was issued yet" in texts["keys"]
    assert "There is no alias yet" in texts["aliases"]
    assert "Nobody uses groq now" in texts["limits"]
    assert "No target of an alias has a limit" in texts["limits"]
    assert "Nothing was purged" in texts["cache"]


def test_what_is_down_is_told_where_it_is() -> None:
    down = refusal(503, "internal_error", "This is broken on purpose.")
    answers: dict[str, Any] = dict.fromkeys(office.answers(), down)
    with StandIn(open_=True, answers=answers) as server:
        texts = browse("operating", server.url, shot="operate-down", looks=LOOKS)
    for name, text in texts.items():
        assert "This is broken on purpose." in text, name
        assert "Try again" in text, name


def test_names_are_text() -> None:
    with StandIn(open_=True, answers=_hostile()) as server:
        browse("hostileOffice", server.url, strings=HOSTILE)


def _hostile() -> dict[str, Any]:
    """Answers with markup in the place of every name."""
    markup, script, quoted = HOSTILE
    named = {"user": markup, "name": script, "team": quoted, "tags": [markup], "models": [script]}
    target = {"model": script, "id": quoted, "when": {"metadata": {markup: quoted}}}
    target |= {"limit": {"perHour": 1}}
    alias = office.aliases()["aliases"][0]
    alias |= {"name": markup, "description": quoted, "targets": [target], "system": script}
    phase = {"phase": quoted, "reason": script, "calls": 1, "failures": 1, "slow": 0}
    phase |= {"openUntil": None, "opened": 1}
    users = [{"user": markup, "demand": 1, "rate": None}]
    scope = {"scope": script, "capacity": 1, "closed_until": 0, "users": users}
    pool = {"capacity": 1, "closed_until": 0, "users": users, "scopes": [scope]}
    purges = [
        {"scope": "model", "value": f"{markup}{script}{quoted}", "at": "2026-01-01T00:00:00Z"}
    ]
    odd = {"name": markup, "section": script, "provider": None, "source": quoted, "help": quoted}
    return {
        "/admin/keys": {"keys": [office.key(1, **named)], "next": None},
        "/admin/budgets": {
            "budgets": [{"name": f"team:{markup}{script}{quoted}", "day": 1.0, "used": {}}],
            "next": None,
        },
        "/admin/aliases": {"aliases": [alias], "next": None},
        "/admin/breakers": {"breakers": {f"{markup}/{script}": phase}},
        "/admin/limits": {
            "providers": {quoted: {"rate": {"burst": 1, "per_hour": 1}, "pool": pool}}
        },
        "/admin/cache": office.cache() | {"purges": purges},
        "/admin/settings": {
            "settings": [office.setting("X", "cache") | odd],
            "problems": [{"setting": script, "message": quoted}],
        },
    }


def test_a_viewer_changes_nothing() -> None:
    with StandIn(answers=office.answers()) as server:
        browse("viewing", server.url, key=VIEWER)
        assert server.changes == []


def test_a_user_asks_for_nothing_of_it() -> None:
    with StandIn(answers=office.answers()) as server:
        browse("barred", server.url, key=USER)
        assert not [path for path in server.seen if path.startswith("/admin")]


def test_keys_are_issued_changed_rotated_and_revoked() -> None:
    made = office.key(9, user="dora", key="aep_test_secret")

    def issue(body: dict[str, Any]) -> Any:
        if body["providers"] != ["openai"]:
            status, error = refusal(400, "invalid_request", "'nobody' is no provider")
            error["error"]["param"] = "providers[1]"
            return status, error
        return 201, made

    two = "/admin/keys/key_000000000002"
    answers = office.answers() | {"POST /admin/keys": issue, f"POST {two}/rotate": made}
    with StandIn(answers=answers | {"PATCH /admin/keys/key_000000000001": made}) as server:
        browse("keys", server.url, key=ADMIN)
        _, issued, changed, rotated, revoked = server.changes
    body = issued[2]
    assert body.pop("expiresAt").startswith("2030-01-02T03:04")
    assert body == {
        "user": "dora",
        "role": "user",
        "tags": ["eu", "prod"],
        "providers": ["openai"],
        "models": ["openai/*", "support"],
        "limits": {"perHour": 500},
        "budget": {"day": 2.5},
    }
    assert changed == (
        "PATCH",
        "/admin/keys/key_000000000001",
        {
            "name": None,
            "budget": {"day": 2.5, "month": None},
            "limits": {"perHour": 500, "burst": 7, "requestsPerMinute": 60}
            | {"tokensPerMinute": 50_000},
        },
    )
    assert rotated == ("POST", f"{two}/rotate", {"overlapSeconds": 0})
    assert revoked == ("DELETE", two, None)


def test_budgets_are_set_changed_and_removed() -> None:
    def put(body: dict[str, Any]) -> Any:
        if body:
            return 201, body
        return refusal(400, "invalid_request", "The body: Give day, month or both.")

    path = "/admin/budgets/tag%3Aa%2Fb%20c"
    payments = "/admin/budgets/team%3Apayments"
    answers = office.answers() | {f"PUT {path}": put, f"PUT {payments}": put}
    with StandIn(open_=True, answers=answers) as server:
        browse("budgets", server.url)
        assert server.changes == [
            ("PUT", path, {}),
            ("PUT", path, {"day": 3}),
            ("PUT", payments, {"day": 10, "month": 250}),
            ("DELETE", "/admin/budgets/tag%3Aeval", None),
        ]


def test_aliases_are_made_changed_and_deleted() -> None:
    def make(body: dict[str, Any]) -> Any:
        if body["targets"][0]["model"] == "openai/fast":
            return 201, body
        status, error = refusal(400, "invalid_request", "There is no model nobody/x")
        error["error"]["param"] = "targets[0].model"
        return status, error

    support = "/admin/aliases/support"
    answers = office.answers() | {"POST /admin/aliases": make, f"PUT {support}": lambda body: body}
    with StandIn(open_=True, answers=answers) as server:
        browse("aliases", server.url)
        _, made, changed, reset, deleted = server.changes
    when = {"metadata": {"plan": ["pro", "team"], "eu": "yes"}, "needs": ["tools"]}
    when |= {"promptTokens": {"min": 100}}
    assert made[2] == {
        "name": "fresh",
        "targets": [{"model": "openai/fast", "when": when}, {"model": "groq/fast"}],
        "system": "Be brief.",
        "systemMode": "prepend",
        "defaults": {"seed": 7, "temperature": 0.5},
    }
    before, other = office.aliases()["aliases"][:2]
    assert server.conditions == [before["etag"], other["etag"]]
    shown = ("updatedAt", "etag", "used", "description")
    kept = {name: its for name, its in before.items() if name not in shown}
    assert changed == ("PUT", support, kept | {"systemMode": "prepend"})
    assert reset == ("DELETE", "/admin/limits?alias=support", None)
    assert deleted == ("DELETE", "/admin/aliases/canary", None)


def test_limits_and_breakers_are_reset() -> None:
    down = refusal(503, "internal_error", "The limits can't be reached now. Try again.")

    def reset(_: Any) -> Any:
        return down if server.changes[-1][1].endswith("=gemini") else (204, None)

    answers = office.answers() | {"DELETE /admin/limits": reset}
    with StandIn(open_=True, answers=answers) as server:
        browse("limits", server.url)
        assert server.changes == [
            ("DELETE", "/admin/breakers?provider=groq&model=openai%2Fgpt-oss-20b", None),
            ("DELETE", "/admin/breakers?provider=deepseek", None),
            ("DELETE", "/admin/breakers", None),
            ("DELETE", "/admin/limits?provider=groq&key=key_000000000002", None),
            ("DELETE", "/admin/limits?provider=gemini", None),
            ("DELETE", f"/admin/limits?alias=support&target={MINI}", None),
        ]


def test_the_cache_is_purged() -> None:
    with StandIn(open_=True, answers=office.answers()) as server:
        browse("cache", server.url)
        assert [(method, path) for method, path, _ in server.changes] == [
            ("DELETE", "/admin/cache?model=openai%2Fgpt-5-mini"),
            ("DELETE", "/admin/cache?user=ann"),
            ("DELETE", "/admin/cache?key=abc"),
            ("DELETE", "/admin/cache?all=true"),
        ]


def test_settings_are_found() -> None:
    with StandIn(open_=True, answers=office.answers()) as server:
        browse("settings", server.url)
