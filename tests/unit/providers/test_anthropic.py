"""Calls of Anthropic's Messages: where they go, and a caller's own body on its way."""

import json
from typing import Any

import pytest
from msgspec import Raw, structs

from proxy.core.chat import ChatRequest, Routing
from proxy.core.embedding import EmbeddingRequest
from proxy.core.errors import Fault, InvalidRequest
from proxy.core.messages import Message
from proxy.providers import anthropic
from proxy.providers.target import Target
from tests.unit.providers.making_anthropic import HELLO, TO, join, sent, shipped, target

MARK = {"cache_control": {"type": "ephemeral"}}
BODY = b"""{ "stream" : true, "max_tokens":64,
 "messages":[{"role":"user", "content":[{"type":"text","text":"Hi"}]}] ,"model": "smart"\t}"""


def passed_on(body: bytes, to: Target = TO, **fields: Any) -> bytes:
    given = json.loads(body)
    fields = {"max_tokens": given.get("max_tokens"), "stream": given.get("stream", False)} | fields
    chat = ChatRequest(messages=(HELLO,), dialect="messages", body=body, **fields)
    return join(anthropic.build_request(to, chat).body)


def test_the_call() -> None:
    outgoing = anthropic.build_request(target(headers={"x-a": "b"}), ChatRequest(messages=(HELLO,)))
    assert outgoing.url == "https://anthropic.test/v1/messages"
    assert outgoing.headers == {
        "content-type": "application/json",
        "accept": "application/json",
        "x-api-key": "secret",
        "anthropic-version": "2023-06-01",
        "x-a": "b",
    }
    assert json.loads(join(outgoing.body)) == {
        "model": "claude-1",
        "max_tokens": 4096,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}],
    }


def test_a_stream_is_asked_for() -> None:
    chat = ChatRequest(messages=(HELLO,), stream=True)
    outgoing = anthropic.build_request(TO, chat)
    assert outgoing.headers["accept"] == "text/event-stream"
    assert json.loads(join(outgoing.body))["stream"] is True


@pytest.mark.parametrize(
    "base", ["https://gw.test/x", "https://gw.test/x/", "https://gw.test/x/v1"]
)
def test_a_base_url_may_lack_the_version(base: str) -> None:
    outgoing = anthropic.build_request(
        structs.replace(TO, base_url=base), ChatRequest(messages=(HELLO,))
    )
    assert outgoing.url == "https://gw.test/x/v1/messages"


def test_the_probe_lists_models_with_the_key() -> None:
    probe = anthropic.build_probe(TO)
    assert (probe.method, probe.url) == ("GET", "https://anthropic.test/v1/models")
    assert probe.headers["x-api-key"] == "secret"
    assert probe.headers["anthropic-version"] == "2023-06-01"


def test_there_are_no_embeddings() -> None:
    request = EmbeddingRequest(input=("a",), routing=Routing())
    with pytest.raises(InvalidRequest, match="anthropic has no embeddings"):
        anthropic.build_embedding_request(TO, request)
    with pytest.raises(Fault, match="no vectors"):
        anthropic.read_embeddings(TO, request, b"{}")


# A caller's own body


def test_only_the_models_name_is_exchanged() -> None:
    assert passed_on(BODY) == BODY.replace(b'"smart"', b'"claude-1"')


def test_a_body_for_that_very_model_is_the_callers_own() -> None:
    body = b'{"model": "claude-1", "max_tokens": 0, "messages": []}'
    chat = ChatRequest(messages=(HELLO,), dialect="messages", body=body, max_tokens=0)
    assert anthropic.build_request(TO, chat).body is body


def test_a_budget_lowers_the_limit() -> None:
    assert passed_on(BODY, max_tokens=32) == BODY.replace(b"64", b"32").replace(
        b'"smart"', b'"claude-1"'
    )


@pytest.mark.parametrize(
    ("thinking", "limit", "expected"),
    [
        ({"type": "enabled", "budget_tokens": 9000}, 8000, 7999),
        ({"type": "enabled", "budget_tokens": 8000}, 8000, 7999),
        ({"type": "enabled", "budget_tokens": 5000}, 8000, 5000),
        ({"type": "enabled", "budget_tokens": 9000}, 1024, 9000),  # there is no room for any
        ({"type": "adaptive"}, 8000, None),
        (None, 8000, None),
    ],
)
def test_thinking_has_room_below_a_lowered_limit(thinking: Any, limit: int, expected: Any) -> None:
    given = {"model": "smart", "max_tokens": 9999, "messages": [], "thinking": thinking}
    body = json.loads(passed_on(json.dumps(given).encode(), max_tokens=limit))
    assert body["max_tokens"] == limit
    assert body["thinking"] == (
        thinking and {**thinking, "budget_tokens": expected} if expected else thinking
    )


@pytest.mark.parametrize("streamed", [True, False])
def test_it_streams_as_the_proxy_needs_it(streamed: bool) -> None:
    assert json.loads(passed_on(BODY, stream=streamed))["stream"] is streamed
    lacking = b'{"model":"a","max_tokens":1,"messages":[]}'
    assert json.loads(passed_on(lacking, stream=streamed)).get("stream", False) is streamed


def test_what_the_catalogue_sends_is_added_unless_the_caller_says_it() -> None:
    to = target({"send": {"thinking": {"type": "disabled"}, **MARK}})
    added = json.loads(passed_on(BODY, to))
    assert added["thinking"] == {"type": "disabled"}
    assert added["cache_control"] == {"type": "ephemeral"}
    own = BODY.replace(b'"max_tokens"', b'"thinking":{"type":"adaptive"}, "max_tokens"')
    assert json.loads(passed_on(own, to))["thinking"] == {"type": "adaptive"}


def test_a_prompt_that_is_marked_gets_no_other_mark() -> None:
    body = BODY.replace(b'"text":"Hi"', b'"text":"Hi","cache_control":{"type":"ephemeral"}')
    assert "cache_control" not in json.loads(passed_on(body, target({"send": MARK})))


def test_a_body_of_another_dialect_is_built_anew() -> None:
    body = b'{"model":"a","messages":[{"role":"user","content":"Hello"}],"top_k":3}'
    chat = ChatRequest(
        messages=(HELLO,),
        body=body,
        extra={"top_k": Raw(b"3")},
        raw_messages=(Raw(b'{"role":"user","content":"Hello"}'),),
    )
    outgoing = anthropic.build_request(TO, chat)
    assert "top_k" not in json.loads(join(outgoing.body))
    assert outgoing.dropped == ("top_k",)


def test_fields_of_messages_survive_where_the_body_cannot_go_on() -> None:
    extra = {"thinking": Raw(b'{"type":"adaptive"}'), "service_tier": Raw(b'"auto"')}
    body = sent(dialect="messages", extra=extra)
    assert body["thinking"] == {"type": "adaptive"}
    assert body["service_tier"] == "auto"


@pytest.mark.parametrize("model", ["claude-opus-5-5", "claude-haiku-4-5"])
def test_the_shipped_models_are_called_by_their_names(model: str) -> None:
    body = sent(Message(role="user", content="Hi"), to=shipped(model))
    assert body["model"] == model
    assert body["max_tokens"] in (64_000, 128_000)
