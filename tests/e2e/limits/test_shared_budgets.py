"""The budgets of teams and tags on real Durable Objects, and keys that are changed."""

import asyncio
from collections import Counter
from typing import Any
from urllib.parse import quote

import httpx

from tests.e2e.conftest import Script
from tests.e2e.limits.making import GPT, Issue, bearer, generate, storm
from tests.e2e.limits.test_budgets import LONGEST, completion, used


def put(admin: httpx.Client, name: str, **budget: float) -> Any:
    answer = admin.put(f"/admin/budgets/{quote(name, safe='')}", json=budget)
    assert answer.status_code in (200, 201), answer.text
    return answer.json()


def test_keys_of_a_team_together_never_exceed_its_budget(
    url: str, admin: httpx.Client, issue: Issue, script: Script
) -> None:
    put(admin, "team:storm", day=0.5)
    keys = [issue(team="storm", user=f"storm {n}", limits={"burst": 1000}) for n in range(3)]
    prompt = script(openai={"body": completion(used(LONGEST)), "delay_ms": 1000})

    async def all_at_once() -> list[httpx.Response]:
        storms = await asyncio.gather(*(storm(url, key, prompt, times=20) for key in keys))
        return [answer for answers in storms for answer in answers]

    answers = asyncio.run(all_at_once())
    statuses = Counter(answer.status_code for answer in answers)
    assert statuses.keys() == {200, 402}
    costs = [a.json()["metadata"]["cost"] for a in answers if a.status_code == 200]
    seen = admin.get("/admin/budgets/team:storm").json()
    assert round(seen["used"]["day"] * 1e9) == round(sum(costs) * 1e9)
    assert 0.16 <= seen["used"]["day"] <= 0.5
    refused = next(answer for answer in answers if answer.status_code == 402)
    assert "The budget of the team storm, $0.5 a day" in refused.json()["error"]["message"]


def test_a_tag_that_is_sent_and_one_of_the_key(
    admin: httpx.Client, issue: Issue, script: Script
) -> None:
    put(admin, "tag:a b/c", month=1)
    keys = (issue(tags=["a b/c"]), issue())
    for key, headers in ((keys[0], {}), (keys[1], {"x-litellm-tags": "other,a b/c"})):
        body = {"prompt": script()} | GPT | {"maxTokens": 50}
        answer = admin.post("/v1/generate", json=body, headers=bearer(key) | headers)
        assert answer.status_code == 200
    body = {"messages": [{"role": "user", "content": script()}], "model": "openai/gpt-4o"}
    body |= {"metadata": {"tags": ["a b/c"]}, "max_tokens": 50}
    answer = admin.post("/v1/chat/completions", json=body, headers=bearer(keys[1]))
    assert answer.status_code == 200
    spent = put(admin, "tag:a b/c", month=1e-9)["used"]["month"]
    assert spent > 0
    refused = generate(admin, keys[0], script("Another."), maxTokens=50)
    assert refused.status_code == 402
    assert "The budget of the tag a b/c" in refused.json()["error"]["message"]
    assert generate(admin, keys[1], script("Another."), maxTokens=50).status_code == 200
    assert admin.delete("/admin/budgets/" + quote("tag:a b/c", safe="")).status_code == 204
    assert generate(admin, keys[0], script("Another."), maxTokens=50).status_code == 200


def test_a_key_is_changed(admin: httpx.Client, issue: Issue, script: Script) -> None:
    key = issue(role="viewer", budget={"day": 1})
    headers = bearer(key)
    assert admin.get("/me", headers=headers).json()["role"] == "viewer"
    assert admin.get("/admin/keys", headers=headers).status_code == 200
    assert generate(admin, key, script()).status_code == 403
    assert admin.patch("/admin/keys/x", json={"team": "a"}, headers=headers).status_code == 403
    change = {"role": None, "team": "ads", "name": "laptop"}
    changed = admin.patch(f"/admin/keys/{key['id']}", json=change)
    assert changed.status_code == 200
    told = admin.get("/me", headers=headers).json()
    assert (told["role"], told["key"]) == (
        "user",
        {"id": key["id"], "name": "laptop", "team": "ads"},
    )
    assert admin.get("/admin/keys", headers=headers).status_code == 403
    assert generate(admin, key, script(), maxTokens=50).status_code == 200
    seen = admin.get(f"/admin/keys/{key['id']}", params={"usage": "true"}).json()
    assert (seen["team"], seen["user"]) == ("ads", key["user"])
    assert 0 < seen["used"]["day"] == seen["used"]["month"]
    listed = admin.get("/admin/keys", params={"usage": "true", "limit": "500"}).json()["keys"]
    assert next(each for each in listed if each["id"] == key["id"])["used"] == seen["used"]
    wrong = admin.patch(f"/admin/keys/{key['id']}", json={"user": "eve"})
    assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, "user")


def test_a_user_reaches_nothing_of_others(admin: httpx.Client, issue: Issue) -> None:
    key, other = issue(), issue(team="ads")
    for method, path in (
        ("GET", "/admin/keys"),
        ("GET", f"/admin/keys/{other['id']}"),
        ("PATCH", f"/admin/keys/{key['id']}"),
        ("GET", "/admin/budgets"),
        ("PUT", "/admin/budgets/team:ads"),
        ("DELETE", "/admin/budgets/team:ads"),
        ("GET", "/admin/settings"),
        ("GET", "/metrics"),
    ):
        answer = admin.request(method, path, json={"day": 1}, headers=bearer(key))
        assert answer.status_code == 403, path
    assert admin.get(f"/me?key={other['id']}", headers=bearer(key)).json()["key"]["id"] == key["id"]
