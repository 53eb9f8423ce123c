"""Budgets on real Durable Objects: what is reserved, sent and counted, whatever is reported."""

import asyncio
import json
from collections import Counter
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import Script
from tests.e2e.limits.making import (
    GPT,
    Issue,
    bearer,
    read_account,
    storm,
)

UNPRICED = "openai/gpt-of-tomorrow"
LONGEST = 16_384


def completion(usage: Any) -> dict[str, Any]:
    """An answer of OpenAI with this usage."""
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": "Hi"},
        "finish_reason": "stop",
    }
    return {"id": "1", "object": "chat.completion", "choices": [choice], "usage": usage}


def used(completion_tokens: int) -> dict[str, int]:
    return {"prompt_tokens": 20, "completion_tokens": completion_tokens}


def test_60_at_once_never_exceed_the_budget(
    url: str, admin: httpx.Client, issue: Issue, script: Script, received: Any
) -> None:
    """Nobody sets a limit, and each answer is as long as the model can."""
    budget = 0.5
    key = issue(budget={"day": budget}, limits={"burst": 1000})
    prompt = script(openai={"body": completion(used(LONGEST)), "delay_ms": 1000})
    answers = asyncio.run(storm(url, key, prompt, times=60))
    statuses = Counter(answer.status_code for answer in answers)
    assert statuses.keys() == {200, 402}
    costs = [a.json()["metadata"]["cost"] for a in answers if a.status_code == 200]
    spent = read_account(admin, key)["spent_day"]
    assert spent == round(sum(costs) * 1e9)
    assert 0.16e9 <= spent <= budget * 1e9
    assert {request["body"]["max_completion_tokens"] for request in received()} == {LONGEST}
    refused = next(answer for answer in answers if answer.status_code == 402)
    assert "the answer may cost $0.16" in refused.json()["error"]["message"]


def test_a_key_without_a_budget_sends_its_bytes(
    admin: httpx.Client, issue: Issue, script: Script, received: Any
) -> None:
    for text, fields in (("One.", {}), ("Two.", {"budget": {"day": 1}})):
        messages = [{"role": "user", "content": script(text)}]
        body = json.dumps({"messages": messages, "model": "gpt-4o"}, indent=1)
        headers = bearer(issue(**fields)) | {"content-type": "application/json"}
        answer = admin.post("/v1/chat/completions", content=body, headers=headers)
        assert answer.status_code == 200, answer.text
    plain, bounded = (request["body"] for request in received())
    assert plain.keys() == {"messages", "model"}
    assert bounded.keys() == plain.keys() | {"max_completion_tokens"}


class TestUnpriced:
    @pytest.mark.parametrize(
        ("path", "fields"),
        [
            ("/v1/generate", {"prompt": "Hi"}),
            ("/v1/generate", {"prompt": "Hi", "stream": True}),
            ("/v1/chat/completions", {"messages": [{"role": "user", "content": "Hi"}]}),
            ("/v1/embeddings", {"input": "a cat"}),
        ],
    )
    def test_is_refused(
        self, admin: httpx.Client, issue: Issue, path: str, fields: dict[str, Any]
    ) -> None:
        key = issue(budget={"month": 1})
        body = fields | {"model": UNPRICED, "fallback": False}
        refused = admin.post(path, json=body, headers=bearer(key))
        assert refused.status_code == 403
        message = refused.json()["error"]["message"]
        assert UNPRICED in message
        assert "BUDGET_UNPRICED" in message

    def test_workers_ai_and_batches_too(
        self, admin: httpx.Client, issue: Issue, script: Script
    ) -> None:
        key = issue(budget={"day": 1})
        models = ("workers-ai/@cf/new/model", "openai/gpt-4o", "@cf/meta/llama-3.2-1b-instruct")
        requests = [
            {"prompt": script(), "model": model, "fallback": False, "maxTokens": 50}
            for model in models
        ]
        answer = admin.post("/v1/batch", json={"requests": requests}, headers=bearer(key)).json()
        assert [result["status"] for result in answer["results"]] == [403, 200, 200]

    def test_another_answers_for_it(
        self, admin: httpx.Client, issue: Issue, script: Script
    ) -> None:
        key = issue(budget={"day": 1})
        body = {"prompt": script(), "model": UNPRICED, "fallback": ["groq"], "maxTokens": 50}
        answer = admin.post("/v1/generate", json=body, headers=bearer(key)).json()
        assert answer["provider"] == "groq"
        assert answer["metadata"]["attempts"][0]["outcome"] == "limited"


def test_two_keys_of_a_user_with_limits_of_their_own(
    admin: httpx.Client, issue: Issue, script: Script
) -> None:
    narrow, wide = issue(limits={"burst": 2, "perHour": 1}), issue(limits={"burst": 5})
    plain = issue()
    body = {"prompt": script()} | GPT
    statuses = [
        admin.post("/v1/generate", json=body, headers=bearer(key)).status_code
        for key in (wide, narrow, wide, narrow, narrow, wide, wide, plain, wide, wide)
    ]
    assert statuses == [200, 200, 200, 200, 429, 200, 200, 200, 200, 429]
    where = {"provider": "openai", "key": narrow["id"]}
    assert admin.get("/admin/limits", params=where).json()["rate"]["burst"] == 2
    assert admin.delete("/admin/limits", params=where).status_code == 204


NUMBERS = [-1, -0.5, 1.5, 1e308, 10**40, 2**64, 10**9, "12", True, None, [], {}]


class TestWhateverIsReported:
    """The answer is delivered, and the key has its day left."""

    def check(self, answer: httpx.Response, usage: Any) -> None:
        assert answer.status_code == 200, (usage, answer.text)
        assert "Hi" in answer.text
        assert "internal" not in answer.text

    def test_in_a_usage(self, admin: httpx.Client, issue: Issue, script: Script) -> None:
        key = issue(budget={"day": 5}, limits={"burst": 1000})
        fields = ("prompt_tokens", "completion_tokens", "cost")
        reports = [used(5) | {name: number} for name in fields for number in NUMBERS]
        for usage in [*reports, *NUMBERS]:
            prompt = script(openai={"body": completion(usage)})
            body = {"prompt": prompt, "maxTokens": 50} | GPT
            answer = admin.post("/v1/generate", json=body, headers=bearer(key))
            self.check(answer, usage)
            counted = answer.json()["usage"]
            assert counted is None or 0 <= counted["totalTokens"] <= 4 * 128_000
        # Two of the costs ($1.5 and $5) are not believed or within the bound of such an answer.
        assert 0 <= read_account(admin, key)["spent_day"] <= 2 * 10**9

    @pytest.mark.parametrize("stream", [False, True])
    def test_beyond_what_numbers_can_be(
        self, admin: httpx.Client, issue: Issue, script: Script, stream: bool
    ) -> None:
        key = issue(budget={"day": 5})
        usage = '{"prompt_tokens":1e999,"completion_tokens":-1e999,"cost":1e999}'
        reply = json.dumps(completion("USAGE")).replace('"USAGE"', usage)
        kind = "application/json"
        if stream:
            reply = reply.replace('"message"', '"delta"').replace('n"', 'n.chunk"', 1)
            reply, kind = f"data: {reply}\n\ndata: [DONE]\n\n", "text/event-stream"
        prompt = script(openai={"body": reply, "content_type": kind})
        messages = [{"role": "user", "content": prompt}]
        for path, fields in (
            ("/v1/generate", {"prompt": prompt}),
            ("/v1/chat/completions", {"messages": messages}),
        ):
            body = fields | GPT | {"stream": stream}
            answer = admin.post(path, json=body, headers=bearer(key))
            self.check(answer, usage)
            assert "1e999" not in answer.text
        spent = read_account(admin, key)["spent_day"]
        assert 0 < spent < 10**7

    def test_in_a_batch_whose_tool_has_a_large_number(
        self, admin: httpx.Client, issue: Issue, script: Script
    ) -> None:
        schema = {"type": "object", "properties": {"n": {"maximum": 2**64}}}
        tool = {"type": "function", "function": {"name": "f", "parameters": schema}}
        request = {"prompt": script()} | GPT
        body = {"requests": [request | {"tools": [tool]}, request]}
        answer = admin.post("/v1/batch", json=body, headers=bearer(issue()))
        assert answer.json()["summary"]["succeeded"] == 2
