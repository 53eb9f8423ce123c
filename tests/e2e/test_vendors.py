"""Every provider beside the first nine, and servers that the deployment names itself, in the real
runtime: whole, streamed and with a tool, for callers of three dialects."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.e2e.deployments import PATHS as FIRST
from tests.unit.serving.stage import MODEL, PLAYED
from tests.unit.serving.turns import CALLED, PATHS, RESULT, WITH_TOOLS, ask, give_result, offer
from tests.unit.serving.understanding import JOIN, READ, Understood

PROVIDERS = [name for name in PLAYED if name.upper() not in FIRST and name != "workers-ai"]
DIALECTS = ["chat", "messages", "responses"]


class Caller:
    """One that speaks a dialect with one provider."""

    def __init__(self, client: httpx.AsyncClient, dialect: str, provider: str) -> None:
        self.client, self.dialect, self.provider = client, dialect, provider

    async def send(self, model: str, body: dict[str, Any]) -> Any:
        sent = {"model": model, "fallback": False, **body}
        if body.get("stream") and self.dialect == "chat":
            sent["stream_options"] = {"include_usage": True}
        answer = await self.client.post(PATHS[self.dialect], json=sent)
        assert answer.status_code == 200, (self.provider, answer.text)
        assert answer.headers["x-proxy-provider"] == self.provider
        return JOIN[self.dialect](answer.content) if body.get("stream") else answer.json()

    def read(self, answer: Any) -> Understood:
        return READ[self.dialect](answer)

    async def hear_all(self) -> None:
        """Whole, streamed, and with a tool whose result comes back."""
        question = ask(self.dialect, f"Say hello to {self.provider}.")
        echoed = f"echo: Say hello to {self.provider}."
        model = f"{self.provider}/auto"
        assert self.read(await self.send(model, question)).text == echoed
        assert self.read(await self.send(model, question | {"stream": True})).text == echoed
        model = WITH_TOOLS.get(self.provider, model)
        question = ask(self.dialect, f"Please call the tool, {self.provider}.") | offer(
            self.dialect
        )
        answer = await self.send(model, question | {"stream": True})
        assert [call[1:] for call in self.read(answer).calls] == [("get_weather", CALLED)]
        told = await self.send(model, give_result(self.dialect, question, answer))
        assert self.read(told).text == f"tool said: {RESULT}"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_each_new_provider_answers(later: httpx.Client, dialect: str) -> None:
    async def call_all() -> None:
        url, headers = later.base_url, later.headers
        async with httpx.AsyncClient(base_url=url, timeout=60, headers=headers) as client:
            callers = [Caller(client, dialect, name) for name in PROVIDERS]
            for caller in callers:
                await caller.hear_all()

    assert len(PROVIDERS) == 17
    asyncio.run(call_all())


def test_servers_of_ones_own_are_listed_with_the_models_that_they_have(
    later: httpx.Client,
) -> None:
    listed = {model["id"] for model in later.get("/v1/models").json()["data"]}
    named = {f"{name}/{MODEL}" for name in ("ollama", "vllm", "lab", "gpu-2")}
    assert named <= listed


def test_several_servers_answer_beside_each_other(later: httpx.Client) -> None:
    body = {"prompt": "Who are you?", "model": f"lab/{MODEL}", "fallback": ["gpu-2", "ollama"]}
    answer = later.post("/v1/generate", json=body).json()
    assert (answer["provider"], answer["metadata"]["cost"]) == ("lab", 0)
    other = later.post("/v1/generate", json=body | {"model": "gpu-2/auto"}).json()
    assert (other["provider"], other["model"]) == ("gpu-2", MODEL)
