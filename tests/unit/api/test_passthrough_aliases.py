"""Aliases at the endpoints whose requests go on to the provider of the model that they name."""

import json
from typing import Any

import pytest

from tests.unit.api.deployment import ADMIN
from tests.unit.api.making import request_lines
from tests.unit.api.passing import Isolate, content, error


class TestAliases:
    async def make(self, *targets: Any, **env: str) -> Isolate:
        isolate = Isolate(None, **env)
        body = {"name": "pics", "targets": targets}
        assert (await isolate.call("/admin/aliases", body, key=ADMIN)).status == 201
        return isolate

    @pytest.mark.parametrize(
        "name", ["pics", "custom/pics", "dynamic/pics", "@preset/pics", "openai/i-1@preset/pics"]
    )
    async def test_an_endpoint_takes_each_spelling(self, name: str) -> None:
        isolate = await self.make({"model": "openai/i-1"}, ANALYTICS="off")
        for path in ("images/generations", "audio/speech", "rerank", "completions", "moderations"):
            assert (await isolate.call(f"/v1/{path}", {"model": name})).status == 200
        assert {out.url.partition("/v1/")[0] for out in isolate.sent} == {"https://api.openai.com"}
        assert {content(out) for out in isolate.sent} == {b'{"model":"i-1"}'}
        lines = [
            line for line in request_lines(isolate.ports) if "admin" not in str(line["http.route"])
        ]
        assert {line["gen_ai.request.model"] for line in lines} == {
            "openai/i-1" if name.startswith("openai") else "pics"
        }

    async def test_the_first_target_that_is_meant_and_has_the_endpoint_answers(self) -> None:
        others = {"users": ["bob"]}, {"needs": ["vision"]}, {"promptTokens": {"min": 9}}
        targets = [{"model": f"openai/i-{n}", "when": when} for n, when in enumerate(others)]
        last = {"model": "openai/i-9", "when": {"metadata": {"plan": "pro"}}}
        isolate = await self.make(
            *targets, {"model": "fast"}, {"model": "gemini/x"}, last, {"model": "deepseek/d-1"}
        )
        body, plan = {"model": "pics"}, {"cf_aig_metadata": '{"plan": "pro"}'}
        assert (await isolate.call("/v1/images/generations", body)).status == 200
        assert (await isolate.call("/v1/images/generations", body, **plan)).status == 200
        sent = [json.loads(content(out))["model"] for out in isolate.sent]
        assert sent == ["d-1", "i-9"]

    async def test_a_target_s_limit_leaves_the_request_to_the_next(self) -> None:
        short = {"limit": {"perHour": 1}}
        isolate = await self.make(
            {"model": "openai/i-1"} | short, {"model": "deepseek/d-1"} | short
        )
        answers = [await isolate.call("/v1/rerank", {"model": "pics"}) for _ in range(3)]
        assert [answer.status for answer in answers] == [200, 200, 429]
        assert ["deepseek" in out.url for out in isolate.sent] == [False, True]

    async def test_a_target_s_budget_is_settled_and_holds(self) -> None:
        spent = {"model": "openai/gpt-4o-mini", "budget": {"day": 0.0001}}
        isolate = await self.make(spent, {"model": "deepseek/d-1"})
        for _ in range(2):
            assert (await isolate.call("/v1/completions", {"model": "pics"})).status == 200
        assert ["deepseek" in out.url for out in isolate.sent] == [False, True]

    @pytest.mark.parametrize("said", [{"system": "Be kind."}, {"fixed": {"maxTokens": 9}}])
    async def test_no_text_completion_gets_around_what_an_alias_fixes(self, said: Any) -> None:
        isolate = await self.make({"model": "openai/i-1"})
        body = {"targets": [{"model": "openai/i-1"}]} | said
        assert (await isolate.call("/admin/aliases/pics", body, "PUT", key=ADMIN)).status == 200
        key = await isolate.issue(models=["pics"])
        for name in ("pics", "custom/pics", "@preset/pics"):
            refused = await isolate.call("/v1/completions", {"model": name}, key=key)
            assert (refused.status, error(refused)["param"]) == (400, "model")
        assert isolate.sent == []
        assert (await isolate.call("/v1/moderations", {"model": "pics"}, key=key)).status == 200

    async def test_a_key_s_list_holds(self) -> None:
        isolate = await self.make({"model": "openai/i-1"})
        for models, model, status in (
            ("pics", "pics", 200), ("pics", "openai/i-1", 403),
            ("openai/i-1", "pics", 200), ("openai/i-2", "pics", 403),
        ):  # fmt: skip
            key = await isolate.issue(models=[models])
            answer = await isolate.call("/v1/moderations", {"model": model}, key=key)
            assert answer.status == status

    async def test_what_no_target_can(self) -> None:
        isolate = await self.make({"model": "gemini/x"}, {"model": "groq/x"})
        refused = await isolate.call("/v1/rerank", {"model": "pics"})
        assert (refused.status, "/p/gemini" in error(refused)["message"]) == (400, True)
        assert (await isolate.call("/v1/rerank", {"model": "custom/none"})).status == 404
        isolate = await self.make({"model": "openai/i-1", "when": {"users": ["bob"]}})
        assert (await isolate.call("/v1/rerank", {"model": "pics"})).status == 400
        assert isolate.sent == []
