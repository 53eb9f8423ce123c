"""Retries, breakers and batches in the real runtime."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import accumulate
from random import Random
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import Script
from tests.e2e.deployments import ADMIN_TOKEN, Deployments
from tests.e2e.sse import events


@pytest.fixture
def url(deployments: Deployments) -> str:
    return deployments.get("routing").url


@pytest.fixture
def routing(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, timeout=60) as client:
        assert client.delete("/admin/breakers").status_code == 204
        yield client


@pytest.fixture
def canary(deployments: Deployments) -> Iterator[httpx.Client]:
    """A deployment of three providers with a canary, hedges, and the free plan's limits."""
    url = deployments.get("canary").url
    headers = {"authorization": f"Bearer {ADMIN_TOKEN}", "x-proxy-explain": "1"}
    with httpx.Client(base_url=url, headers=headers, timeout=60) as client:
        assert client.delete("/admin/breakers").status_code == 204
        yield client


def eventually(look: Callable[[], Any], wanted: Any) -> Any:
    """What is seen in the end, 5 s from now at the latest."""
    for _ in range(50):
        if look() == wanted:
            break
        time.sleep(0.1)
    return look()


def test_of_three_providers_one_fails_at_random(url: str, routing: Any, script: Script) -> None:
    chance = Random(1)
    left = iter(range(1500))

    async def load() -> Counter[int]:
        async with httpx.AsyncClient(base_url=url, timeout=60) as client:

            async def connection() -> list[int]:
                statuses = []
                for number in left:
                    fault = {"openai": {"status": chance.choice((500, 503, 429))}}
                    prompt = script(f"{number}", **(fault if chance.random() < 0.5 else {}))
                    body = {"prompt": prompt, "cache": {"mode": "off"}}
                    statuses.append((await client.post("/v1/generate", json=body)).status_code)
                return statuses

            found = await asyncio.gather(*(connection() for _ in range(20)))
        return Counter(status for statuses in found for status in statuses)

    statuses = asyncio.run(load())
    assert statuses.total() == 1500
    assert statuses[200] >= 0.999 * 1500, statuses


def test_a_provider_that_fails_is_tried_again(
    routing: httpx.Client, script: Script, received: Any
) -> None:
    prompt = script(openai={"status": 503, "times": 1})
    answer = routing.post("/v1/generate", json={"prompt": prompt}).json()
    first, second = answer["metadata"]["attempts"]
    assert (first["outcome"], second["outcome"]) == ("unavailable", "ok")
    assert 0 <= first["start"] <= first["start"] + first["ms"] <= second["start"]
    assert [request["status"] for request in received()] == [503, 200]


def test_a_breaker_opens_is_shown_and_reset(routing: httpx.Client, script: Script) -> None:
    body = {
        "prompt": script(openai={"status": 401}),
        "cache": {"mode": "off"},
        "strategy": "priority",  # else the conversation stays where it was answered
    }
    first = routing.post("/v1/generate", json=body).json()
    assert [a["outcome"] for a in first["metadata"]["attempts"]] == ["unauthorized", "ok"]
    second = routing.post("/v1/generate", json=body).json()
    assert second["metadata"]["attempts"][0]["outcome"] == "breaker_open"
    shown = routing.get("/admin/breakers").json()["breakers"]["openai"]
    assert (shown["phase"], shown["reason"]) == ("open", "misconfigured")
    providers = routing.get("/health/providers").json()["providers"]
    [openai] = [entry for entry in providers if entry["name"] == "openai"]
    assert openai["breaker"]["phase"] == "open"
    assert routing.delete("/admin/breakers", params={"provider": "openai"}).status_code == 204
    third = routing.post("/v1/generate", json=body).json()
    assert third["metadata"]["attempts"][0]["outcome"] == "unauthorized"


def test_the_choice_is_explained_to_operators(routing: httpx.Client, script: Script) -> None:
    body = {"prompt": script(), "strategy": "cheapest"}
    headers = {"x-proxy-explain": "1"}
    metadata = routing.post("/v1/generate", json=body, headers=headers).json()["metadata"]
    assert metadata["routing"][0]["strategy"] == "cheapest"
    costs = [one["parts"]["cost_usd"] for one in metadata["routing"][0]["candidates"]]
    assert len(costs) > 1
    assert costs == sorted(costs)
    assert "routing" not in routing.post("/v1/generate", json=body).json()["metadata"]


def test_cloudflares_headers(routing: httpx.Client, script: Script, received: Any) -> None:
    # A provider whose retry budget no other test has spent.
    alone = {"provider": "huggingface", "fallback": False}
    body = {"prompt": script(huggingface={"status": 503})} | alone
    headers = {"cf-aig-max-attempts": "3", "cf-aig-retry-delay": "1", "cf-aig-backoff": "constant"}
    assert routing.post("/v1/generate", json=body, headers=headers).status_code == 502
    assert len(received()) == 3
    body = {"prompt": script(huggingface={"delay_ms": 5000})} | alone
    began = time.monotonic()
    headers = {"cf-aig-request-timeout": "300"}
    assert routing.post("/v1/generate", json=body, headers=headers).status_code == 504
    assert time.monotonic() - began < 3
    wrong = routing.post("/v1/generate", json=body, headers={"cf-aig-max-attempts": "many"})
    assert wrong.status_code == 400
    assert "cf-aig-max-attempts" in wrong.json()["error"]["message"]


def test_a_stream_whose_caller_leaves_is_finished_and_kept(
    routing: httpx.Client, script: Script, received: Any
) -> None:
    body = {"prompt": script("one two three four five", openai={"event_delay_ms": 200})}
    with routing.stream("POST", "/v1/generate", json=body | {"stream": True}) as answer:
        next(answer.iter_raw())
    ended = eventually(lambda: [request["ended"] for request in received()], ["complete"])
    assert ended == ["complete"]
    for _ in range(20):
        kept = routing.post("/v1/generate", json=body)
        if kept.headers["cf-aig-cache-status"] == "HIT":
            break
        time.sleep(0.1)
    assert kept.json()["data"] == "echo: one two three four five"
    assert kept.headers["cf-aig-cache-status"] == "HIT"


class TestStrategies:
    def ask(self, client: httpx.Client, prompt: str, **fields: Any) -> dict[str, Any]:
        body = {"prompt": prompt, "cache": {"mode": "off"}} | fields
        answer = client.post("/v1/generate", json=body)
        told: dict[str, Any] = answer.json()
        return told

    def measure(self, client: httpx.Client, prompt: str, *, times: int, model: str) -> None:
        for _ in range(times):
            self.ask(client, prompt, model=model, fallback=False)

    def test_a_canary_gets_its_share_and_keeps_its_users(
        self, canary: httpx.Client, script: Script
    ) -> None:
        def provider(user: int) -> str:
            who: str = self.ask(canary, script(f"{user}"), user=f"user-{user}")["provider"]
            return who

        first = [provider(user) for user in range(150)]
        assert set(first) == {"openai", "groq"}
        assert 0.1 < first.count("groq") / len(first) < 0.3
        for _ in range(2):
            assert [provider(user) for user in range(20)] == first[:20]

    def test_the_reliable_one(self, canary: httpx.Client, script: Script) -> None:
        fault = script(openai={"status": 500})
        for prompt in (script(), script(), fault) * 5:  # too few faults for its breaker
            self.measure(canary, prompt, times=1, model="openai/smart")
        self.measure(canary, script(), times=12, model="groq/smart")
        self.measure(canary, script(), times=1, model="deepseek/smart")
        told = self.ask(canary, script(), model="smart", strategy="reliable")
        [routing, *_] = told["metadata"]["routing"]
        success = {one["provider"]: one["score"] for one in routing["candidates"]}
        assert success["groq"] > success["deepseek"] > success["openai"]
        assert success["deepseek"] == pytest.approx(0.96, abs=0.01)  # after one success of one
        if not routing["explored"]:  # one in fifty goes to deepseek, to measure it
            assert told["provider"] == "groq"
            assert list(success) == ["groq", "deepseek", "openai"]

    def test_the_fastest_one(self, canary: httpx.Client, script: Script) -> None:
        for provider, prompt in (
            ("openai", script(openai={"delay_ms": 600})),
            ("groq", script()),
            ("deepseek", script(deepseek={"delay_ms": 600})),
        ):
            self.measure(canary, prompt, times=5, model=f"{provider}/fast")
        told = self.ask(canary, script(), model="fast", strategy="fastest")
        assert told["provider"] == "groq"
        scores = [one["score"] for one in told["metadata"]["routing"][0]["candidates"]]
        assert scores == sorted(scores)

    @pytest.mark.parametrize("stream", [False, True])
    def test_a_hedge(
        self, canary: httpx.Client, script: Script, received: Any, stream: bool
    ) -> None:
        budget = {"user": "hedger", "budget": {"day": 1}}
        key = canary.post("/admin/keys", json=budget).json()
        body = {
            "prompt": script("one two three", openai={"delay_ms": 20_000}),
            "model": "openai/gpt-4o",
            "fallback": ["groq"],
            "cache": {"mode": "off"},
            "stream": stream,
        }
        began = time.monotonic()
        bearer = {"authorization": f"Bearer {key['key']}"}
        with canary.stream("POST", "/v1/generate", json=body, headers=bearer) as answer:
            told = list(events(answer))[-1][1] if stream else json.loads(answer.read())
        assert 1.5 <= time.monotonic() - began < 10
        assert told["provider"] == "groq"
        slow, quick = received()
        assert (slow["provider"], quick["provider"]) == ("openai", "groq")
        assert quick["start"] > slow["start"]
        assert eventually(lambda: received()[0]["ended"], "client_gone") == "client_gone"

        def account() -> Any:
            return canary.get("/admin/limits", params={"key": key["id"]}).json()

        assert eventually(lambda: account()["reservations"], 0) == 0
        # Both are paid for: openai, at $2.50 a million tokens, has read the prompt at least.
        assert account()["spent_day"] / 1e9 > told["metadata"]["cost"] + 10 * 2.5e-6


def most_at_once(received: list[Any]) -> int:
    """How many of the upstream's requests were under way together, at most."""
    moments = [(request["start"], 1) for request in received]
    moments += [(request["start"] + request["ms"] / 1000, -1) for request in received]
    return max(accumulate(step for _, step in sorted(moments)))


SLOW = {name: {"delay_ms": 200} for name in ("openai", "groq", "deepseek")}


class TestBatch:
    def test_whole(self, routing: httpx.Client, script: Script, received: Any) -> None:
        requests: list[Any] = [{"prompt": script(f"{number % 40}")} for number in range(98)]
        requests += [{"prompt": ""}, {"prompt": script("x", openai={"status": 400})}]
        answer = routing.post("/v1/batch", json={"requests": requests})
        assert answer.status_code == 200
        told = answer.json()
        assert told["summary"] == {"total": 100, "succeeded": 98, "failed": 2}
        for number, result in enumerate(told["results"][:98]):
            assert result["response"]["data"] == f"echo: {number % 40}"
        assert [result["status"] for result in told["results"][98:]] == [400, 400]
        assert len(received()) == 41

    def test_parts(self, routing: httpx.Client, script: Script, received: Any) -> None:
        requests = [{"prompt": script(f"{n}", openai={"delay_ms": 100})} for n in range(59)]
        requests.insert(30, {"prompt": script("x", openai={"status": 400})})
        told = routing.post("/v1/batch", json={"requests": requests}).json()
        assert told["summary"] == {"total": 60, "succeeded": 59, "failed": 1}
        assert told["results"][30]["status"] == 400
        texts = [result["response"].get("data") for result in told["results"]]
        del texts[30]
        assert texts == [f"echo: {number}" for number in range(59)]
        assert len(received()) == 60
        assert most_at_once(received()) <= 6

    def test_parts_streamed(self, routing: httpx.Client, script: Script, received: Any) -> None:
        requests = [{"prompt": script(f"{n}", openai={"delay_ms": 100})} for n in range(59)]
        requests.append({"prompt": script("x", openai={"status": 400})})
        body = {"requests": requests, "stream": True}
        with routing.stream("POST", "/v1/batch", json=body) as answer:
            told = events(answer)
            first = next(told)
            assert len(received()) < 30  # it is told while others are still to come
            [*results, (name, done)] = told
        assert (first[0], name) == ("result", "done")
        assert done["summary"] == {"total": 60, "succeeded": 59, "failed": 1}
        indexes = [data["index"] for _, data in [first, *results]]
        assert sorted(indexes) == list(range(60))
        assert most_at_once(received()) <= 6

    def test_nobody_is_left_to_tell(
        self, routing: httpx.Client, script: Script, received: Any, deployments: Deployments
    ) -> None:
        requests = [{"prompt": script(f"{n}", openai={"delay_ms": 400})} for n in range(60)]
        body = {"requests": requests, "stream": True}
        with routing.stream("POST", "/v1/batch", json=body) as answer:
            told = events(answer)
            for _ in range(3):
                next(told)
        time.sleep(3)
        begun = len(received())
        assert begun <= 24  # neither the rest of this part nor the next ones
        assert all(request["ended"] != "open" for request in received())
        time.sleep(1)
        assert len(received()) == begun
        for sign in ("Traceback", "Uncaught", "hung", "stream failed"):
            assert sign not in deployments.log("routing")

    def test_parts_of_parts(self, canary: httpx.Client, script: Script, received: Any) -> None:
        # Of 50 subrequests one request may take all, and 60 calls are more than that.
        requests = [{"prompt": script(f"{n}", **SLOW)} for n in range(60)]
        told = canary.post("/v1/batch", json={"requests": requests}).json()
        assert told["summary"] == {"total": 60, "succeeded": 60, "failed": 0}
        texts = [result["response"]["data"] for result in told["results"]]
        assert texts == [f"echo: {number}" for number in range(60)]
        assert most_at_once(received()) == 6

    def test_streamed(self, routing: httpx.Client, script: Script) -> None:
        requests = [
            {"prompt": script("slow", openai={"delay_ms": 1500})},
            {"prompt": script("quick")},
        ]
        body = {"requests": requests, "stream": True}
        with routing.stream("POST", "/v1/batch", json=body) as answer:
            told = list(events(answer))
        assert [name for name, _ in told] == ["result", "result", "done"]
        assert [data["index"] for _, data in told[:2]] == [1, 0]
