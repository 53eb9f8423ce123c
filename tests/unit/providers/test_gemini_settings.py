"""What is sent to Gemini's generateContent: tools, schemas, settings."""

import json
from typing import Any

import pytest
from msgspec import Raw

from proxy.core.chat import ChatRequest
from proxy.core.errors import InvalidRequest
from proxy.core.messages import Function, JSONSchema, ResponseFormat, Tool
from proxy.providers import gemini
from tests.unit.providers import replay
from tests.unit.providers.making_gemini import HELLO, sent, target

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
    config = replay.decode_body(outgoing)["toolConfig"]["functionCallingConfig"]
    assert config == {"mode": mode, "allowedFunctionNames": ["g"]}
    assert outgoing.dropped == ()


def test_a_choice_of_another_form_is_left_out_and_told() -> None:
    extra = {"tool_choice": Raw(b'{"type":"custom","custom":{"name":"x"}}')}
    outgoing = gemini.build_request(
        target(), ChatRequest(messages=(HELLO,), tools=(TOOL,), extra=extra)
    )
    assert "toolConfig" not in replay.decode_body(outgoing)
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
    outgoing = sent(tools=(TOOL, Tool(function=Function(name="g"))), tool_choice=choice)
    assert outgoing["tools"] == [
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
    assert outgoing.get("toolConfig") == (config and {"functionCallingConfig": config})


def test_tools_that_are_no_function_are_refused() -> None:
    with pytest.raises(InvalidRequest) as raised:
        sent(tools=(TOOL, Tool(type="web_search")))
    assert raised.value.param == "tools[1]"


def test_schemas_keep_only_what_gemini_knows() -> None:
    schema = {"$schema": "x", "type": "object"}
    request = ResponseFormat(type="json_schema", json_schema=JSONSchema(schema_=schema))
    tool = Tool(function=Function(name="f", parameters=schema))
    outgoing = sent(response_format=request, tools=(tool,))
    assert outgoing["generationConfig"] == {
        "responseMimeType": "application/json",
        "responseJsonSchema": {"type": "object"},
    }
    (declared,) = outgoing["tools"][0]["functionDeclarations"]
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
    assert replay.decode_body(outgoing)["generationConfig"] == {"temperature": 0}


def test_a_model_has_fields_of_its_own() -> None:
    to = target(
        model={
            "upstream": "gemini-wire",
            "send": {"safetySettings": [], "generationConfig": {"topK": 3, "topP": 0.1}},
        }
    )
    outgoing = gemini.build_request(to, ChatRequest(messages=(HELLO,), top_p=0.9))
    fields = replay.decode_body(outgoing)
    assert "/models/gemini-wire:" in outgoing.url
    assert fields["safetySettings"] == []
    assert fields["generationConfig"] == {"topK": 3, "topP": 0.9}


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
    outgoing = sent(to=target(id_), reasoning_effort=effort)
    assert outgoing["generationConfig"] == {"thinkingConfig": config}


def test_thinking_by_the_catalogue() -> None:
    to = target(model={"efforts": {"none": "low"}}, efforts={"none": "high"})
    outgoing = sent(to=to, reasoning_effort="none")["generationConfig"]["thinkingConfig"]
    assert outgoing == {"includeThoughts": False, "thinkingLevel": "low"}
