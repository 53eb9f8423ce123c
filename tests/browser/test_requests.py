"""The request log, a request's detail, sessions and tags in a headless Chromium."""

from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.browser import canned_log
from tests.browser.chromium import browse
from tests.browser.standin import ADMIN, HOSTILE, StandIn


def test_the_request_log() -> None:
    now = {"at": 1_764_100_000.0}

    def page(query: dict[str, Any]) -> Any:
        return canned_log.requests(query, now["at"])

    def later(_: dict[str, Any]) -> Any:
        now["at"] += 12
        return {}

    answers = {"/analytics/requests": page, "/next": later}
    with StandIn(open_=True, answers=answers) as server:
        browse("log", server.url)


def test_the_log_is_narrowed_and_exported() -> None:
    with StandIn() as server:
        csv = browse("filters", server.url, key=ADMIN)
        asked = [path for path in server.seen if "format=csv" in path]
    assert csv == "at,requestId\n"
    assert [*dict(parse_qsl(urlsplit(asked[0]).query)).items()] == [
        ("label.feature", "chat"),
        ("user", "ann"),
        ("status", "2xx"),
        ("from", "2020-01-02T03:04:00.000Z"),
        ("format", "csv"),
    ]


def test_a_request_in_detail() -> None:
    def page(query: dict[str, Any]) -> Any:
        """The first with attempts side by side, the second as an older version recorded it."""
        told = canned_log.requests({**query, "limit": "400"}, 1_764_100_000)
        told["requests"] = [row for row in told["requests"] if len(row["attempts"]) > 1][:9]
        for row, starts in zip(told["requests"], ((4, 50), (None, None)), strict=False):
            row |= {"ms": 200}
            for attempt, start, ms in zip(row["attempts"], starts, (85, 120), strict=True):
                attempt |= {"start": start, "ms": ms}
        return told | {"next": None}

    with StandIn(open_=True, answers={"/analytics/requests": page}) as server:
        text = browse("detail", server.url)
        assert len([path for path in server.seen if path.endswith("/body")]) == 1
    for part in (
        "openai/gpt-5-mini failed (status 503) after 85 ms.",
        *(
            "openai / gpt-5-mini",
            "unavailable 503",
            "85 ms",
            "begun after 50 ms",
            "groq/openai/gpt-oss-20b 0.82",
        ),
        *("Write to <<EMAIL_1>>", "Kept until Dec 24", "prices"),
    ):
        assert part in text


def test_sessions_and_tags() -> None:
    with StandIn(open_=True) as server:
        browse("sessions", server.url)


def test_names_in_the_log_are_text() -> None:
    markup, script, quoted = HOSTILE
    row = canned_log.requests({"limit": "1"}, 1_764_100_000)["requests"][0]
    row |= {"user": markup, "session": script, "team": quoted, "tags": [*HOSTILE]}
    row |= {"metadata": {script: quoted}, "requestId": "req_evil"}
    tried = {"provider": markup, "model": script, "outcome": "network", "ms": 1, "message": quoted}
    weighed = [{"provider": name, "model": name, "score": 1.0, "note": name} for name in HOSTILE]
    reason = {"words": [*HOSTILE], "strategy": quoted, "candidates": weighed}
    text = {"contentType": quoted, "text": markup, "truncated": False}
    kept = {"request": text, "answer": text | {"text": script}, "redacted": {quoted: 1}}
    spent = canned_log.spent("session", 1_764_100_000)
    for session, name in zip(spent["sessions"], HOSTILE, strict=False):
        session |= {"session": name, "user": name}
    tags = canned_log.spent("tag", 1_764_100_000)
    tags["tags"][0]["tag"] = script
    row["attempts"] = [tried]
    answers = {
        "/analytics/requests": {"requests": [row], "next": None},
        "/analytics/requests/req_evil": row | {"reason": reason, "bodyKept": True},
        "/analytics/requests/req_evil/body": kept | {"expiresAt": None},
        "/analytics/sessions": spent,
        "/analytics/tags": tags,
    }
    with StandIn(open_=True, answers=answers) as server:
        browse("hostileLog", server.url, strings=HOSTILE)
