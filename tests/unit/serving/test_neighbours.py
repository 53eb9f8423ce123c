"""What providers answer Mallory again and again is no matter of Ann's.

For everything that a caller controls, another caller is answered as before: at once, from the
provider that she names.
"""

import asyncio
import json

import pytest

from proxy.core.ports import Outgoing
from tests.unit.doubles import FakeReply, in_no_time
from tests.unit.routing.making import DONE, HELLO, ROLE, STOP
from tests.unit.serving.making import NATIVE, OPENAI, stream_of
from tests.unit.serving.neighbours import MARK, REPEATS, Answer, Street, gemini_ends, refusal

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
        answer = await street.mallory(model="openai/gpt-4o", prompt=f"{MARK} {echoed}")
        assert answer.status in (400, 404, 422, 502)
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
    for answer in await asyncio.gather(*said):
        assert answer.status in (404, 429, 502, 504), answer.body
    await street.ann_is_served(VENDORS)


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
        answer = await street.mallory(model="openai/gpt-4o", stream=True)
        assert b"event: error" not in answer.body
    await street.ann_is_served()


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


@pytest.mark.parametrize("length", [1, 100_000])
@in_no_time
async def test_answers_that_mallorys_limit_cuts_to_nothing(length: int) -> None:
    body = {"choices": [{"index": 0, "message": {"content": ""}, "finish_reason": "length"}]}
    street = Street(lambda _: FakeReply(json.dumps(body).encode()))
    for _ in range(REPEATS):
        answer = await street.mallory(model="openai/gpt-4o", maxTokens=length)
        assert answer.status in (200, 400, 502), answer.body
    await street.ann_is_served()
