"""What a request becomes in Anthropic's Messages: turns, parts, calls and results."""

import base64
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from proxy.core.chat import ChatRequest
from proxy.core.errors import InvalidRequest
from proxy.core.messages import ImageURL, Message, Part
from proxy.core.splice import SMALL
from proxy.providers import anthropic
from tests.unit.providers.making_anthropic import HELLO, TO, call, join, sent, target, text

MARK = {"type": "ephemeral", "ttl": "1h"}
LATE = target({"late_system": True})
PDF = base64.b64encode(b"%PDF-1.7").decode()


def turns(*messages: Message, **fields: Any) -> list[tuple[str, Any]]:
    """Each turn's role and content, a text as itself."""
    return [
        (
            turn["role"],
            [b["text"] if list(b) == ["type", "text"] else b for b in turn["content"]],
        )
        for turn in sent(*messages, **fields)["messages"]
    ]


def says(role: Any, content: Any, **fields: Any) -> Message:
    return Message(role=role, content=content, **fields)


def file(**fields: Any) -> Part:
    return Part(type="file", file=Raw(json.dumps(fields).encode()))


# Turns


def test_leading_instructions_are_the_system_prompt() -> None:
    body = sent(says("system", "Be brief."), says("developer", "In French."), HELLO)
    assert [block["text"] for block in body["system"]] == ["Be brief.", "In French."]
    assert len(body["messages"]) == 1


def test_instructions_alone_are_the_users() -> None:
    body = sent(says("system", "Be brief."))
    assert "system" not in body
    assert body["messages"][0]["content"] == [{"type": "text", "text": "Be brief."}]


def test_turns_of_one_role_are_one() -> None:
    messages = (HELLO, says("user", "You?"), says("assistant", "Yes"), says("assistant", "me."))
    assert turns(*messages, HELLO) == [
        ("user", ["Hello", "You?"]),
        ("assistant", ["Yes", "me."]),
        ("user", ["Hello"]),
    ]


def test_a_conversation_begins_with_the_user() -> None:
    assert turns(says("assistant", "Hi"), HELLO)[0] == ("user", ["."])


def test_what_holds_nothing_is_left_out() -> None:
    messages = (says("user", [text(""), text(" \n"), text("Hi")]), says("assistant", ""), HELLO)
    assert turns(*(Message(m.role, tuple(m.parts)) for m in messages)) == [
        ("user", ["Hi", "Hello"])
    ]


def test_the_last_words_of_the_assistant_end_without_white_space() -> None:
    assert turns(HELLO, says("assistant", "So: \n"))[-1] == ("assistant", ["So:"])
    assert turns(HELLO, says("assistant", "So: "), HELLO)[1] == ("assistant", ["So: "])


def test_late_instructions_follow_the_users_turn_where_the_model_takes_them() -> None:
    note = says("system", "Now in French.")
    expected = [
        ("user", ["Hello", "Hello"]),
        ("system", ["Now in French."]),
        ("assistant", ["Oui"]),
    ]
    assert turns(HELLO, note, HELLO, says("assistant", "Oui"), to=LATE) == expected
    answered = (HELLO, says("assistant", "Yes"), note)
    assert turns(*answered, HELLO, to=LATE)[2:] == [
        ("user", ["Hello"]),
        ("system", ["Now in French."]),
    ]
    assert turns(*answered, to=LATE)[2:] == [("user", ["Now in French."])]


def test_late_instructions_are_marked_texts_for_other_models() -> None:
    assert turns(HELLO, says("system", "Now in French.")) == [
        ("user", ["Hello", "<system>", "Now in French.", "</system>"])
    ]


# Tools


def test_results_stand_first_in_the_users_next_turn() -> None:
    asked = says("assistant", "I look.", tool_calls=(call("a", "get", '{"n": 1.50}'), call("b")))
    results = (
        says("tool", "1", tool_call_id="a"),
        says("tool", "no", tool_call_id="b", is_error=True),
    )
    body = sent(HELLO, asked, results[0], says("user", "And?"), results[1])
    assert [turn["role"] for turn in body["messages"]] == ["user", "assistant", "user"]
    assert body["messages"][1]["content"] == [
        {"type": "text", "text": "I look."},
        {"type": "tool_use", "id": "a", "name": "get", "input": {"n": 1.5}},
        {"type": "tool_use", "id": "b", "name": "get", "input": {}},
    ]
    content = [{"type": "text", "text": "1"}]
    assert body["messages"][2]["content"] == [
        {"type": "tool_result", "tool_use_id": "a", "content": content},
        {
            "type": "tool_result",
            "tool_use_id": "b",
            "content": [{"type": "text", "text": "no"}],
            "is_error": True,
        },
        {"type": "text", "text": "And?"},
    ]


def test_arguments_keep_their_bytes() -> None:
    asked = says(
        "assistant",
        None,
        tool_calls=(call("a", "get", '{"n": 1.50, "id": 12345678901234567890123}'),),
    )
    outgoing = anthropic.build_request(TO, ChatRequest(messages=(HELLO, asked)))
    assert b'{"n": 1.50, "id": 12345678901234567890123}' in join(outgoing.body)


@pytest.mark.parametrize("arguments", ["", "not JSON", "[1]", '{"a":', "null"])
def test_arguments_that_are_no_object_go_on_as_a_text(arguments: str) -> None:
    asked = says("assistant", None, tool_calls=(call("a", "get", arguments),))
    block = sent(HELLO, asked)["messages"][1]["content"][0]
    assert block["input"] == ({"arguments": arguments} if arguments else {})


@given(st.text(min_size=1), st.text(min_size=1))
def test_ids_fit_and_a_result_finds_its_call(one: str, other: str) -> None:
    calls = (call(one), call(other)) if one != other else (call(one),)
    results = [says("tool", "x", tool_call_id=each.id) for each in calls]
    body = sent(HELLO, says("assistant", None, tool_calls=calls), *results)
    ids = [block["id"] for block in body["messages"][1]["content"]]
    assert ids == [block["tool_use_id"] for block in body["messages"][2]["content"]]
    assert len(set(ids)) == len(calls)
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]+", id_) for id_ in ids)


def test_an_id_that_fits_stays() -> None:
    asked = says("assistant", None, tool_calls=(call("toolu_01-x"),))
    assert sent(HELLO, asked)["messages"][1]["content"][0]["id"] == "toolu_01-x"


# Thinking that goes back


THOUGHTS = [
    {"type": "thinking", "thinking": "Hm", "signature": "c2ln"},
    {"type": "redacted_thinking", "data": "c2Vhb"},
]


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ({"anthropic": {"thinking_blocks": THOUGHTS}}, THOUGHTS),
        ({"openrouter": {"thinking_blocks": THOUGHTS}}, []),
        ({"anthropic": {"thinking_blocks": [{"type": "text", "text": "x"}, 1, None]}}, []),
        ({"anthropic": {"thinking_blocks": "x"}}, []),
        ({"anthropic": ["x"]}, []),
        (None, []),
    ],
)
def test_its_own_thinking_stands_in_front_as_it_came(extra: Any, expected: list[Any]) -> None:
    asked = says(
        "assistant", "I look.", tool_calls=(call("a"),), reasoning_content="Hm", extra_content=extra
    )
    content = sent(HELLO, asked)["messages"][1]["content"]
    assert content[:-2] == expected
    assert [block["type"] for block in content[-2:]] == ["text", "tool_use"]


def test_another_providers_thinking_is_not_taken_for_its_own() -> None:
    turn = says("assistant", "Hi", extra_content={"anthropic": {"thinking_blocks": THOUGHTS}})
    to = target(name="deepseek")
    assert turns(HELLO, turn, HELLO, to=to)[1] == ("assistant", ["Hi"])
    own = says("assistant", "Hi", extra_content={"deepseek": {"thinking_blocks": THOUGHTS}})
    assert turns(HELLO, own, HELLO, to=to)[1] == ("assistant", [*THOUGHTS, "Hi"])


# Parts


def test_images_by_url_and_by_value() -> None:
    parts = tuple(
        Part(type="image_url", image_url=ImageURL(url))
        for url in ("https://x.test/a.png", "data:image/jpg;charset=x;base64,aGk=")
    )
    assert [b["source"] for b in sent(says("user", parts))["messages"][0]["content"]] == [
        {"type": "url", "url": "https://x.test/a.png"},
        {"type": "base64", "media_type": "image/jpeg", "data": "aGk="},
    ]


def test_large_texts_and_images_stay_where_they_are() -> None:
    data, words = "A" * (2 * SMALL), "é" * SMALL
    url = f"data:image/png;base64,{data}"
    parts = [{"type": "text", "text": words}, {"type": "image_url", "image_url": {"url": url}}]
    raw = Raw(json.dumps({"role": "user", "content": parts}).encode())
    image = Part(type="image_url", image_url=ImageURL(url))
    message = says("user", (text(words), image))
    chat = ChatRequest(messages=(message,), raw_messages=(raw,))
    outgoing = anthropic.build_request(TO, chat)
    assert isinstance(outgoing.body, tuple)
    assert sum(isinstance(part, memoryview) for part in outgoing.body) == 2
    content = json.loads(join(outgoing.body))["messages"][0]["content"]
    assert content[0]["text"] == words
    assert content[1]["source"] == {"type": "base64", "media_type": "image/png", "data": data}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"},
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": PDF},
                "title": "a.pdf",
            },
        ),
        (
            {"file_data": "data:text/markdown;base64,IyBIaQ=="},
            {
                "type": "document",
                "source": {"type": "text", "media_type": "text/plain", "data": "# Hi"},
            },
        ),
        (
            {"file_data": "data:image/png;base64,aGk="},
            {
                "type": "image",
                "source": {"type": "base64", "media_type": "image/png", "data": "aGk="},
            },
        ),
        (
            {"file_url": "https://x.test/a.pdf"},
            {"type": "document", "source": {"type": "url", "url": "https://x.test/a.pdf"}},
        ),
    ],
)
def test_files(given: Any, expected: Any) -> None:
    assert sent(says("user", (file(**given),)))["messages"][0]["content"] == [expected]


def test_a_file_of_the_callers_own_provider_is_known_by_its_id() -> None:
    body = sent(says("user", (file(file_id="file_1"),)), dialect="messages")
    assert body["messages"][0]["content"][0]["source"] == {"type": "file", "file_id": "file_1"}


@pytest.mark.parametrize(
    "part",
    [
        file(file_id="file-1"),
        file(file_data="JVBERi0="),
        file(file_data="data:application/zip;base64,aGk="),
        file(file_data="data:text/plain;base64,!"),
        file(file_data="data:text/plain;base64,/w=="),
        Part(type="input_audio", input_audio=Raw(b'{"data":"aGk=","format":"wav"}')),
        Part(type="video_url"),
    ],
)
def test_parts_that_it_cannot_take_are_refused_by_name(part: Part) -> None:
    with pytest.raises(InvalidRequest) as caught:
        sent(HELLO, says("user", (text("Look"), part)))
    assert (caught.value.param or "").startswith("messages[1].content[1]")


def test_marks_for_the_cache_stay_where_they_are() -> None:
    marked = text("Hi", cache_control=MARK)
    body = sent(
        says("system", (marked,)),
        says("user", (marked,)),
        says("assistant", None, tool_calls=(call("a"),)),
        says("tool", (text("1"), marked), tool_call_id="a"),
        cache_control={"type": "ephemeral"},
    )
    assert body["cache_control"] == {"type": "ephemeral"}
    assert body["system"] == [{"type": "text", "text": "Hi", "cache_control": MARK}]
    assert body["messages"][0]["content"][0]["cache_control"] == MARK
    result = body["messages"][2]["content"][0]
    assert result["cache_control"] == MARK
    assert not any("cache_control" in part for part in result["content"])
