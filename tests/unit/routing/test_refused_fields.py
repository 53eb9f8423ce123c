"""Fields that the proxy adds and a provider refuses."""

import json
from typing import Any

import pytest
from msgspec import Raw, structs

from proxy.core.chat import Routing
from proxy.core.embedding import EmbeddingRequest
from proxy.core.errors import InvalidRequest, ProviderError
from proxy.core.ports import Outgoing
from proxy.routing.operations import RunOptions
from proxy.routing.refused_fields import find_named, without
from tests.unit.doubles import FakeReply, Unlimited, ports
from tests.unit.routing.making import (
    DONE,
    EVENTS,
    HELLO,
    STOP,
    Isolate,
    body_of,
    call,
    made_catalog,
)

REFUSALS: dict[str, dict[str, Any]] = {
    "OpenAI": {"error": {"message": "Unrecognized request argument supplied: NAME"}},
    "Mistral": {"detail": [{"loc": ["body", "NAME"], "msg": "Extra inputs are not permitted"}]},
    "param": {"error": {"message": "Unknown parameter.", "param": "NAME"}},
}
VECTORS = b'{"data":[{"index":0,"embedding":[0.5]}]}'
ASK = EmbeddingRequest(input=("hi",), routing=Routing(model="openai/embed-o"), base64=True)


class Strict:
    """A provider that refuses a field."""

    def __init__(self, name: str, form: dict[str, Any], status: int = 400) -> None:
        self.name = name
        self.status = status
        self.form = json.dumps(form).replace("NAME", name).encode()
        self.bodies: list[dict[str, Any]] = []

    def __call__(self, request: Outgoing) -> FakeReply:
        self.bodies.append(json.loads(body_of(request) or b"{}"))
        if self.name in self.bodies[-1]:
            return FakeReply(self.form, status=self.status)
        if request.url.endswith("/embeddings"):
            return FakeReply(VECTORS)
        return FakeReply(HELLO, STOP, DONE, headers=EVENTS)


def isolate_of(provider: Any) -> Isolate:
    return Isolate(made_catalog(), ports(provider))


async def streamed(isolate: Isolate) -> list[str]:
    stream, success = await isolate.manager.stream(call(stream=True, fallback=False), Unlimited())
    text = "".join([chunk.text async for chunks in stream.chunks() for chunk in chunks])
    assert text == "Hello"
    return [attempt.outcome for attempt in success.attempts]


@pytest.mark.parametrize("status", [400, 422])
@pytest.mark.parametrize("form", REFUSALS.values(), ids=REFUSALS)
async def test_it_is_left_out_and_the_provider_remembered(
    form: dict[str, Any], status: int
) -> None:
    strict = Strict("stream_options", form, status)
    isolate = isolate_of(strict)
    assert await streamed(isolate) == ["ok"]
    assert ["stream_options" in body for body in strict.bodies] == [True, False]
    assert strict.bodies[1] == {k: v for k, v in strict.bodies[0].items() if k != strict.name}
    assert await streamed(isolate) == ["ok"]
    assert len(strict.bodies) == 3


@pytest.mark.parametrize("form", REFUSALS.values(), ids=REFUSALS)
async def test_vectors_are_made_base64_here(form: dict[str, Any]) -> None:
    strict = Strict("encoding_format", form)
    isolate = isolate_of(strict)
    for _ in range(2):
        vectors, success = await isolate.manager.embed(ASK, Unlimited())
        assert vectors.vectors == ("AAAAPw==",)
        assert [attempt.outcome for attempt in success.attempts] == ["ok"]
    assert ["encoding_format" in body for body in strict.bodies] == [True, False, False]


@pytest.mark.parametrize("form", REFUSALS.values(), ids=REFUSALS)
async def test_a_conversations_name_is_left_out_too(form: dict[str, Any]) -> None:
    strict = Strict("prompt_cache_key", form)
    catalog = made_catalog()
    openai = catalog.providers["openai"]
    catalog.providers["openai"] = structs.replace(openai, session_field=strict.name)
    isolate = Isolate(catalog, ports(strict))
    for _ in range(2):
        options = RunOptions(session="s-1")
        made = call(stream=True, fallback=False)
        stream, _ = await isolate.manager.stream(made, Unlimited(), options)
        stream.abort()
    assert [body.get(strict.name) for body in strict.bodies] == ["s-1", None, None]


async def test_it_is_tried_once_and_only_an_answer_is_remembered() -> None:
    bodies: list[bytes] = []

    def never(request: Outgoing) -> FakeReply:
        bodies.append(body_of(request))
        return FakeReply(b'{"error":{"message":"stream_options or something"}}', status=400)

    isolate = isolate_of(never)
    for _ in range(2):
        with pytest.raises(InvalidRequest, match="or something"):
            await streamed(isolate)
    assert [b"stream_options" in body for body in bodies] == [True, False] * 2


async def test_what_the_caller_gave_is_refused_as_it_was() -> None:
    strict = Strict("model", REFUSALS["param"])
    with pytest.raises(InvalidRequest):
        await streamed(isolate_of(strict))
    assert len(strict.bodies) == 1


async def test_a_body_of_many_small_parts_is_sent_again() -> None:
    strict = Strict("encoding_format", REFUSALS["OpenAI"])
    texts = tuple("x" * 1000 for _ in range(200))
    request = EmbeddingRequest(input=texts, routing=Routing(model="openai/embed-o"), base64=True)
    with pytest.raises(ProviderError, match="1 vectors for 200 inputs"):
        await isolate_of(strict).manager.embed(request, Unlimited())
    assert ["encoding_format" in body for body in strict.bodies] == [True, False]
    assert strict.bodies[1]["input"] == list(texts)


async def test_options_of_the_callers_own_are_refused_to_the_caller_alone() -> None:
    strict = Strict("no_such_option", REFUSALS["param"])

    def provider(request: Outgoing) -> FakeReply:
        assert isinstance(request.body, bytes)
        options = json.loads(request.body)["stream_options"]
        refusal = {"error": {"message": "Unknown parameter: 'stream_options.x'."}}
        if "x" in options:
            return FakeReply(json.dumps(refusal).encode(), status=400)
        return strict(request)

    isolate = isolate_of(provider)
    own = Raw(b'{"x":1}')
    chat_call = call(stream=True, fallback=False)
    chat_call = structs.replace(
        chat_call, chat=structs.replace(chat_call.chat, extra={"stream_options": own})
    )
    with pytest.raises(InvalidRequest, match=r"stream_options\.x"):
        await isolate.manager.stream(chat_call, Unlimited())
    assert await streamed(isolate) == ["ok"]
    assert [body["stream_options"] for body in strict.bodies] == [{"include_usage": True}]


def test_a_large_body_is_sent_again_without_a_copy_of_what_is_large() -> None:
    text = b'"' + b"x" * 100_000 + b'"'
    parts = (b'{"a":', text, b',"stream_options":{"include_usage":true},"stream":true}')
    request = Outgoing(url="https://openai.test/v1/chat/completions", body=parts)
    error = b'{"error":{"message":"Unknown field stream_options"}}'
    assert find_named(error, request) == {"stream_options"}
    again = without(request, find_named(error, request)).body
    assert isinstance(again, tuple)
    assert again[1] is text
    assert b"".join(map(bytes, again)) == b'{"a":' + text + b',"stream":true}'
