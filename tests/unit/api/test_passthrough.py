"""Who may have what passed on, and what becomes of it in limits, health and figures."""

import json
from typing import Any

import pytest

from proxy.core.errors import Fault
from proxy.limits.shared_budgets import READ_BUDGETS, BudgetSet
from tests.unit.api.deployment import ADMIN, CALLER
from tests.unit.api.making import request_lines
from tests.unit.api.passing import ANSWER, CHAT, Isolate, answering, error
from tests.unit.doubles import FakeReply
from tests.unit.memory_objects import MemoryObjects


async def test_the_caller_s_key_stays_here() -> None:
    isolate = Isolate()
    response = await isolate.call("/openai/v1/chat/completions?a=1")
    assert (response.status, isolate.read) == (200, ANSWER)
    [sent] = isolate.sent
    assert sent.url == "https://api.openai.com/v1/chat/completions?a=1"
    assert sent.headers["authorization"] == "Bearer key-of-openai"
    assert CALLER not in repr(sent)


@pytest.mark.parametrize(
    ("path", "url"),
    [
        ("/p/openai/models", "https://api.openai.com/v1/models"),
        ("/openai/models", "https://api.openai.com/v1/models"),
        ("/p/deepseek/messages", "https://api.deepseek.com/anthropic/v1/messages"),
        ("/p/deepseek/v1/messages", "https://api.deepseek.com/anthropic/v1/messages"),
        ("/p/deepseek/user/balance", "https://api.deepseek.com/user/balance"),
        ("/anthropic/v1/messages", "https://api.anthropic.com/v1/messages"),
        ("/genai/v1/models", "https://generativelanguage.googleapis.com/v1/models"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"])
async def test_where_it_goes(method: str, path: str, url: str) -> None:
    isolate = Isolate()
    response = await isolate.call(path, b"" if method in ("GET", "HEAD") else CHAT, method)
    assert response.status == 200
    assert [(sent.method, sent.url) for sent in isolate.sent] == [(method, url)]
    assert (isolate.read == b"") == (method == "HEAD")


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/p/nobody/x", 404, "no provider"),
        ("/p/workers-ai/run/@cf/x", 404, "over a binding"),
        ("/p/groq/models", 503, "GROQ_API_KEY is not set"),
        ("/p/openai/", 404, "There is nothing"),
        ("/p/openai", 404, "There is nothing"),
        ("/openai/v1/../x", 400, "path"),
    ],
)
async def test_what_goes_nowhere(path: str, status: int, said: str) -> None:
    isolate = Isolate()
    response = await isolate.call(path)
    assert (response.status, said in error(response)["message"]) == (status, True)
    assert isolate.sent == []


async def test_errors_have_the_form_of_their_root() -> None:
    isolate = Isolate()
    google = await isolate.call("/genai/v1beta/models", key="wrong")
    assert error(google)["status"] == "UNAUTHENTICATED"
    assert error(google)["code"] == google.status == 401
    anthropic = await isolate.call("/anthropic/v1/messages", key="wrong")
    assert json.loads(anthropic.body)["type"] == "error"
    openai = await isolate.call("/openai/v1/models", key="wrong")
    assert error(openai)["code"] == "invalid_api_key"


async def test_a_deployment_may_pass_nothing_on() -> None:
    isolate = Isolate(PASSTHROUGH="off")
    for path in ("/openai/v1/models", "/p/openai/models", "/v1/moderations"):
        response = await isolate.call(path)
        assert (response.status, "PASSTHROUGH" in error(response)["message"]) == (404, True)


class TestKeys:
    async def test_a_budget_forbids_it_unless_the_key_allows_it(self) -> None:
        isolate = Isolate()
        key = await isolate.issue(budget={"day": 1})
        for path in ("/openai/v1/chat/completions", "/v1/moderations"):
            assert (await isolate.call(path, key=key)).status == 403
        assert isolate.sent == []
        key = await isolate.issue(budget={"day": 1}, passthrough=True)
        assert (await isolate.call("/openai/v1/chat/completions", key=key)).status == 200
        key = await isolate.issue(passthrough=False)
        assert (await isolate.call("/openai/v1/chat/completions", key=key)).status == 403

    async def test_so_does_one_of_its_team_or_of_a_tag(self) -> None:
        isolate = Isolate()
        path = "/openai/v1/chat/completions"
        groups: dict[str, dict[str, Any]] = {
            "team:search": {"team": "search"},
            "tag:eval": {"tags": ["eval"]},
        }
        for name, fields in groups.items():
            key = await isolate.issue(**fields)
            assert (await isolate.call(path, key=key)).status == 200
            await isolate.call(f"/admin/budgets/{name}", {"day": 1}, "PUT", key=ADMIN)
            refused = await isolate.call(path, key=key)
            assert refused.status == 403
            assert "its team or a tag" in error(refused)["message"]
            assert await self._say_who_passes(isolate) == {name: False}
            key = await isolate.issue(**fields, passthrough=True)
            assert (await isolate.call(path, key=key)).status == 200
            await isolate.call(f"/admin/budgets/{name}", method="GET", key=ADMIN)
            assert json.loads(isolate.read)["used"]["day"] > 0
            isolate = Isolate()

    async def test_nor_is_it_said_to_be_allowed_where_budgets_can_not_be_read(self) -> None:
        def broken(*_: object) -> BudgetSet:
            raise RuntimeError("the object is unreachable")

        isolate = Isolate(LIMITER_ON_ERROR="closed")
        await isolate.issue(team="search")
        assert await self._say_who_passes(isolate) == {"team:search": True}
        isolate = Isolate(LIMITER_ON_ERROR="closed")
        assert isinstance(isolate.ports.objects, MemoryObjects)
        isolate.ports.objects.keys.serve(READ_BUDGETS, broken)
        await isolate.issue(team="search")
        assert await self._say_who_passes(isolate) == {"team:search": False}

    @staticmethod
    async def _say_who_passes(isolate: Isolate) -> dict[str, bool]:
        """Whether operators read that the keys of a group may pass requests on, by its budget."""
        listed = await isolate.call("/admin/keys", method="GET", key=ADMIN)
        keys = json.loads(listed.body)["keys"]
        shown = await isolate.call(f"/admin/keys/{keys[0]['id']}", method="GET", key=ADMIN)
        assert json.loads(shown.body) == keys[0]
        return {
            f"team:{key['team']}" if key["team"] else f"tag:{key['tags'][0]}": key["passthrough"]
            for key in keys
        }

    async def test_what_is_known_to_be_used_is_counted(self) -> None:
        isolate = Isolate()
        key = await isolate.issue(budget={"day": 0.0001}, passthrough=True)
        assert (await isolate.call("/openai/v1/files", key=key)).status == 200
        assert (await isolate.call("/openai/v1/chat/completions", key=key)).status == 200
        refused = await isolate.call("/openai/v1/chat/completions", key=key)
        assert refused.status in (402, 429)
        assert error(refused)["error_type"] == "budget_exceeded"

    async def test_requests_and_tokens_a_minute_hold(self) -> None:
        isolate = Isolate()
        key = await isolate.issue(limits={"requestsPerMinute": 1})
        assert (await isolate.call("/openai/v1/models", b"", "GET", key=key)).status == 200
        assert (await isolate.call("/openai/v1/models", b"", "GET", key=key)).status == 429
        key = await isolate.issue(limits={"tokensPerMinute": 1000})
        assert (await isolate.call("/openai/v1/chat/completions", key=key)).status == 200
        assert (await isolate.call("/openai/v1/chat/completions", key=key)).status == 429

    async def test_a_key_for_some_providers(self) -> None:
        isolate = Isolate()
        key = await isolate.issue(providers=["gemini"])
        assert (await isolate.call("/openai/v1/models", key=key)).status == 403
        assert (await isolate.call("/genai/v1beta/models", key=key)).status == 200

    @pytest.mark.parametrize(
        ("path", "body", "status"),
        [
            ("/openai/v1/chat/completions", CHAT, 200),
            ("/openai/v1/chat/completions", CHAT | {"model": "gpt-4o"}, 403),
            ("/openai/v1/chat/completions", CHAT | {"models": ["gpt-4o"]}, 403),
            ("/openai/v1/chat/completions", b'{"model":"gpt-4o-mini","model":"gpt-4o"}', 403),
            ("/openai/v1/files", CHAT, 403),
            ("/openai/v1/models", b"", 403),
            ("/genai/v1beta/models/gemini-2.5-flash:generateContent", {}, 200),
            ("/genai/v1beta/models/gemini-2.5-pro:generateContent", {}, 403),
            ("/v1/completions", {"model": "openai/gpt-4o-mini"}, 200),
            ("/v1/completions", {"model": "openai/gpt-4o"}, 403),
            ("/v1/moderations", {"input": "x"}, 403),
        ],
    )
    async def test_a_key_for_some_models(self, path: str, body: Any, status: int) -> None:
        isolate = Isolate()
        key = await isolate.issue(models=["openai/gpt-4o-mini", "gemini/gemini-2.5-flash"])
        assert (await isolate.call(path, body, key=key)).status == status
        assert len(isolate.sent) == (status == 200)

    async def test_a_coded_body_can_not_be_judged(self) -> None:
        isolate = Isolate()
        key = await isolate.issue(models=["openai/gpt-4o-mini"])
        path, coded = "/openai/v1/chat/completions", {"content_encoding": "gzip"}
        assert (await isolate.call(path, key=key, **coded)).status == 403
        assert (await isolate.call(path, **coded)).status == 200


class TestHealth:
    async def fail(self, isolate: Isolate, path: str, times: int = 12) -> str:
        for _ in range(times):
            await isolate.call(path)
        views = isolate.app.services.watch.views()
        return views["openai"].phase if "openai" in views else "closed"

    async def test_the_provider_s_failures_count_and_bar_nobody_here(self) -> None:
        refused = answering(b'{"error": {"message": "x", "code": "invalid_api_key"}}', 401)
        isolate = Isolate(refused)
        assert await self.fail(isolate, "/openai/v1/chat/completions") == "open"
        assert (await isolate.call("/openai/v1/chat/completions")).status == 401

    async def test_what_the_caller_causes_does_not_count(self) -> None:
        bad = answering(b'{"error": {"message": "Missing: messages"}}', 400)
        assert await self.fail(Isolate(bad), "/openai/v1/chat/completions") == "closed"

    @pytest.mark.parametrize("status", [401, 403, 500, 503])
    async def test_what_no_model_answers_does_not_count(self, status: int) -> None:
        isolate = Isolate(answering(b'{"error": {"code": "invalid_api_key"}}', status))
        assert await self.fail(isolate, "/openai/v1/organization/users") == "closed"

    async def test_a_body_that_may_have_broken_off_does_not_count(self) -> None:
        isolate = Isolate(lambda _: Fault("network", "gone"))
        assert await self.fail(isolate, "/openai/v1/files") == "closed"
        assert await self.fail(isolate, "/openai/v1/chat/completions") == "open"


@pytest.mark.parametrize(("kind", "status"), [("network", 502), ("timeout", 504)])
async def test_a_dead_provider(kind: Any, status: int) -> None:
    isolate = Isolate(lambda _: Fault(kind, "It is gone."))
    response = await isolate.call("/openai/v1/chat/completions")
    [attempt] = error(response)["attempts"]
    assert (response.status, attempt["outcome"]) == (status, kind)
    assert 0 <= attempt["start"] < 10_000


async def test_an_answer_that_breaks_off_is_no_end() -> None:
    isolate = Isolate(lambda _: FakeReply(b'{"a":', Fault("network", "It broke.")))
    for path in ("/openai/v1/chat/completions", "/openai/v1/files"):
        with pytest.raises(Fault):
            await isolate.call(path)


async def test_a_refusal_goes_on_as_it_came() -> None:
    body = b'{"error": {"message": "No such file.", "quux": [1, 2]}}' + b" " * 100_000
    isolate = Isolate(answering(body, 404, retry_after="3"))
    response = await isolate.call("/openai/v1/files/x", b"", "GET")
    assert (response.status, isolate.read) == (404, body)


@pytest.mark.parametrize(
    ("path", "body", "url", "sent"),
    [
        ("moderations", {"input": "x"}, "openai.com/v1/moderations", {"input": "x"}),
        ("completions", {"model": "deepseek/d-1"}, "deepseek.com/completions", {"model": "d-1"}),
        ("rerank", {"model": "openai/r"}, "openai.com/v1/rerank", {"model": "r"}),
        ("images/generations", {"prompt": "x"}, "/images/generations", {"prompt": "x"}),
    ],
)
async def test_an_endpoint_goes_to_the_provider_of_its_model(
    path: str, body: Any, url: str, sent: Any
) -> None:
    for prefix in ("/v1/", "/"):
        isolate = Isolate()
        assert (await isolate.call(prefix + path, body)).status == 200
        [outgoing] = isolate.sent
        assert outgoing.url.endswith(url)
        assert isinstance(outgoing.body, bytes)
        assert json.loads(outgoing.body) == sent


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"model": "no-such-model"}, 404),
        ({"model": "fast"}, 400),
        ({"model": "groq/x"}, 503),
        ({"model": "gemini/x"}, 400),
        ({}, 400),
        ([], 400),
    ],
)
async def test_an_endpoint_whose_model_names_no_provider(body: Any, status: int) -> None:
    isolate = Isolate()
    response = await isolate.call("/v1/audio/speech", body)
    assert response.status == status
    assert isolate.sent == []


async def test_addresses_of_the_provider_s_lead_through_here() -> None:
    host = "https://generativelanguage.googleapis.com"
    there = f"{host}/upload/v1beta/files?upload_id=u1&key=key-of-gemini"
    named = {"x-goog-upload-url": there, "location": "https://a.example"}
    isolate = Isolate(lambda _: FakeReply(b"", headers=named))
    response = await isolate.call("/genai/upload/v1beta/files", b"{}")
    url = response.headers["x-goog-upload-url"]
    here, _, ticket = url.partition("&proxy_ticket=")
    assert here == "https://proxy.example/genai/upload/v1beta/files?upload_id=u1"
    assert response.headers["location"] == "https://a.example"
    path = url.removeprefix("https://proxy.example")
    gone_on = await isolate.call(path, b"bytes", authorization="")
    assert gone_on.status == 200
    assert isolate.sent[-1].url == f"{host}/upload/v1beta/files?upload_id=u1"
    assert ticket not in repr(isolate.sent)
    for other in (path.replace("u1", "u2"), path.replace("/upload", ""), path + "0"):
        assert (await isolate.call(other, b"bytes", authorization="")).status == 401


async def test_a_record_has_what_is_known() -> None:
    isolate = Isolate(ANALYTICS="off")
    await isolate.call("/openai/v1/chat/completions")
    await isolate.call("/p/openai/files")
    known, unknown = request_lines(isolate.ports)
    assert known["http.route"] == "/openai"
    assert known["gen_ai.response.model"] == "gpt-4o-mini"
    used = known["gen_ai.usage.input_tokens"], known["gen_ai.usage.output_tokens"]
    assert (used, known["proxy.cost.usd"]) == ((1000, 500), 0.00045)
    assert unknown["http.route"] == "/p/PROVIDER"
    assert not {"gen_ai.usage.input_tokens", "proxy.cost.usd"} & unknown.keys()
