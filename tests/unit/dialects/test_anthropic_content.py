"""The content of Messages: every block and what it becomes, for whom."""

import json
from typing import Any

import pytest

from proxy.core.errors import InvalidRequest
from proxy.core.messages import ImageURL, Message, Part
from proxy.dialects.seal import ProviderState, seal
from tests.unit.dialects.making_anthropic import IMAGE, PNG, USER, parse, raw, said

MARK = {"type": "ephemeral"}
TEXT = {"type": "text", "text": "Look."}
PICTURE = Part(type="image_url", image_url=ImageURL(f"data:image/png;base64,{PNG}"))
PDF = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}
USE = {"type": "tool_use", "id": "t1", "name": "weather", "input": {"city": "Paris", "n": 1.50}}


def text(words: str, mark: Any = None) -> Part:
    return Part(type="text", text=words, cache_control=mark)


def test_texts_and_images() -> None:
    assert said(TEXT) == (Message("user", "Look."),)
    marked = {**TEXT, "cache_control": MARK}
    assert said(marked, IMAGE) == (Message("user", (text("Look.", MARK), PICTURE)),)
    url = {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}
    (message,) = said(url)
    assert message.parts[0].image_url == ImageURL("https://example.com/a.png")


def test_an_empty_text_says_nothing() -> None:
    assert said({"type": "text", "text": ""}, TEXT) == (Message("user", "Look."),)


@pytest.mark.parametrize(
    ("block", "parts"),
    [
        (
            {"source": {"type": "text", "media_type": "text/plain", "data": "Once."}},
            (text("Once."),),
        ),
        (
            {"title": "T", "context": "C", "source": {"type": "text", "data": "Once."}},
            (text("T\nC"), text("Once.")),
        ),
        ({"source": {"type": "content", "content": "Once."}}, (text("Once."),)),
        ({"source": {"type": "content", "content": [TEXT, IMAGE]}}, (text("Look."), PICTURE)),
    ],
)
def test_documents_of_text(block: Any, parts: tuple[Part, ...]) -> None:
    (message,) = said(TEXT, {"type": "document", **block})
    assert message.parts == (text("Look."), *parts)


@pytest.mark.parametrize(
    ("block", "file"),
    [
        (
            {"source": PDF},
            {"filename": "document.pdf", "file_data": "data:application/pdf;base64,JVBERi0="},
        ),
        (
            {"source": PDF, "title": 'A "b"'},
            {"filename": 'A "b"', "file_data": "data:application/pdf;base64,JVBERi0="},
        ),
        (
            {"source": {"type": "url", "url": "https://example.com/a.pdf"}},
            {"filename": "document.pdf", "file_url": "https://example.com/a.pdf"},
        ),
    ],
)
def test_documents_of_other_kinds_are_files(block: Any, file: Any) -> None:
    call = parse(messages=[{"role": "user", "content": [{"type": "document", **block}]}])
    (part,) = call.chat.messages[0].parts
    assert part.type == "file"
    assert json.loads(bytes(part.file)) == file
    assert call.chat.native_only == ""


def test_a_documents_context_stands_before_it() -> None:
    block = {"type": "document", "source": PDF, "context": "From 1999.", "cache_control": MARK}
    first, second = said(block)[0].parts
    assert first == text("From 1999.")
    assert (second.type, second.cache_control) == ("file", MARK)


def test_a_search_result_is_a_text() -> None:
    block = {
        "type": "search_result", "source": "https://example.com", "title": "Example",
        "content": [{"type": "text", "text": "It is."}, {"type": "text", "text": "So."}],
    }  # fmt: skip
    assert said(block) == (Message("user", "Example\nhttps://example.com\nIt is.\nSo."),)


def test_results_of_tools_come_first_and_each_alone() -> None:
    first = {"type": "tool_result", "tool_use_id": "t1", "content": "sunny"}
    second = {"type": "tool_result", "tool_use_id": "t2", "is_error": True, "content": [TEXT]}
    third = {"type": "tool_result", "tool_use_id": "t3"}
    assert said(TEXT, first, second, third) == (
        Message("tool", "sunny", tool_call_id="t1"),
        Message("tool", "Look.", tool_call_id="t2", is_error=True),
        Message("tool", "", tool_call_id="t3"),
        Message("user", "Look."),
    )


def test_a_result_keeps_its_images() -> None:
    result = {
        "type": "tool_result", "tool_use_id": "t1", "content": [IMAGE, TEXT],
        "cache_control": MARK,
    }  # fmt: skip
    bare = {"type": "tool_result", "tool_use_id": "t2", "content": [IMAGE]}
    assert said(result, bare, {"type": "text", "text": "Well?"}) == (
        Message("tool", (PICTURE, text("Look.", MARK)), tool_call_id="t1"),
        Message("tool", (PICTURE,), tool_call_id="t2"),
        Message("user", "Well?"),
    )


def test_an_answer_with_a_call() -> None:
    (message,) = said(TEXT, USE, role="assistant")
    assert message.content == "Look."
    assert message.tool_calls
    (call,) = message.tool_calls
    assert (call.id, call.type, call.function.name) == ("t1", "function", "weather")
    assert call.function.arguments == '{"city": "Paris", "n": 1.5}'
    (message,) = said(USE, role="assistant")
    assert message.content is None


def test_thinking_of_anthropics_own_goes_back_to_it_alone() -> None:
    thinking = {"type": "thinking", "thinking": "Hm.", "signature": "EqYC"}
    hidden = {"type": "redacted_thinking", "data": "Em8="}
    call = parse(messages=[USER, {"role": "assistant", "content": [thinking, hidden, TEXT]}])
    message = call.chat.messages[1]
    assert message.reasoning_content == "Hm."
    assert message.content == "Look."
    assert message.extra_content == {"anthropic": {"thinking_blocks": [thinking, hidden]}}
    assert call.chat.body is not None


def test_thinking_without_a_signature_is_a_text_only() -> None:
    (message,) = said({"type": "thinking", "thinking": "Hm.", "signature": ""}, role="assistant")
    assert (message.reasoning_content, message.extra_content) == ("Hm.", None)


def test_a_sealed_state_goes_back_to_who_made_it() -> None:
    older = ProviderState({"google": {"thought_signature": "old"}})
    state = ProviderState(
        {"google": {"thought_signature": "new"}}, {"t1": {"google": {"thought_signature": "c"}}}
    )
    call = parse(
        messages=[
            USER,
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "Hm.", "signature": seal(older)},
                    {"type": "redacted_thinking", "data": seal(state)},
                    USE,
                ],
            },
        ]
    )
    message = call.chat.messages[1]
    assert message.reasoning_content == "Hm."
    assert message.extra_content == {"google": {"thought_signature": "new"}}
    assert message.tool_calls
    assert message.tool_calls[0].extra_content == {"google": {"thought_signature": "c"}}
    assert call.chat.body is None  # Anthropic would refuse it
    assert call.chat.native_only == ""


def test_an_empty_seal_means_nothing() -> None:
    thinking = {"type": "thinking", "thinking": "Hm.", "signature": seal(ProviderState())}
    call = parse(messages=[USER, {"role": "assistant", "content": [thinking, TEXT]}])
    assert call.chat.messages[1].extra_content is None
    assert call.chat.body is None


OTHERS: list[tuple[str, Any, str]] = [
    ("assistant", {"type": "server_tool_use", "id": "s", "name": "w", "input": {}}, ""),
    ("assistant", {"type": "web_search_tool_result", "tool_use_id": "s", "content": []}, ""),
    ("assistant", {"type": "mcp_tool_use", "id": "m", "server_name": "x"}, ""),
    ("assistant", {"type": "compaction", "content": "…"}, ""),
    ("user", {"type": "container_upload", "file_id": "f"}, ""),
    ("user", {"type": "of_a_later_day", "source": [1], "content": {"a": 1}}, ""),
    ("user", {"type": "image", "source": {"type": "file", "file_id": "f"}}, ".source"),
    ("user", {"type": "document", "source": {"type": "odd"}}, ".source"),
    ("user", {"type": "document", "source": PDF, "citations": {"enabled": True}}, ".citations"),
    (
        "user",
        {"type": "search_result", "source": "s", "title": "t", "citations": {"enabled": True}},
        ".citations",
    ),
]


@pytest.mark.parametrize(("role", "block", "place"), OTHERS)
def test_other_blocks_are_kept_for_those_who_know_them(role: str, block: Any, place: str) -> None:
    messages = [USER, {"role": role, "content": [TEXT, block]}]
    call = parse(messages=messages)
    message = call.chat.messages[1]
    assert message.parts[0] == text("Look.")
    assert message.parts[1].type == block["type"]
    assert json.loads(bytes(message.parts[1].file)) == block  # of another, the key differs
    assert call.chat.native_only.startswith(f"messages.1.content.1{place}: ")
    assert f"capability_rejected: {block['type']}" in call.chat.native_only
    assert call.chat.body == raw(messages=messages)


def test_the_first_of_several_is_named() -> None:
    call = parse(mcp_servers=[1], messages=[{"role": "user", "content": [{"type": "odd"}]}])
    assert call.chat.native_only.startswith("mcp_servers: ")


def test_a_block_within_a_result_is_kept_too() -> None:
    reference = {"type": "tool_reference", "tool_name": "x"}
    result = {"type": "tool_result", "tool_use_id": "t1", "content": [TEXT, reference]}
    call = parse(messages=[USER, {"role": "user", "content": [TEXT, result]}])
    assert call.chat.native_only.startswith("messages.1.content.1.content.1: Input tag")
    kept = call.chat.messages[1].parts[1]
    assert (kept.type, json.loads(bytes(kept.file))) == ("tool_reference", reference)


def test_a_file_within_a_document_is_kept_too() -> None:
    image = {"type": "image", "source": {"type": "file", "file_id": "f"}}
    block = {"type": "document", "source": {"type": "content", "content": [TEXT, image]}}
    call = parse(messages=[{"role": "user", "content": [block]}])
    assert call.chat.native_only.startswith("messages.0.content.0.source.content.1.source: Files")
    assert json.loads(bytes(call.chat.messages[0].parts[1].file)) == image


def test_documents_hold_texts_and_images_only() -> None:
    block = {"type": "document", "source": {"type": "content", "content": [USE]}}
    with pytest.raises(InvalidRequest, match=r"content\.0\.source\.content\.0\.type: Input should"):
        said(block)


def test_a_file_of_anthropics_is_for_anthropic() -> None:
    block = {"type": "document", "source": {"type": "file", "file_id": "f_1"}, "title": "A"}
    call = parse(messages=[{"role": "user", "content": [block]}])
    assert call.chat.native_only.startswith("messages.0.content.0.source: Files")
    file = json.loads(bytes(call.chat.messages[0].parts[0].file))
    assert file == {"filename": "A", "file_id": "f_1"}


def test_citations_of_a_text_are_dropped() -> None:
    cited = {**TEXT, "citations": [{"type": "char_location"}]}
    for block, dropped in ((cited, ("citations",)), ({**TEXT, "citations": None}, ())):
        call = parse(messages=[USER, {"role": "assistant", "content": [block]}])
        assert call.dropped == dropped
        assert call.chat.native_only == ""


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ({"type": "image"}, "source: Field required"),
        ({"type": "image", "source": {"type": "base64"}}, "source.data: Field required"),
        ({"type": "image", "source": {"type": "url"}}, "source.url: Field required"),
        ({"type": "image", "source": 5}, "source: Input should be a valid dictionary"),
        (
            {"type": "image", "source": {"type": "url", "url": "http://a.b/c"}},
            "source.url: Expected an https:// URL or data:image/…;base64,… with data",
        ),
        (
            {"type": "image", "source": {"type": "base64", "media_type": "text/html", "data": PNG}},
            "source.data: Expected an https:// URL or data:image/…;base64,… with data",
        ),
        ({"type": "document", "source": {"type": "base64"}}, "source.data: Field required"),
        (
            {"type": "document", "source": {"type": "base64", "data": 5}},
            "source.data: Input should be a valid string",
        ),
        ({"type": "document", "source": {"type": "url"}}, "source.url: Field required"),
        ({"type": "document", "source": {"type": "file"}}, "source.file_id: Field required"),
        ({"type": "document", "source": {"type": "text"}}, "source.data: Field required"),
        ({"type": "tool_result"}, "tool_use_id: Field required"),
        (
            {"type": "tool_result", "tool_use_id": "t", "content": 5},
            "content: Input should be a valid list",
        ),
        ({"type": "text", "text": 5}, "text: Input should be a valid string"),
    ],
)
def test_a_wrong_block_is_refused(block: Any, message: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        said(block)
    assert caught.value.message == f"messages.1.content.0.{message}"


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("id", "", "id: Field required"),
        ("name", "", "name: Field required"),
        ("input", [], "input: Input should be a valid dictionary"),
    ],
)
def test_a_wrong_call_is_refused(field: str, value: Any, message: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        said({**USE, field: value}, role="assistant")
    assert caught.value.message == f"messages.1.content.0.{message}"


def test_images_have_a_limit_together() -> None:
    source = {"type": "base64", "media_type": "image/png", "data": "A" * 15_000_000}
    block = {"type": "image", "source": source}
    with pytest.raises(InvalidRequest, match="over 20 MB together") as caught:
        said(block, block)
    assert caught.value.param == "messages.1.content.1.source.data"


def test_citations_of_this_proxy_go_back_to_nobody() -> None:
    """A provider of Messages would refuse them: they hold nothing of its own."""
    answer = {"type": "text", "text": "It is 5.", "citations": [{"encrypted_index": "own"}]}
    turns = [USER, {"role": "assistant", "content": [answer]}, USER]
    assert parse(messages=turns).chat.body is not None
    answer["citations"] = [{"encrypted_index": seal(ProviderState())}]
    chat = parse(messages=turns).chat
    assert chat.body is None
    assert chat.messages[1].content == "It is 5."
