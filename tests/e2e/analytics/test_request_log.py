"""The request log: its pages, its rows, and what does not stand in it."""

import time
from typing import Any

from tests.e2e.analytics.making import Issue, figures
from tests.e2e.deployments import Deployments
from tests.e2e.sse import events


def test_pages_neither_repeat_nor_skip_while_rows_arrive(issue: Issue, script: Any) -> None:
    user = issue()

    def ask(number: int) -> str:
        answer = user.post("/v1/generate", json={"prompt": script(f"{number}")})
        return answer.headers["x-request-id"]

    sent = [ask(number) for number in range(25)]
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        asked = {"limit": "4", "endpoint": "/v1/generate"} | ({"cursor": cursor} if cursor else {})
        page = user.get("/analytics/requests", params=asked).json()
        seen += [row["requestId"] for row in page["requests"]]
        cursor = page["next"]
        ask(100 + len(seen))
    assert seen == sent[::-1]


def test_a_row_tells_what_became_of_the_request(issue: Issue, script: Any) -> None:
    user = issue()
    prompt = script("A secret question.", groq={"status": 503})
    body = {"prompt": prompt, "provider": "groq", "fallback": ["openai"], "metadata": {"team": "x"}}
    answer = user.post(
        "/v1/generate", json=body, headers={"cf-ray": "8d-FRA", "cf-ipcountry": "DE"}
    )
    text = user.get("/analytics/requests").text
    assert "secret question" not in text
    row = user.get("/analytics/requests", params={"endpoint": "/v1/generate"}).json()["requests"][0]
    told = answer.json()
    assert row["requestId"] == told["metadata"]["requestId"]
    assert (row["provider"], row["model"], row["asked"]) == ("openai", told["model"], "groq/auto")
    assert [a["outcome"] for a in row["attempts"]] == ["unavailable", "ok"]
    assert row["usage"]["totalTokens"] == told["usage"]["totalTokens"]
    assert row["cost"] == told["metadata"]["cost"]
    assert (row["country"], row["colo"], row["metadata"]) == ("DE", "FRA", {"team": "x"})


def test_what_shall_not_be_logged_is_counted_only(
    issue: Issue, script: Any, deployments: Deployments
) -> None:
    user = issue()
    answer = user.post(
        "/v1/generate", json={"prompt": script()}, headers={"cf-aig-collect-log": "false"}
    )
    assert figures(user)["total"]["requests"] == 1
    rows = user.get("/analytics/requests", params={"endpoint": "/v1/generate"}).json()["requests"]
    assert rows == []
    assert answer.headers["x-request-id"] not in deployments.log("counted")


def test_a_stream_that_breaks_and_one_whose_caller_leaves(issue: Issue, script: Any) -> None:
    user = issue()
    broken = {"prompt": script("a", openai={"break_after": 3}), "provider": "openai"}
    answer = user.post("/v1/generate", json=broken | {"stream": True, "fallback": False})
    assert list(events(answer))[-1][0] == "error"
    slow = {"prompt": script("b", openai={"event_delay_ms": 100, "text": "word " * 60})}
    with user.stream(
        "POST", "/v1/generate", json=slow | {"provider": "openai", "stream": True}
    ) as gone:
        next(gone.iter_lines())
    deadline = time.monotonic() + 10
    while figures(user)["total"]["requests"] < 2 and time.monotonic() < deadline:
        time.sleep(0.2)
    total = figures(user)["total"]
    assert (total["requests"], total["errors"], total["clientGone"]) == (2, 1, 1)
    assert total["cost"] > 0
    rows = user.get("/analytics/requests", params={"endpoint": "/v1/generate"}).json()["requests"]
    assert {row["ended"] for row in rows} == {"client_gone", "network"}
    assert {row["costOrigin"] for row in rows} == {"estimated"}
