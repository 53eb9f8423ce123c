"""For everything that a caller controls, another caller is answered as before.

Mallory sends, again and again, what could take a provider, an object or the isolate from others:
bodies, headers, time-outs, models, images, keys. Ann then asks the same provider a plain question
and has its answer at once, from it.
"""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs

from proxy.access.authenticator import format_secret, hash_secret
from proxy.access.keys import Key
from proxy.core.errors import Fault
from proxy.core.ports import Outgoing
from proxy.core.principal import Limits
from proxy.core.web import Request
from tests.unit.callers import request
from tests.unit.doubles import FakeReply, LoopClock, in_no_time
from tests.unit.routing.making import DONE, HELLO, ROLE, STOP, whole
from tests.unit.serving.making import NATIVE, OPENAI, House, Received, stream_of

PROVIDERS = {
    "GROQ_API_KEY": "key-of-groq",
    "GEMINI_API_KEY": "key-of-gemini",
    "FALLBACK_CHAIN": "openai,groq,gemini",
    "ADMIN_TOKEN": "admin",
    "RETRY_ATTEMPTS": "2",
    "RETRY_DELAY_MS": "0",
}
SECRETS = {
    name: format_secret("development", pair * 32)
    for name, pair in (("ann", "ab"), ("mallory", "cd"))
}
MARK = "mallory says"
REPEATS = 12
"""More than the calls by which a breaker judges (routing.breaker.Policy.minimum)."""

Answer = Callable[[Outgoing], FakeReply | Fault | float]


def refusal(status: int, *, headers: dict[str, str] | None = None, **fields: Any) -> Answer:
    body = json.dumps({"error": {"message": "no", "type": "x", "code": None} | fields}).encode()
    return lambda _: FakeReply(body, status=status, headers=headers)


def gemini_ends(reason: str) -> Answer:
    body = json.dumps({"candidates": [{"finishReason": reason, "index": 0}]}).encode()
    return lambda _: FakeReply(body)


def is_mallorys(outgoing: Outgoing) -> bool:
    return MARK.encode() in (outgoing.body or b"")


def gemini_says(text: str) -> FakeReply:
    candidate = {"content": {"parts": [{"text": text}], "role": "model"}, "finishReason": "STOP"}
    usage = {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2}
    return FakeReply(json.dumps({"candidates": [candidate], "usageMetadata": usage}).encode())


class Street(House):
    """Two neighbours at one proxy; `hostile` is what providers make of Mallory's requests."""

    def __init__(self, hostile: Answer = lambda _: whole("Hi!"), **env: str) -> None:
        super().__init__(self.answer, LoopClock(), **PROVIDERS | env)
        self.hostile = hostile
        for name, secret in SECRETS.items():
            limits = Limits(per_hour=100_000, burst=1_000)
            key = Key(id=f"key_{name}", user=name, created_at=0, limits=limits)
            self.objects.keys.book.issue(key, hash_secret(secret))

    def answer(self, outgoing: Outgoing) -> FakeReply | Fault | float:
        if is_mallorys(outgoing) or "image" in outgoing.url:
            return self.hostile(outgoing)
        return gemini_says("for ann") if "google" in outgoing.url else whole("for ann")

    def chat_request(self, body: dict[str, Any], path: str, headers: dict[str, str]) -> Request:
        if path in (NATIVE, OPENAI):
            return super().chat_request(body, path, headers)
        return structs.replace(request("POST", path, body, **headers), defer=self.defer)

    async def call(
        self, name: str, path: str = NATIVE, /, headers: Any = None, **body: Any
    ) -> Received:
        given = {"authorization": f"Bearer {SECRETS[name]}", "cf-connecting-ip": "192.0.2.7"}
        return await self.post(path, headers=given | (headers or {}), **body)

    async def mallory(self, path: str = NATIVE, /, headers: Any = None, **body: Any) -> Received:
        plain = {"prompt": f"{MARK} hello", "fallback": False, "cache": {"mode": "off"}}
        if path == OPENAI:
            plain = {"messages": [{"role": "user", "content": f"{MARK} hello"}], "fallback": False}
        body = {name: value for name, value in (plain | body).items() if value is not None}
        return await self.call("mallory", path, headers, **body)

    async def ann_is_served(self, model: str = "openai/gpt-4o") -> None:
        """At once, by the provider that she named, here and in a new isolate."""
        for app in (self.app, self.isolate()):
            self.app = app
            asked = {"prompt": "a plain question", "model": model, "cache": {"mode": "off"}}
            told = await self.call("ann", **asked)
            assert told.status == 200, told.body
            assert told.json["provider"] == model.partition("/")[0]
            assert told.json["data"] == "for ann"


PROJECT = "Project `p` does not have access to model `gpt-4o`"
REFUSALS: dict[str, Answer] = {
    "a model that the project lacks": refusal(403, message=PROJECT, code="model_not_found"),
    "a plain 403": refusal(403),
    "a moderated prompt": refusal(403, message="Your input was flagged by moderation."),
    "a model that is gone": refusal(404, code="model_not_found"),
    "a wrong body": refusal(400),
    "a body too large": refusal(413),
    "a wrong field": refusal(422),
    "a request that is too large for the limit": refusal(
        429, message="Request too large for gpt-4o"
    ),
    "another model's quota": refusal(429, headers={"retry-after": "3000"}),
    "silence": lambda _: 10_000.0,
}


@pytest.mark.parametrize("hostile", REFUSALS.values(), ids=list(REFUSALS))
@pytest.mark.parametrize("path", [NATIVE, OPENAI])
@in_no_time
async def test_what_a_provider_refuses_mallory_is_no_matter_of_anns(
    hostile: Answer, path: str
) -> None:
    street = Street(hostile)
    for _ in range(REPEATS):
        await street.mallory(path, model="openai/gpt-5.4-mini", timeout=50)
    await street.ann_is_served()


ECHOED = (
    "api key not valid",
    "API key not valid. Please pass a valid API key.",
    "invalid_api_key",
    "api_key_invalid",
    "location not supported",
    "User location is not supported",
    "not available in your country",
    "permission_denied",
    "your account",
    "x' your account is suspended '",
    "billing",
    "invalid model",
    "model_not_found",
    "gpt-4o",
    "model gpt-4o does not exist",
    "insufficient_quota",
    "free-models-per-day",
    "this organization",
    "request too large",
)
FORMS = (
    "Invalid value for the tool '{}'.",
    "{} is not a valid tool name",
    "Unknown tool: {}",
    "The function `{}` is not allowed here.",
    'Unknown name "{}": Cannot find field.',
    "Your prompt holds {}, which is blocked.",
)


@pytest.mark.parametrize("status", [400, 403, 404, 422])
@pytest.mark.parametrize("form", FORMS)
@in_no_time
async def test_a_providers_message_that_repeats_what_mallory_wrote(status: int, form: str) -> None:
    street = Street()
    for echoed in ECHOED:
        street.hostile = refusal(status, message=form.format(echoed))
        told = await street.mallory(model="openai/gpt-4o", prompt=f"{MARK} {echoed}")
        assert told.status in (400, 404, 422, 502)
        await street.ann_is_served()


@pytest.mark.parametrize("status", [400, 403, 404, 422, 429])
@pytest.mark.parametrize(
    "form", ["{} is not a valid model ID", "No access to {}", "{}: no", "`{}`"]
)
@in_no_time
async def test_a_message_that_repeats_the_name_of_mallorys_model(status: int, form: str) -> None:
    street = Street()
    for name in ECHOED:
        headers = {"retry-after": "3000"} if status == 429 else {}
        street.hostile = refusal(status, headers=headers, message=form.format(name))
        await street.mallory(model=f"openai/{name}")
        await street.ann_is_served()


@pytest.mark.parametrize("form", FORMS)
@in_no_time
async def test_a_429_that_repeats_what_mallory_wrote(form: str) -> None:
    street = Street()
    for echoed in ECHOED:
        limited = refusal(429, headers={"retry-after": "3000"}, message=form.format(echoed))
        street.hostile = limited
        await street.mallory(model="openai/gpt-5.4-mini", prompt=f"{MARK} {echoed}")
        await street.ann_is_served()


OPENROUTER = {"OPENROUTER_API_KEY": "key-of-openrouter"}
VENDORS = "openrouter/deepseek/deepseek-v4-flash"
"""A model that the catalogue lists at OpenRouter."""
BY_VENDORS: dict[str, Answer] = {
    "none is left": refusal(404, message="No allowed providers are available for this model."),
    "it is down": refusal(503, message="Provider returned error"),
    "it lacks credit": refusal(402, metadata={"raw": "Insufficient Balance"}),
    "it is busy": refusal(
        429, metadata={"raw": "Rate limit reached"}, headers={"retry-after": "3000"}
    ),
    "it sends garbage": lambda _: FakeReply(b"<html>"),
    "it is silent": lambda _: 10_000.0,
}


@pytest.mark.parametrize("hostile", BY_VENDORS.values(), ids=list(BY_VENDORS))
@in_no_time
async def test_what_the_vendors_that_mallory_chose_do(hostile: Answer) -> None:
    street = Street(hostile, **OPENROUTER)
    fields = {"model": VENDORS, "provider": {"only": ["a-vendor"]}}
    said = [street.mallory(OPENAI, **fields) for _ in range(REPEATS)]
    for told in await asyncio.gather(*said):
        assert told.status in (404, 429, 502, 504), told.body
    await street.ann_is_served(VENDORS)


@pytest.mark.parametrize("stream", [False, True])
@in_no_time
async def test_a_silent_model_that_only_mallory_names(stream: bool) -> None:
    street = Street(lambda _: 10_000.0)
    hanging = {"model": "openai/a-model-that-hangs", "stream": stream}
    for told in await asyncio.gather(*(street.mallory(**hanging) for _ in range(REPEATS))):
        assert told.status == 504
        assert [a["blame"] for a in told.json["metadata"]["attempts"]] == ["model"]
    await street.ann_is_served()


@in_no_time
async def test_a_stream_that_stalls_of_a_model_that_only_mallory_names() -> None:
    street = Street(lambda _: stream_of(ROLE, HELLO, Fault("timeout", "It stalled.")))
    for _ in range(REPEATS):
        await street.mallory(model="openai/a-model-that-hangs", stream=True)
    await street.ann_is_served()


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("how", ["body", "header"])
@in_no_time
async def test_a_callers_own_deadline(how: str, stream: bool) -> None:
    street = Street(lambda _: 5.0)
    headers = {"cf-aig-request-timeout": "1"} if how == "header" else {}
    fields = {"timeout": 1} if how == "body" else {}
    for _ in range(REPEATS):
        told = await street.mallory(headers=headers, model="openai/gpt-4o", stream=stream, **fields)
        assert told.status == 504
    await street.ann_is_served()


@in_no_time
async def test_a_callers_own_deadline_in_a_running_stream() -> None:
    street = Street(lambda _: stream_of(ROLE, HELLO, 5.0, STOP, DONE))
    for _ in range(REPEATS):
        await street.mallory(model="openai/gpt-4o", stream=True, timeout=100)
    await street.ann_is_served()


EMBEDDINGS = "/v1/embeddings"


@pytest.mark.parametrize("slow", [5.0, FakeReply(b"{", 5.0, b"}")], ids=["headers", "body"])
@in_no_time
async def test_a_callers_own_deadline_of_embeddings(slow: FakeReply | float) -> None:
    street = Street(lambda _: slow)
    headers = {"cf-aig-request-timeout": "50"}
    for _ in range(REPEATS):
        fields = {"model": "openai/text-embedding-3-small", "input": [MARK]}
        told = await street.call("mallory", EMBEDDINGS, headers, **fields)
        assert (told.status, told.json["error"]["message"].count("own time was up")) == (504, 1)
    await street.ann_is_served()


@in_no_time
async def test_callers_own_deadlines_in_a_batch() -> None:
    street = Street(lambda _: 5.0)
    hasty = {"prompt": f"{MARK} x", "model": "openai/gpt-4o", "fallback": False, "timeout": 50}
    items = [hasty | {"prompt": f"{MARK} {number}"} for number in range(REPEATS)]
    told = await street.call("mallory", "/v1/batch", requests=items)
    assert {item["status"] for item in told.json["results"]} == {504}
    await street.ann_is_served()


@pytest.mark.parametrize("stream", [False, True])
@in_no_time
async def test_a_callers_own_deadline_in_hedged_attempts(stream: bool) -> None:
    street = Street(lambda _: 5.0, HEDGE_AFTER_MS="10")
    for _ in range(REPEATS):
        told = await street.mallory(model="auto", fallback=True, timeout=100, stream=stream)
        assert told.status == 504
    for model in ("openai/gpt-4o", "gemini/gemini-2.5-flash"):
        await street.ann_is_served(model)


@in_no_time
async def test_followers_of_a_request_that_gives_up_early() -> None:
    street = Street(lambda _: 5.0, CACHE_COALESCE="on")
    hasty = {"model": "openai/gpt-4o", "timeout": 50, "cache": None}
    for told in await asyncio.gather(*(street.mallory(**hasty) for _ in range(REPEATS))):
        assert told.status == 504
    await street.ann_is_served()


@pytest.mark.parametrize("stream", [False, True])
@in_no_time
async def test_a_list_of_many_models(stream: bool) -> None:
    """Each has little of the time, and the provider as little that hears of all."""
    street = Street(lambda _: 10_000.0)
    models = ["openai/gpt-4o", *(f"openai/gpt-4o-{number}" for number in range(30))]
    asked = {"models": models, "fallback": [], "stream": stream}
    for told in await asyncio.gather(*(street.mallory(OPENAI, **asked) for _ in range(REPEATS))):
        assert told.status in (200, 502, 504), told.body
    await street.ann_is_served()


@pytest.mark.parametrize("stream", [False, True])
@in_no_time
async def test_callers_who_hang_up(stream: bool) -> None:
    street = Street(lambda _: stream_of(ROLE, HELLO, 5.0, STOP, DONE) if stream else 5.0)
    said = [
        asyncio.ensure_future(street.mallory(model="openai/gpt-4o", stream=stream))
        for _ in range(REPEATS)
    ]
    await asyncio.sleep(1)
    for each in said:
        each.cancel()
    await asyncio.gather(*said, return_exceptions=True)
    await street.ann_is_served()


@pytest.mark.parametrize("length", [1, 100_000])
@in_no_time
async def test_answers_that_mallorys_limit_cuts_to_nothing(length: int) -> None:
    body = {"choices": [{"index": 0, "message": {"content": ""}, "finish_reason": "length"}]}
    street = Street(lambda _: FakeReply(json.dumps(body).encode()))
    for _ in range(REPEATS):
        told = await street.mallory(model="openai/gpt-4o", maxTokens=length)
        assert told.status in (200, 400, 502), told.body
    await street.ann_is_served()


@in_no_time
async def test_a_whole_answer_that_takes_long_where_streams_must_not() -> None:
    street = Street(lambda _: FakeReply(9.0, *whole("x").pieces), BREAKER_SLOW_MS="2000")
    for _ in range(REPEATS):
        assert (await street.mallory(model="openai/gpt-4o")).status == 200
    await street.ann_is_served()


REASONS = ("MALFORMED_FUNCTION_CALL", "OTHER", "LANGUAGE", "NO_IMAGE", "RECITATION", "SAFETY")


@pytest.mark.parametrize("reason", [*REASONS, "SOMETHING_NEW"])
@in_no_time
async def test_what_gemini_will_not_answer(reason: str) -> None:
    street = Street(gemini_ends(reason))
    for _ in range(REPEATS):
        await street.mallory(model="gemini/gemini-2.5-flash")
    await street.ann_is_served("gemini/gemini-2.5-flash")


FRAMES: dict[str, bytes] = {
    "no choices": b'data: {"choices": null}\n\n',
    "a frame of a hook": b'data: {"hook_results": {}}\n\n',
    "half a surrogate": b'data: {"choices":[{"index":0,"delta":{"content":"\\ud83d"}}]}\n\n',
    "a ping": b"event: ping\ndata: {}\n\n",
    "an empty event": b"data:\n\n",
}


@pytest.mark.parametrize("frame", FRAMES.values(), ids=list(FRAMES))
@in_no_time
async def test_frames_that_carry_nothing(frame: bytes) -> None:
    street = Street(lambda _: stream_of(frame, ROLE, frame, HELLO, STOP, frame, DONE))
    for _ in range(REPEATS):
        told = await street.mallory(model="openai/gpt-4o", stream=True)
        assert b"event: error" not in told.body
    await street.ann_is_served()


@in_no_time
async def test_a_slow_image_host() -> None:
    street = Street(lambda _: 20.0)
    image = {"type": "image_url", "image_url": {"url": "https://image.example/slow.png"}}
    text = {"type": "text", "text": MARK}
    messages = [{"role": "user", "content": [text, image]}]
    for _ in range(REPEATS):
        told = await street.mallory(
            prompt=None, messages=messages, model="gemini/gemini-2.5-flash", timeout=1000
        )
        assert told.status in (400, 504)
    await street.ann_is_served("gemini/gemini-2.5-flash")


@in_no_time
async def test_wrong_keys_from_anns_address() -> None:
    street = Street()
    for number in range(100):
        wrong = format_secret("development", f"{number:02x}" * 32)
        await street.call("mallory", headers={"authorization": f"Bearer {wrong}"}, prompt="x")
    await street.ann_is_served()


@in_no_time
async def test_a_leader_with_less_patience() -> None:
    """Ann asks what Mallory, who asks first, wants within 10 ms and of one provider only."""
    street = Street(lambda _: whole("x"), CACHE_COALESCE="on", CACHE_SCOPE="shared")
    slow_first = [0.05]

    def answer(outgoing: Outgoing) -> FakeReply | Fault | float:
        return slow_first.pop() if slow_first else whole("for ann")

    street.upstream.answer = answer
    asked = {"prompt": "the same", "model": "openai/gpt-4o"}
    mallory = asyncio.ensure_future(street.call("mallory", **asked, fallback=False, timeout=10))
    await asyncio.sleep(0)
    told = await street.call("ann", **asked)
    assert (await mallory).status == 504
    assert (told.status, told.json["data"]) == (200, "for ann")


@in_no_time
async def test_a_cost_and_usage_beyond_reason() -> None:
    usage = {"prompt_tokens": 10**40, "completion_tokens": -5, "cost": 1e308}

    def hostile(_: Outgoing) -> FakeReply:
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": "x"},
            "finish_reason": "stop",
        }
        body = json.dumps({"id": "1", "model": "m", "choices": [choice], "usage": usage})
        return FakeReply(body.encode())

    street = Street(hostile)
    for _ in range(REPEATS):
        assert (await street.mallory(model="openai/gpt-4o")).status == 200
    await street.ann_is_served()


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
    ),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    (
        "model",
        "provider",
        "maxTokens",
        "stop",
        "seed",
        "stream",
        "tools",
        "toolChoice",
        "user",
        "responseFormat",
        "strategy",
        "fallback",
        "cache",
        "metadata",
        "timeout",
        "messages",
        "system",
    )
)
HEADERS = st.sampled_from(
    (
        "cf-aig-request-timeout",
        "cf-aig-max-attempts",
        "cf-aig-cache-key",
        "cf-aig-metadata",
        "cache-control",
        "x-request-id",
        "traceparent",
        "cf-aig-backoff",
        "cf-aig-retry-delay",
    )
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(FIELDS, JSON_VALUES, max_size=4),
    st.dictionaries(HEADERS, st.text(st.characters(codec="latin-1"), max_size=30), max_size=2),
    st.sampled_from([NATIVE, OPENAI]),
)
def test_whatever_mallory_says(body: dict[str, Any], headers: dict[str, str], path: str) -> None:
    @in_no_time
    async def said() -> None:
        street = Street()
        for _ in range(3):
            told = await street.mallory(path, headers, **body)
            assert told.status < 500 or told.status in (502, 503, 504)
        await street.ann_is_served()

    said()
