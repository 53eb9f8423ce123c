"""A body means one thing, however its JSON is written; what two readers may take for different
requests is refused."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.chat import Call
from proxy.core.errors import InvalidRequest
from proxy.dialects import anthropic_request, native_request, openai_request, responses_request
from proxy.providers.named_model import read_all_models
from tests.unit.cache.requests import Speaker

BODIES: dict[Callable[[bytes], Any], dict[str, Any]] = {
    openai_request.parse_chat: {
        "model": "acme/one",
        "max_tokens": 5,
        "n": 1,
        "messages": [
            {
                "role": "user",
                "content": [{"type": "image_url", "image_url": "https://x.example/a"}],
            },
            {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "function", "name": "f", "content": "x"},
            {"role": "assistant", "content": "b", "tool_calls": []},
        ],
    },
    openai_request.parse_embeddings: {"model": "acme/one", "input": ["a", "b"], "dimensions": 5},
    anthropic_request.parse_chat: {
        "model": "acme/one",
        "max_tokens": 5,
        "messages": [{"role": "user", "content": "a"}],
    },
    responses_request.parse_chat: {"model": "acme/one", "max_output_tokens": 5, "input": "a"},
    native_request.parse_chat: {
        "model": "acme/one",
        "maxTokens": 5,
        "messages": [{"role": "assistant", "content": "a", "reasoningDetails": [{"a": 1}]}],
    },
}
PASSING_ON = [parse for parse in BODIES if parse is not native_request.parse_chat]


def read(parse: Callable[[bytes], Any], body: str) -> Any:
    """What is read of a body, but for the bytes that go on."""
    found = parse(body.encode())
    if not isinstance(found, Call):
        return found
    chat = found.chat
    return found.echo, found.routing, chat.messages, chat.max_tokens, sorted(chat.extra)


@pytest.mark.parametrize("parse", BODIES, ids=range(len(BODIES)))
@given(st.integers())
@settings(max_examples=50, deadline=None)
def test_one_meaning_however_it_is_written(parse: Callable[[bytes], Any], seed: int) -> None:
    body = BODIES[parse]
    assert read(parse, Speaker(seed).spelled(body)) == read(parse, json.dumps(body))


@pytest.mark.parametrize("parse", PASSING_ON, ids=range(len(PASSING_ON)))
@given(st.integers(), st.data())
@settings(max_examples=100, deadline=None)
def test_a_field_that_stands_twice_is_refused(
    parse: Callable[[bytes], Any], seed: int, data: st.DataObject
) -> None:
    body, speaker = BODIES[parse], Speaker(seed)
    name = data.draw(st.sampled_from(sorted(body)))
    value = data.draw(st.sampled_from([body[name], "x,", ",\\", 1, None, [name]]))
    names = [name, name.title(), name.upper(), name.replace("s", "\u017f")]
    again = data.draw(st.sampled_from(names))
    pairs = [(n, v) for n, v in body.items() if n != name] + [(name, body[name])]
    pairs.insert(data.draw(st.integers(0, len(pairs))), (again, value))
    text = ",".join(f"{speaker.spelled(n)} :{speaker.spelled(v, n)}" for n, v in pairs)
    with pytest.raises(InvalidRequest):
        parse(f"{{{text}}}".encode())


@given(st.integers(), st.sampled_from(["model", "Model", "models"]))
@settings(max_examples=100, deadline=None)
def test_a_model_that_is_passed_on_is_known_by_one_name(seed: int, again: str) -> None:
    speaker = Speaker(seed)
    text = speaker.spelled({"model": "a", "input": "b"})
    assert read_all_models(text.encode(), "") == ("a",)
    assert read_all_models(b"\xef\xbb\xbf" + text.encode(), "") in (("a",), ())
    more = f"{{{speaker.spelled(again)}: {json.dumps(['c'] if again == 'models' else 'c')},"
    assert read_all_models((more + text[1:]).encode(), "") in ((), ("a", "c"))
