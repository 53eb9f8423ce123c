"""What is sent to Gemini's generateContent: the call, turns, calls and signatures."""

from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import Raw, structs

from proxy.core.chat import ChatRequest
from proxy.core.errors import InvalidRequest
from proxy.core.messages import FunctionCall, ImageURL, Message, Part, ToolCall
from proxy.providers import gemini
from proxy.providers.target import Target
from tests.unit.providers.making_gemini import HELLO, sent, target

FIRST = {"role": "user", "parts": [{"text": " "}]}


def turns(*messages: Message, to: Target | None = None) -> Any:
    """The turns, without the one that stands before a conversation begun by the model."""
    contents = sent(*messages, to=to)["contents"]
    return contents[1:] if contents[0] == FIRST else contents


def text(text: str) -> Part:
    return Part(type="text", text=text)


def image(url: str) -> Part:
    return Part(type="image_url", image_url=ImageURL(url))


def audio(raw: str) -> Part:
    return Part(type="input_audio", input_audio=Raw(raw.encode()))


def file(raw: str) -> Part:
    return Part(type="file", file=Raw(raw.encode()))


def call(id_: str, name: str, arguments: str = "{}", signature: str | None = None) -> ToolCall:
    extra = {"google": {"thought_signature": signature}} if signature else None
    return ToolCall(id=id_, function=FunctionCall(name, arguments), extra_content=extra)


# The call


def test_the_call() -> None:
    outgoing = gemini.build_request(target(headers={"x-a": "b"}), ChatRequest(messages=(HELLO,)))
    assert outgoing.url == "https://gemini.test/v1beta/models/gemini-3-flash:generateContent"
    assert outgoing.headers == {
        "content-type": "application/json",
        "accept": "application/json",
        "x-goog-api-key": "secret",
        "x-a": "b",
    }
    assert outgoing.body == b'{"contents":[{"role":"user","parts":[{"text":"Hello"}]}]}'
    assert outgoing.dropped == ()


def test_a_stream_is_another_method() -> None:
    chat = ChatRequest(messages=(HELLO,), stream=True)
    outgoing = gemini.build_request(structs.replace(target("models/x y"), key=None), chat)
    path = "https://gemini.test/v1beta/models/x%20y:streamGenerateContent?alt=sse"
    assert (outgoing.url, outgoing.headers["accept"]) == (path, "text/event-stream")
    assert "x-goog-api-key" not in outgoing.headers


def test_a_model_of_another_kind_keeps_its_path() -> None:
    url = gemini.build_request(target("tunedModels/mine"), ChatRequest(messages=(HELLO,))).url
    assert url == "https://gemini.test/v1beta/tunedModels/mine:generateContent"


@pytest.mark.parametrize("base", ["https://gemini.test/v1beta", "https://gemini.test/a/b/"])
@given(st.text(st.sampled_from("./%2eE?#\\:@;& modelst"), max_size=40))
@example("../../v1/secret")
@example("models/../../v1/secret")
@example("models/%2e%2e/%2e%2e/v1/secret")
@example("publishers/../models/x")
@example("tunedModels/..")
@example("models//x")
@example("models/x?key=y#z")
@example("..\\..\\v1\\secret")
@example("cachedContents/x")
def test_no_models_name_leads_out_of_the_models(base: str, name: str) -> None:
    to = structs.replace(target(name), base_url=base)
    try:
        url = gemini.build_request(to, ChatRequest(messages=(HELLO,))).url
    except InvalidRequest as error:
        assert error.param == "model"
        return
    path = url.removeprefix(base.rstrip("/"))
    segments = unquote(path.removesuffix(":generateContent")).split("/")[1:]
    assert segments[-2] in ("models", "tunedModels")
    assert path.count("/") == len(segments)
    assert not {"", ".", ".."} & set(segments)
    assert not set("?#\\") & set(path)


# Turns


def test_instructions_stand_apart_and_turns_alternate() -> None:
    assert sent(
        Message(role="system", content="Be brief."),
        Message(role="user", content=(text("One"), text(""))),
        Message(role="user", content="Two"),
        Message(role="assistant", content=""),
        Message(role="developer", content="Be kind."),
        Message(role="assistant", content="Three"),
        Message(role="user", content="Four"),
    ) == {
        "systemInstruction": {"parts": [{"text": "Be brief."}, {"text": "Be kind."}]},
        "contents": [
            {"role": "user", "parts": [{"text": "One"}, {"text": "Two"}]},
            {"role": "model", "parts": [{"text": "Three"}]},
            {"role": "user", "parts": [{"text": "Four"}]},
        ],
    }


def test_an_instruction_alone_is_a_question() -> None:
    assert sent(Message(role="developer", content="Say hi.")) == {
        "contents": [{"role": "user", "parts": [{"text": "Say hi."}]}]
    }


def test_audio_and_files() -> None:
    message = Message(
        role="user",
        content=(
            audio('{"data": "bXAz", "format": "mp3"}'),
            audio('{"data": "d2F2", "format": "wav"}'),
            file('{"filename": "a.pdf", "file_data": "data:application/pdf;base64,cGRm"}'),
        ),
    )
    assert turns(message)[0]["parts"] == [
        {"inlineData": {"mimeType": "audio/mp3", "data": "bXAz"}},
        {"inlineData": {"mimeType": "audio/wav", "data": "d2F2"}},
        {"inlineData": {"mimeType": "application/pdf", "data": "cGRm"}},
    ]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("data:text/plain;charset=utf-8;base64,aWk=", "text/plain"),
        ("data:application\\/pdf;base64,aWk=", "application/pdf"),
        ("DATA:image/svg+xml;BASE64,aWk=", "image/svg+xml"),
    ],
)
def test_a_file_in_any_writing_of_its_data_url(url: str, expected: str) -> None:
    message = Message(role="user", content=(file(f'{{"file_data": "{url}"}}'),))
    assert turns(message)[0]["parts"] == [{"inlineData": {"mimeType": expected, "data": "aWk="}}]


def test_images() -> None:
    message = Message(role="user", content=(text("See"), image("data:image/png;base64,iVBO")))
    assert turns(message)[0]["parts"] == [
        {"text": "See"},
        {"inlineData": {"mimeType": "image/png", "data": "iVBO"}},
    ]


@pytest.mark.parametrize(
    ("part", "param"),
    [
        (image("https://x.test/a.png"), "messages[0].content[1].image_url.url"),
        (image("data:image/svg+xml,<svg/>"), "messages[0].content[1].image_url.url"),
        (Part(type="input_audio"), "messages[0].content[1]"),
        (audio('{"data": "aWk=", "format": "flac"}'), "messages[0].content[1].input_audio"),
        (audio('{"format": "wav"}'), "messages[0].content[1].input_audio"),
        (file('{"file_id": "file-1"}'), "messages[0].content[1].file"),
        (file('{"file_data": "aWk="}'), "messages[0].content[1].file.file_data"),
        (Part(type="video"), "messages[0].content[1]"),
        (Part(type="image_url"), "messages[0].content[1]"),
    ],
)
def test_parts_that_it_cannot_carry(part: Part, param: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        sent(Message(role="user", content=(text("See"), part)))
    assert raised.value.param == param
    assert raised.value.message.startswith(param)


# Calls and their results


@pytest.mark.parametrize("content", ['{"a": [{"$ref": "#/b"}]}', '[{"\\u0024ref": "x"}]'])
def test_a_result_that_holds_a_reference_stays_text(content: str) -> None:
    """Gemini would look for a part of that name in the turn."""
    calls = Message(role="assistant", tool_calls=(call("c1", "f"),))
    result = turns(calls, Message(role="tool", tool_call_id="c1", content=content))[1]
    assert result["parts"][0]["functionResponse"]["response"] == {"result": content}


def test_a_conversation_begins_with_the_users_turn() -> None:
    calls = Message(role="assistant", tool_calls=(call("c1", "f"),))
    result = Message(role="tool", tool_call_id="c1", content="1")
    roles = [turn["role"] for turn in sent(calls, result)["contents"]]
    assert roles == ["user", "model", "user"]
    assert sent(Message(role="system", content="S"), calls, result)["contents"][0] == FIRST


def test_results_of_parallel_calls_stand_in_one_turn() -> None:
    assert turns(
        HELLO,
        Message(
            role="assistant",
            content="Looking.",
            tool_calls=(call("c1", "f", '{"a": 1.50}', signature="s1"), call("c2", "g")),
        ),
        Message(role="tool", tool_call_id="c1", content='{"sun": true}'),
        Message(role="tool", tool_call_id="c2", content="[1]"),
        Message(role="tool", tool_call_id="old", name="h", content="It rains"),
        Message(role="user", content="So?"),
    )[1:] == [
        {
            "role": "model",
            "parts": [
                {"text": "Looking."},
                {
                    "functionCall": {"id": "c1", "name": "f", "args": {"a": 1.5}},
                    "thoughtSignature": "s1",
                },
                {"functionCall": {"id": "c2", "name": "g", "args": {}}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"id": "c1", "name": "f", "response": {"sun": True}}},
                {"functionResponse": {"id": "c2", "name": "g", "response": {"result": [1]}}},
                {
                    "functionResponse": {
                        "id": "old",
                        "name": "h",
                        "response": {"result": "It rains"},
                    }
                },
            ],
        },
        {"role": "user", "parts": [{"text": "So?"}]},
    ]


def test_a_result_in_parts() -> None:
    parts = (text("4"), text("2"), image("data:image/png;base64,iVBO"))
    request = Message(role="assistant", tool_calls=(call("c", "f"),))
    assert turns(request, Message(role="tool", tool_call_id="c", content=parts))[1]["parts"] == [
        {"functionResponse": {"id": "c", "name": "f", "response": {"result": 42}}},
        {"inlineData": {"mimeType": "image/png", "data": "iVBO"}},
    ]


@pytest.mark.parametrize(("content", "error"), [("No disk.", "No disk."), ('{"a":1}', {"a": 1})])
def test_a_failure_is_called_so(content: str, error: Any) -> None:
    request = Message(role="assistant", tool_calls=(call("c", "f"),))
    failed = Message(role="tool", tool_call_id="c", content=content, is_error=True)
    (part,) = turns(request, failed)[1]["parts"]
    assert part["functionResponse"]["response"] == {"error": error}


def test_a_result_of_no_call_is_refused() -> None:
    with pytest.raises(InvalidRequest) as raised:
        turns(HELLO, Message(role="tool", tool_call_id="c", content="x"))
    assert raised.value.param == "messages[1].tool_call_id"


@pytest.mark.parametrize(
    ("arguments", "args"),
    [("", {}), ("[1]", {"arguments": "[1]"}), ("{broken", {"arguments": "{broken"})],
)
def test_arguments_that_are_no_object(arguments: str, args: Any) -> None:
    (turn,) = turns(Message(role="assistant", tool_calls=(call("c", "f", arguments),)))
    assert turn["parts"][0]["functionCall"]["args"] == args


# Signatures

SIGNED = {"google": {"thought_signature": "s"}}
SKIP = "skip_thought_signature_validator"


def test_the_signature_of_a_text_goes_back_onto_it() -> None:
    message = Message(role="assistant", content=(text("a"), text("b")), extra_content=SIGNED)
    assert turns(message)[0]["parts"] == [{"text": "a"}, {"text": "b", "thoughtSignature": "s"}]


def test_the_signature_of_an_empty_text() -> None:
    message = Message(role="assistant", content="", extra_content=SIGNED)
    assert turns(message)[0]["parts"] == [{"text": "", "thoughtSignature": "s"}]


def test_the_signature_of_a_message_without_text_is_its_first_calls() -> None:
    message = Message(
        role="assistant", tool_calls=(call("a", "f"), call("b", "f")), extra_content=SIGNED
    )
    signatures = [part.get("thoughtSignature") for part in turns(message)[0]["parts"]]
    assert signatures == ["s", None]


@pytest.mark.parametrize("extra", [{}, {"google": "s"}, {"google": {"thought_signature": 1}}])
def test_what_is_no_signature_stays_out(extra: dict[str, Any]) -> None:
    message = Message(role="assistant", content="a", extra_content=extra)
    assert turns(message)[0]["parts"] == [{"text": "a"}]


@pytest.mark.parametrize(
    ("id_", "signatures"),
    [
        ("gemini-3.1-pro-preview", [SKIP, None]),
        ("models/gemini-4-argon", [SKIP, None]),
        ("gemini-pro-latest", [SKIP, None]),
        ("gemini-2.5-flash", [None, None]),
        ("models/gemini-1.5-pro", [None, None]),
        ("gemini-pro-vision", [None, None]),
        ("gemma-3-27b-it", [None, None]),
    ],
)
def test_calls_of_another_model_get_the_documented_dummy(
    id_: str, signatures: list[str | None]
) -> None:
    message = Message(role="assistant", tool_calls=(call("a", "f"), call("b", "f")))
    parts = turns(message, to=target(id_))[0]["parts"]
    assert [part.get("thoughtSignature") for part in parts] == signatures
