"""The cache in the real Worker: memory, KV and R2, who may see what, one flight, purges."""

import re
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from random import Random
from typing import Any

import httpx
import pytest

from tests.e2e.deployments import ADMIN_TOKEN, CALLER_KEY, Deployments
from tests.e2e.sse import events
from tests.upstream import Upstream

Received = Callable[[], list[Any]]


def ask(client: httpx.Client, prompt: str, **more: Any) -> httpx.Response:
    headers = more.pop("headers", None)
    body = {"prompt": prompt, "provider": "openai", **more}
    return client.post("/v1/generate", json=body, headers=headers)


def chat(client: httpx.Client, prompt: str, **more: Any) -> httpx.Response:
    body = {"model": "openai/auto", "messages": [{"role": "user", "content": prompt}], **more}
    return client.post("/v1/chat/completions", json=body)


def test_the_second_time_it_is_there(proxy: httpx.Client, script: Any, received: Received) -> None:
    first, second = ask(proxy, script()), ask(proxy, script())
    assert first.headers["cache-status"] == "proxy-memory; fwd=miss"
    assert first.headers["cf-aig-cache-status"] == "MISS"
    assert second.headers["cache-status"].startswith("proxy-memory; hit; ttl=")
    assert second.headers["cf-aig-cache-status"] == "HIT"
    assert int(second.headers["age"]) <= 5
    told = second.json()
    assert told["data"] == first.json()["data"]
    assert told["usage"] == first.json()["usage"]
    assert (told["metadata"]["cacheStatus"], told["metadata"]["cacheTier"]) == ("hit", "memory")
    assert told["metadata"]["cost"] == 0
    assert len(received()) == 1


@pytest.mark.parametrize("first", ["native", "openai", "native stream", "openai stream"])
def test_one_entry_serves_every_form(
    proxy: httpx.Client, script: Any, received: Received, first: str
) -> None:
    forms: dict[str, Callable[[], httpx.Response]] = {
        "native": lambda: ask(proxy, script("One two.")),
        "openai": lambda: chat(proxy, script("One two.")),
        "native stream": lambda: ask(proxy, script("One two."), stream=True),
        "openai stream": lambda: chat(proxy, script("One two."), stream=True),
    }
    forms[first]()
    assert forms["native"]().json()["data"] == "echo: One two."
    whole = forms["openai"]().json()
    assert whole["choices"][0]["message"]["content"] == "echo: One two."
    assert whole["usage"]["completion_tokens"] == 3
    told = list(events(forms["native stream"]()))
    assert "".join(data.get("text", "") for _, data in told[:-1]) == "echo: One two."
    assert told[-1][1]["metadata"]["cacheStatus"] == "hit"
    chunks = [data for _, data in events(forms["openai stream"]())]
    assert chunks[-1] == "[DONE]"
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks[:-1]]
    assert "".join(delta.get("content") or "" for delta in deltas) == "echo: One two."
    assert len(received()) == 1


def test_tool_calls_are_kept(proxy: httpx.Client, script: Any, received: Received) -> None:
    tool = {"type": "function", "function": {"name": "get_weather", "parameters": {}}}
    prompt = script("call the tool twice")
    first = ask(proxy, prompt, tools=[tool], provider="gemini").json()
    again = ask(proxy, prompt, tools=[tool], provider="gemini", stream=True)
    told = list(events(again))[-1][1]
    assert told["toolCalls"] == first["toolCalls"]
    assert len(received()) == 1


@pytest.mark.parametrize(
    ("more", "calls"),
    [
        ({"cache": {"mode": "off"}}, 2),
        ({"cache": {"mode": "refresh"}}, 2),
        ({"headers": {"cache-control": "no-store"}}, 2),
        ({"headers": {"cache-control": "no-cache"}}, 2),
        ({"headers": {"cf-aig-skip-cache": "true"}}, 2),
        ({"headers": {"cache-control": "max-age=600"}}, 1),
        ({"headers": {"cf-aig-cache-ttl": "60"}}, 1),
        ({"temperature": 0.5}, 2),
        ({"maxTokens": 5}, 2),
    ],
    ids=str,
)
def test_callers_control_it(
    proxy: httpx.Client, script: Any, received: Received, more: Any, calls: int
) -> None:
    ask(proxy, script())
    ask(proxy, script(), **more)
    assert len(received()) == calls


def test_only_if_cached(proxy: httpx.Client, script: Any, received: Received) -> None:
    headers = {"cache-control": "only-if-cached"}
    refused = ask(proxy, script(), headers=headers)
    assert refused.status_code == 504
    assert received() == []
    ask(proxy, script())
    assert ask(proxy, script(), headers=headers).status_code == 200


def test_a_key_of_the_callers_own(proxy: httpx.Client, script: Any, received: Received) -> None:
    headers = {"cf-aig-cache-key": f"mine-{time.time()}"}
    first = ask(proxy, script("One."), headers=headers)
    other = ask(proxy, script("Something else."), headers=headers)
    assert other.json()["data"] == first.json()["data"]
    assert len(received()) == 1


@pytest.mark.parametrize(
    "behaviour", [{"break_after": 3}, {"end_after": 3}, {"error_event_after": 3}], ids=str
)
def test_a_broken_stream_is_not_kept(
    proxy: httpx.Client, script: Any, received: Received, behaviour: Any
) -> None:
    prompt = script("one two three four five", openai=behaviour | {"times": 1})
    assert list(events(ask(proxy, prompt, stream=True)))[-1][0] == "error"
    assert list(events(ask(proxy, prompt, stream=True)))[-1][0] == "done"
    assert len(received()) == 2


def test_a_fallbacks_answer_is_kept_as_its_own(
    proxy: httpx.Client, script: Any, received: Received
) -> None:
    prompt = script(groq={"status": 500, "times": 1})
    body = {"prompt": prompt, "model": "groq/openai/gpt-oss-120b", "fallback": ["openai"]}
    assert proxy.post("/v1/generate", json=body).json()["provider"] == "openai"
    assert proxy.post("/v1/generate", json=body).json()["provider"] == "groq"


def test_a_stale_answer_is_better_than_none(
    proxy: httpx.Client, script: Any, upstream: Upstream
) -> None:
    def again(**more: Any) -> httpx.Response:
        return ask(proxy, script("Stay."), cache={"ttl": 1}, fallback=False, **more)

    fresh = again()
    time.sleep(2)
    upstream.plan({"openai": {"status": 503}})
    try:
        stale, streamed = again(), again(stream=True)
        assert ask(proxy, script("Never seen."), fallback=False).status_code == 502
    finally:
        upstream.plan({})
    assert stale.json()["data"] == fresh.json()["data"]
    assert stale.json()["metadata"]["cacheStatus"] == "stale"
    assert re.fullmatch(
        r"proxy-memory; hit; ttl=-[1-9]\d*; detail=stale-if-error", stale.headers["cache-status"]
    )
    assert list(events(streamed))[-1][1]["metadata"]["cacheStatus"] == "stale"
    assert again().headers["cache-status"] == "proxy-memory; fwd=stale"


def until_hit(client: httpx.Client, prompt: str, tier: str, **more: Any) -> str:
    """Asks until the tier answers (its write comes after the answer); the last cache status."""
    status = ""
    for _ in range(20):
        status = ask(client, prompt, **more).headers["cache-status"]
        if status.startswith(f"proxy-{tier}; hit"):
            break
        time.sleep(0.1)
    return status


def test_another_isolate_finds_the_small_in_kv_and_the_large_in_r2(
    deployments: Deployments, script: Any, received: Received
) -> None:
    text = b64encode(Random(1).randbytes(1_200_000)).decode()  # hardly deflated
    small, large = script(), script("Say much.", openai={"text": text})
    model = "openai/of-a-context-that-nobody-knows"
    with _started(deployments, "restarted") as client:
        ask(client, small)
        assert ask(client, large, model=model).json()["data"] == text
        assert "proxy-memory; hit" in until_hit(client, small, "memory")
        assert "proxy-r2; hit" in until_hit(client, large, "r2", model=model)
    with _started(deployments, "restarted") as client:
        first = ask(client, small, stream=True)
        assert first.headers["cache-status"].startswith("proxy-kv; hit; ttl=")
        assert list(events(first))[-1][1]["metadata"]["cacheTier"] == "kv"
        assert "proxy-memory; hit" in ask(client, small).headers["cache-status"]
        whole = ask(client, large, model=model)
        assert whole.headers["cache-status"].startswith("proxy-r2; hit; ttl=")
        assert (whole.json()["data"], whole.json()["metadata"]["cacheTier"]) == (text, "r2")
    assert len(received()) == 2


def test_without_kv_r2_holds_everything(
    deployments: Deployments, script: Any, received: Received
) -> None:
    for status in ("proxy-memory; fwd=miss", "proxy-r2; hit; ttl="):
        with _started(deployments, "kvless") as client:
            assert ask(client, script()).headers["cache-status"].startswith(status)
            assert "proxy-memory; hit" in until_hit(client, script(), "memory")
            time.sleep(0.5)
    assert len(received()) == 1


@contextmanager
def _started(deployments: Deployments, name: str) -> Iterator[httpx.Client]:
    """A client of a new isolate, on what those before it have stored."""
    with httpx.Client(base_url=deployments.restart(name).url, timeout=60) as client:
        yield client


def test_without_the_lower_tiers_it_still_answers(tierless: httpx.Client, script: Any) -> None:
    began = time.monotonic()
    assert ask(tierless, script()).json()["data"] == "echo: Say hello."
    assert time.monotonic() - began < 2
    assert "proxy-memory; hit" in until_hit(tierless, script(), "memory")


def test_work_after_the_answer_that_waits_for_nothing_is_no_error(
    deployments: Deployments, coalescing: str, script: Any
) -> None:
    with httpx.Client(base_url=coalescing, timeout=60) as client:
        assert ask(client, script()).status_code == 200  # kept in memory alone
    time.sleep(0.5)
    assert "Uncaught" not in deployments.log("coalescing")


def test_tenants_are_kept_apart(keyed: httpx.Client, script: Any, received: Received) -> None:
    users = [{"authorization": f"Bearer {key}"} for key in (CALLER_KEY, ADMIN_TOKEN)]
    for _ in range(2):
        for headers in users:
            assert ask(keyed, script(), headers=headers).status_code == 200
    assert len(received()) == 2
    own = [user | {"cf-aig-cache-key": "the-same-name"} for user in users]
    for headers in own:
        ask(keyed, script("Named."), headers=headers)
    assert len(received()) == 4


@pytest.mark.parametrize("scope", ["key", "model", "user", "all"])
def test_purge(keyed: httpx.Client, script: Any, received: Received, scope: str) -> None:
    caller = {"authorization": f"Bearer {CALLER_KEY}"}
    admin = {"authorization": f"Bearer {ADMIN_TOKEN}"}
    for _ in range(2):
        hit = ask(keyed, script(), headers=caller)
    told = hit.json()
    value = {
        "key": hit.headers["x-proxy-cache-key"],
        "model": f"{told['provider']}/{told['model']}",
        "user": "default",
        "all": "true",
    }[scope]
    refused = keyed.delete("/admin/cache", params={scope: value}, headers=caller)
    assert refused.status_code == 403
    assert keyed.delete("/admin/cache", params={scope: value}, headers=admin).status_code == 204
    assert ask(keyed, script(), headers=caller).headers["cf-aig-cache-status"] == "MISS"
    assert ask(keyed, script(), headers=caller).headers["cf-aig-cache-status"] == "HIT"
    assert len(received()) == 2


def test_purge_says_what_it_wants(keyed: httpx.Client) -> None:
    admin = {"authorization": f"Bearer {ADMIN_TOKEN}"}
    for query in ("", "?key=a&model=b", "?everything=true", "?all=yes"):
        answer = keyed.delete(f"/admin/cache{query}", headers=admin)
        assert answer.status_code == 400
        assert answer.json()["error"]["message"]


def at_once(url: str, bodies: list[dict[str, Any]]) -> list[httpx.Response]:
    with (
        httpx.Client(base_url=url, timeout=60, limits=httpx.Limits(max_connections=200)) as client,
        ThreadPoolExecutor(len(bodies)) as pool,
    ):
        return list(pool.map(lambda body: client.post("/v1/generate", json=body), bodies))


def test_one_flight_for_200_callers(coalescing: str, script: Any, received: Received) -> None:
    prompt = script("Fly.", openai={"delay_ms": 1500})
    bodies = [{"prompt": prompt, "provider": "openai", "stream": bool(n % 2)} for n in range(200)]
    answers = at_once(coalescing, bodies)
    assert Counter(answer.status_code for answer in answers) == {200: 200}
    for answer, body in zip(answers, bodies, strict=True):
        if body["stream"]:
            told = list(events(answer))
            assert told[-1][0] == "done"
            assert "".join(data.get("text", "") for _, data in told[:-1]) == "echo: Fly."
        else:
            assert answer.json()["data"] == "echo: Fly."
    assert len(received()) == 1
    assert any("collapsed" in answer.headers["cache-status"] for answer in answers)


def test_the_leaders_error_is_everyones(coalescing: str, script: Any, received: Received) -> None:
    prompt = script("Fail.", openai={"status": 503, "delay_ms": 1000})
    body = {"prompt": prompt, "provider": "openai", "fallback": False}
    answers = at_once(coalescing, [body] * 20)
    assert Counter(answer.status_code for answer in answers) == {502: 20}
    assert len(received()) == 1


def test_a_leader_who_leaves_hands_over(coalescing: str, script: Any, received: Received) -> None:
    prompt = script("word " * 100, openai={"event_delay_ms": 30, "times": 1})
    body = {"prompt": prompt, "provider": "openai", "stream": True}
    with (
        httpx.Client(base_url=coalescing, timeout=60) as client,
        ThreadPoolExecutor(1) as pool,
        client.stream("POST", "/v1/generate", json=body) as leader,
    ):
        next(leader.iter_lines())
        follower = pool.submit(client.post, "/v1/generate", json=body)
        time.sleep(0.5)
        leader.close()
        answer = follower.result(timeout=20)
    assert list(events(answer))[-1][0] == "done"
    assert len(received()) == 2


def test_500_at_once(open_url: str, script: Any) -> None:
    """Half of them identical, all others different."""
    numbers = [0 if n % 2 else n for n in range(500)]
    prompts = [script(f"Number {number}.") for number in numbers]
    answers = at_once(open_url, [{"prompt": prompt, "provider": "openai"} for prompt in prompts])
    assert Counter(answer.status_code for answer in answers) == {200: 500}
    assert [answer.json()["data"] for answer in answers] == [
        f"echo: Number {number}." for number in numbers
    ]
