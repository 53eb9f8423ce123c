"""The Worker takes what an import has made of a LiteLLM config, and answers by it."""

import json
from pathlib import Path
from typing import Any

import pytest

from proxy.core.ports import Outgoing
from proxy.core.settings import read_settings
from tests.unit.callers import JSON, send
from tests.unit.doubles import FakeReply
from tests.unit.routing.making import whole
from tests.unit.serving.making import House
from tools.import_litellm.__main__ import convert
from tools.import_litellm.document import read_config
from tools.import_litellm.report import Report
from tools.import_litellm.servers import read_providers

CONFIGS = Path(__file__).parent / "litellm"
NAMES = ["team", "limits", "servers", "nasty"]
PROVIDERS = read_providers()


def load(name: str) -> Report:
    return convert(read_config(CONFIGS / f"{name}.yaml"), PROVIDERS)


def environment(report: Report) -> dict[str, str]:
    """The variables, with what is to be set by hand."""
    known = {v.name: v.value or f"https://{v.name}.example" for v in report.variables.values()}
    return {n: v for n, v in known.items() if not n.endswith("_HEADERS")} | {"ADMIN_TOKEN": "admin"}


@pytest.mark.parametrize("name", NAMES)
def test_the_worker_takes_the_settings(name: str) -> None:
    known = environment(load(name))
    settings = read_settings({"ENVIRONMENT": "development", **known}, PROVIDERS)
    assert settings.cache.ttl == int(known["CACHE_TTL"])
    openai = [value for name, value in known.items() if name.startswith("OPENAI_API_KEY")]
    assert list(settings.routing.providers["openai"].keys) == openai


class Office(House):
    """A house with the settings and the aliases of an import."""

    def __init__(self, report: Report, failing: str = "nobody") -> None:
        def answer(outgoing: Outgoing) -> FakeReply:
            return FakeReply(b"{}", status=500) if failing in outgoing.url else whole("Hi")

        super().__init__(answer, None, **environment(report))
        self.report = report

    async def call(self, path: str, body: Any) -> tuple[int, Any]:
        request = self.request("POST", path, body, authorization="Bearer admin", **JSON)
        answer = await send(self.app, request)
        await self.settle()
        return answer.status, json.loads(answer.body)

    async def make_aliases(self) -> None:
        for alias in self.report.aliases:
            status, made = await self.call("/admin/aliases", alias)
            assert status == 201, made

    async def ask(self, name: str) -> tuple[int, Any]:
        said = [{"role": "user", "content": "Hello"}]
        return await self.call("/v1/chat/completions", {"model": name, "messages": said})


@pytest.mark.parametrize("name", NAMES)
async def test_the_worker_takes_the_aliases(name: str) -> None:
    office = Office(load(name))
    assert office.report.aliases
    await office.make_aliases()


async def test_callers_get_an_answer_by_the_names_that_they_know() -> None:
    office = Office(load("limits"))
    await office.make_aliases()
    for name in ("small", "tiny", "chain", "long"):
        status, body = await office.ask(name)
        assert status == 200, body
    small = json.dumps(office.sent_bodies[0])  # Groq's form, or Gemini's
    assert "0.2" in small
    assert "500" in small


async def test_the_fallbacks_of_a_group_follow_it_and_nobody_else() -> None:
    office = Office(load("limits"), failing="openrouter")
    await office.make_aliases()
    status, body = await office.ask("chain")
    assert (status, body["choices"][0]["message"]["content"]) == (200, "Hi")
    assert [*dict.fromkeys(office.sent)] == ["openrouter.ai", "api.deepseek.com"]
    both = Office(load("limits"), failing="https")
    await both.make_aliases()
    assert (await both.ask("chain"))[0] == 502
    assert set(both.sent) == {"openrouter.ai", "api.deepseek.com"}
