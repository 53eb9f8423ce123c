"""What is sent to Gemini's generateContent: turns, signatures, tools, schemas, settings."""

import json
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import Raw, structs

from proxy.core.chat import (
    ChatRequest,
    Function,
    FunctionCall,
    ImageURL,
    JSONSchema,
    Message,
    Part,
    ResponseFormat,
    Tool,
    ToolCall,
)
from proxy.core.errors import InvalidRequest
from proxy.providers import gemini
from proxy.providers.specs import Model, ProviderSpec
from proxy.providers.target import Target

HELLO = Message(role="user", content="Hello")
FIRST = {"role": "user", "parts": [{"text": " "}]}


def target(id_: str = "gemini-3-flash", model: dict[str, Any] | None = None, **spec: Any) -> Target:
    return Target(
        spec=ProviderSpec(name="gemini", dialect="gemini", **spec),
        model=Model(provider="gemini", id=id_, **(model or {})),
        base_url="https://gemini.test/v1beta",
        key="secret",
    )


def sent(*messages: Message, to: Target | None = None, **fields: Any) -> Any:
    chat = ChatRequest(messages=messages or (HELLO,), **fields)
    body = gemini.build_request(to or target(), chat).body or b""
    return json.loads(body if isinstance(body, bytes) else b"".join(body))


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
    ("url", "told"),
    [
        ("data:text/plain;charset=utf-8;base64,aWk=", "text/plain"),
        ("data:application\\/pdf;base64,aWk=", "application/pdf"),
        ("DATA:image/svg+xml;BASE64,aWk=", "image/svg+xml"),
    ],
)
def test_a_file_in_any_writing_of_its_data_url(url: str, told: str) -> None:
    message = Message(role="user", content=(file(f'{{"file_data": "{url}"}}'),))
    assert turns(message)[0]["parts"] == [{"inlineData": {"mimeType": told, "data": "aWk="}}]


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
    asked = Message(role="assistant", tool_calls=(call("c", "f"),))
    assert turns(asked, Message(role="tool", tool_call_id="c", content=parts))[1]["parts"] == [
        {"functionResponse": {"id": "c", "name": "f", "response": {"result": 42}}},
        {"inlineData": {"mimeType": "image/png", "data": "iVBO"}},
    ]


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
    told = [part.get("thoughtSignature") for part in turns(message)[0]["parts"]]
    assert told == ["s", None]


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


# Tools

TOOL = Tool(function=Function(name="f", description="Does it.", parameters={"type": "object"}))


@pytest.mark.parametrize(("wanted", "mode"), [("auto", "VALIDATED"), ("required", "ANY")])
def test_some_of_the_tools_are_allowed(wanted: str, mode: str) -> None:
    tools = (TOOL, Tool(function=Function(name="g")))
    named = [{"type": "function", "function": {"name": "g"}}]
    choice = {"type": "allowed_tools", "allowed_tools": {"mode": wanted, "tools": named}}
    chat = ChatRequest(
        messages=(HELLO,), tools=tools, extra={"tool_choice": Raw(json.dumps(choice).encode())}
    )
    outgoing = gemini.build_request(target(), chat)
    config = json.loads(outgoing.body or b"")["toolConfig"]["functionCallingConfig"]
    assert config == {"mode": mode, "allowedFunctionNames": ["g"]}
    assert outgoing.dropped == ()


def test_a_choice_of_another_form_is_left_out_and_told() -> None:
    extra = {"tool_choice": Raw(b'{"type":"custom","custom":{"name":"x"}}')}
    outgoing = gemini.build_request(
        target(), ChatRequest(messages=(HELLO,), tools=(TOOL,), extra=extra)
    )
    assert "toolConfig" not in json.loads(outgoing.body or b"")
    assert outgoing.dropped == ("tool_choice",)


ENDLESS = {"$defs": {"node": {"properties": {"next": {"$ref": "#/$defs/node"}}}}}


def test_a_schema_that_it_cannot_be_sent_is_named() -> None:
    schema = {"$ref": "#/$defs/node", **ENDLESS}
    with pytest.raises(InvalidRequest, match="refers to itself") as raised:
        sent(tools=(Tool(function=Function(name="f", parameters=schema)),))
    assert raised.value.param == "tools[0].function.parameters"
    wanted = ResponseFormat(type="json_schema", json_schema=JSONSchema(schema_=schema))
    with pytest.raises(InvalidRequest) as raised:
        sent(response_format=wanted)
    assert raised.value.param == "response_format.json_schema.schema"


@pytest.mark.parametrize(
    ("choice", "config"),
    [
        (None, None),
        ("auto", {"mode": "AUTO"}),
        ("none", {"mode": "NONE"}),
        ("required", {"mode": "ANY"}),
        ("function:f", {"mode": "ANY", "allowedFunctionNames": ["f"]}),
    ],
)
def test_tools(choice: str | None, config: Any) -> None:
    told = sent(tools=(TOOL, Tool(function=Function(name="g"))), tool_choice=choice)
    assert told["tools"] == [
        {
            "functionDeclarations": [
                {
                    "name": "f",
                    "description": "Does it.",
                    "parametersJsonSchema": {"type": "object"},
                },
                {"name": "g", "description": ""},
            ]
        }
    ]
    assert told.get("toolConfig") == (config and {"functionCallingConfig": config})


def test_tools_that_are_no_function_are_refused() -> None:
    with pytest.raises(InvalidRequest) as raised:
        sent(tools=(TOOL, Tool(type="web_search")))
    assert raised.value.param == "tools[1]"


def test_schemas_keep_only_what_gemini_knows() -> None:
    schema = {"$schema": "x", "type": "object"}
    asked = ResponseFormat(type="json_schema", json_schema=JSONSchema(schema_=schema))
    tool = Tool(function=Function(name="f", parameters=schema))
    told = sent(response_format=asked, tools=(tool,))
    assert told["generationConfig"] == {
        "responseMimeType": "application/json",
        "responseJsonSchema": {"type": "object"},
    }
    (declared,) = told["tools"][0]["functionDeclarations"]
    assert declared["parametersJsonSchema"] == {"type": "object"}


# Settings


def test_settings() -> None:
    assert sent(
        max_tokens=5,
        temperature=0.5,
        top_p=0.9,
        stop=("a",),
        seed=7,
        frequency_penalty=0.1,
        presence_penalty=0.2,
        logprobs=True,
        top_logprobs=2,
        response_format=ResponseFormat(type="json_object"),
    )["generationConfig"] == {
        "maxOutputTokens": 5,
        "temperature": 0.5,
        "topP": 0.9,
        "stopSequences": ["a"],
        "seed": 7,
        "frequencyPenalty": 0.1,
        "presencePenalty": 0.2,
        "responseLogprobs": True,
        "logprobs": 2,
        "responseMimeType": "application/json",
    }


def test_text_is_no_format() -> None:
    assert "generationConfig" not in sent(response_format=ResponseFormat(type="text"))


def test_what_is_left_out_is_told() -> None:
    to = target(model={"drop": ("seed",)}, drop=("logprobs", "stop"))
    chat = ChatRequest(
        messages=(HELLO,),
        seed=1,
        logprobs=True,
        temperature=0,
        parallel_tool_calls=False,
        extra={"n": Raw(b"2")},
    )
    outgoing = gemini.build_request(to, chat)
    assert outgoing.dropped == ("seed", "logprobs", "parallel_tool_calls", "n")
    assert json.loads(outgoing.body or b"")["generationConfig"] == {"temperature": 0}


def test_a_model_has_fields_of_its_own() -> None:
    to = target(
        model={
            "upstream": "gemini-wire",
            "send": {"safetySettings": [], "generationConfig": {"topK": 3, "topP": 0.1}},
            "with_tools": {"toolConfig": {"a": 1}},
        }
    )
    outgoing = gemini.build_request(to, ChatRequest(messages=(HELLO,), top_p=0.9, tools=(TOOL,)))
    told = json.loads(outgoing.body or b"")
    assert "/models/gemini-wire:" in outgoing.url
    assert told["safetySettings"] == []
    assert told["generationConfig"] == {"topK": 3, "topP": 0.9}
    assert told["toolConfig"] == {"a": 1}


@pytest.mark.parametrize(
    ("id_", "effort", "config"),
    [
        ("gemini-3-flash", "low", {"includeThoughts": True, "thinkingLevel": "low"}),
        ("gemini-3-flash", "none", {"includeThoughts": False, "thinkingLevel": "minimal"}),
        ("gemini-3-flash", "xhigh", {"includeThoughts": True, "thinkingLevel": "high"}),
        ("gemini-2.5-flash", "none", {"includeThoughts": False, "thinkingBudget": 0}),
        ("gemini-2.5-flash", "minimal", {"includeThoughts": True, "thinkingBudget": 1024}),
        ("gemini-2.5-flash", "medium", {"includeThoughts": True, "thinkingBudget": 8192}),
        ("gemini-2.5-pro", "xhigh", {"includeThoughts": True, "thinkingBudget": 24576}),
    ],
)
def test_thinking(id_: str, effort: str, config: Any) -> None:
    told = sent(to=target(id_), reasoning_effort=effort)
    assert told["generationConfig"] == {"thinkingConfig": config}


def test_thinking_by_the_catalogue() -> None:
    to = target(model={"efforts": {"none": "low"}}, efforts={"none": "high"})
    told = sent(to=to, reasoning_effort="none")["generationConfig"]["thinkingConfig"]
    assert told == {"includeThoughts": False, "thinkingLevel": "low"}
