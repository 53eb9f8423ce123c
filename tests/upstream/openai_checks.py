"""What a provider of OpenAI's dialect refuses, as far as a proxy's mistakes could cause it."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from .reply import RejectedError, names
from .request import Json

COMMON = names(
    "model messages stream stream_options max_tokens temperature top_p n stop seed user tools"
    " tool_choice parallel_tool_calls response_format frequency_penalty presence_penalty"
    " logit_bias logprobs top_logprobs"
)
EMBEDDINGS = names("model input dimensions encoding_format user")


@dataclass(frozen=True)
class Rules:
    """Where the providers differ."""

    extra: str = ""
    """Fields beside the common ones, separated by spaces."""
    without: str = ""
    """Common fields that it does not know."""
    refused: str = ""
    """Fields that it refuses by name, though it ignores what else it does not know."""
    strict: bool = False
    """Unknown fields are refused; elsewhere they are ignored, as the provider does."""
    unknown_status: int = 400
    unknown_message: str = ""
    unknown_is_named: bool = False
    """The error's param names the field."""
    roles: str = "system developer user assistant tool"
    parts: str = "text image_url input_audio file refusal"
    id_length: int | None = None
    """The longest tool call id that is taken."""
    id_exact: int | None = None
    """The only length of a tool call id, of letters and digits."""
    message_fields: str = ""
    """The fields of a message; without them any are taken."""
    in_turns: bool = False
    """No user speaks right after a tool."""
    prefill: str = ""
    """The mark without which no assistant's message ends the conversation."""
    plain_tools: bool = False
    """A tool's result is a string."""
    efforts: str = ""
    """The values of reasoning_effort; without them any are taken."""
    custom_tools: bool = False
    """Tools of the type `custom` are taken."""
    json_word: bool = False
    """JSON mode wants the word "json" in some message."""

    @property
    def tool_types(self) -> tuple[str, ...]:
        return ("function", "custom") if self.custom_tools else ("function",)

    @property
    def fields(self) -> frozenset[str]:
        return (COMMON | names(self.extra)) - names(self.without)


def unknown_fields(body: Json, rules: Rules) -> list[str]:
    known = rules.fields if "messages" in body else EMBEDDINGS
    return sorted(body.keys() - known)


def check_chat(body: Json, rules: Rules) -> None:
    """Raises RejectedError for the first thing that the provider would not take."""
    check_model(body)
    if rules.strict and (unknown := unknown_fields(body, rules)):
        message = rules.unknown_message.format(unknown[0])
        param = unknown[0] if rules.unknown_is_named else None
        raise RejectedError(rules.unknown_status, message, param=param)
    if named := sorted(body.keys() & names(rules.refused)):
        raise RejectedError(400, f"'{named[0]}' is not supported.", param=named[0])
    if rules.efforts and body.get("reasoning_effort") not in (None, *rules.efforts.split()):
        text = f"Invalid reasoning_effort: {body['reasoning_effort']!r} (one of {rules.efforts})"
        raise RejectedError(400, text, param="reasoning_effort")
    messages = body.get("messages")
    if not isinstance(messages, list):
        raise RejectedError(
            400, "Missing required parameter: 'messages'.", "missing_required_parameter"
        )
    if not messages:
        raise RejectedError(400, "Invalid 'messages': empty array.", "empty_array", "messages")
    for index, message in enumerate(messages):
        _check_message(message, f"messages[{index}]", rules)
    _check_tool_order(messages)
    _check_turns(messages, rules)
    _check_ranges(body)
    _check_tools(body, rules)
    if rules.json_word:
        _check_json_word(body)


def check_embeddings(body: Json) -> None:
    check_model(body)
    given = body.get("input")
    if not given or not isinstance(given, str | list):
        raise RejectedError(400, "'input' cannot be empty", "invalid_value", "input")


def check_model(body: Json) -> None:
    """The model is named; any name that holds "none" stands for one that does not exist."""
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise RejectedError(400, "you must provide a model parameter", param="model")
    if "none" in model:
        message = f"The model `{model}` does not exist or you do not have access to it."
        raise RejectedError(404, message, "model_not_found")


def _check_message(message: Any, where: str, rules: Rules) -> None:
    if not isinstance(message, dict) or message.get("role") not in rules.roles.split():
        role = message.get("role") if isinstance(message, dict) else None
        raise RejectedError(400, f"Invalid value: {role!r}.", "invalid_value", f"{where}.role")
    known = names(rules.message_fields) or message.keys()
    if strange := sorted(message.keys() - known):
        text = f"Extra inputs are not permitted, field: '{where}.{strange[0]}'"
        raise RejectedError(rules.unknown_status, text)
    content = message.get("content")
    if rules.plain_tools and message["role"] == "tool" and not isinstance(content, str):
        raise RejectedError(422, f"{where}.content: Input should be a valid string")
    if content is None and not message.get("tool_calls"):
        text = f"Invalid value for 'content': expected a string, got null in {where}."
        raise RejectedError(400, text, param=f"{where}.content")
    if not isinstance(content, str | list | None):
        text = f"Invalid type for '{where}.content': expected a string or array of objects."
        raise RejectedError(400, text, "invalid_type", f"{where}.content")
    for number, part in enumerate(content if isinstance(content, list) else []):
        kind = part.get("type") if isinstance(part, dict) else None
        if kind not in rules.parts.split():
            text = f"{where}: unknown variant `{kind}`, expected one of {rules.parts}"
            raise RejectedError(400, text, "invalid_value", f"{where}.content[{number}].type")
    for number, call in enumerate(message.get("tool_calls") or []):
        _check_call(call, f"{where}.tool_calls[{number}]", rules)


def _check_call(call: Json, where: str, rules: Rules) -> None:
    kind = call.get("type", "")
    called = call.get(kind, {}) if kind in rules.tool_types else {}
    if not called.get("name") or not call.get("id"):
        raise RejectedError(400, f"Missing id, type or name in '{where}'.", param=where)
    name = f"{where}.{kind}.{'input' if kind == 'custom' else 'arguments'}"
    if not isinstance(called.get(name.rpartition(".")[2]), str):
        text = f"Invalid type for '{name}': expected a string."
        raise RejectedError(400, text, "invalid_type", name)
    if rules.id_exact and not (len(call["id"]) == rules.id_exact and call["id"].isalnum()):
        text = (
            f"Tool call id was {call['id']} but must be a-z, A-Z, 0-9, with a length of"
            f" {rules.id_exact}."
        )
        raise RejectedError(400, text, "3280")
    if rules.id_length is not None and len(call["id"]) > rules.id_length:
        text = (
            f"Invalid '{where}.id': string too long. Expected a string with maximum length"
            f" {rules.id_length}, but got a string with length {len(call['id'])} instead."
        )
        raise RejectedError(400, text, "string_above_max_length", f"{where}.id")


def _check_tool_order(messages: list[Json]) -> None:
    """Each tool message answers an open call; no other message comes before all are answered."""
    open_calls: set[str] = set()
    for index, message in enumerate(messages):
        if message["role"] == "tool":
            if message.get("tool_call_id") not in open_calls:
                text = (
                    "Invalid parameter: messages with role 'tool' must be a response to a"
                    " preceding message with 'tool_calls'."
                )
                raise RejectedError(400, text, param=f"messages[{index}].role")
            open_calls.remove(message["tool_call_id"])
            continue
        _check_answered(open_calls)
        open_calls = {call["id"] for call in message.get("tool_calls") or []}
    _check_answered(open_calls)


def _check_turns(messages: list[Json], rules: Rules) -> None:
    roles = [message["role"] for message in messages]
    if rules.in_turns and ("tool", "user") in pairwise(roles):
        raise RejectedError(400, "Unexpected role 'user' after role 'tool'", "3230")
    last = messages[-1]
    if rules.prefill and last["role"] == "assistant" and not last.get(rules.prefill):
        text = (
            "Expected last role User or Tool (or Assistant with prefix True) for serving but got"
            " assistant"
        )
        raise RejectedError(400, text, "3230")


def _check_answered(open_calls: set[str]) -> None:
    if open_calls:
        text = (
            "An assistant message with 'tool_calls' must be followed by tool messages responding"
            f" to each 'tool_call_id'. No response for: {', '.join(sorted(open_calls))}"
        )
        raise RejectedError(400, text, param="messages")


def _check_ranges(body: Json) -> None:
    for name, low, high in (("temperature", 0, 2), ("top_p", 0, 1)):
        value = body.get(name)
        if value is not None and not (isinstance(value, int | float) and low <= value <= high):
            text = f"Invalid '{name}': expected a value between {low} and {high}."
            raise RejectedError(400, text, "invalid_value", name)
    if body.get("tool_choice") and not body.get("tools"):
        raise RejectedError(400, "'tool_choice' is only allowed when 'tools' are specified.")
    if body.get("tools") == []:
        raise RejectedError(400, "Invalid 'tools': empty array.", "empty_array", "tools")


def _check_tools(body: Json, rules: Rules) -> None:
    for number, tool in enumerate(body.get("tools") or []):
        if tool.get("type") == "custom" and not rules.custom_tools:
            where = f"tools[{number}].type"
            raise RejectedError(400, f"{where}: unknown variant `custom`", param=where)


def _check_json_word(body: Json) -> None:
    if (body.get("response_format") or {}).get("type") != "json_object":
        return
    if not any("json" in text.lower() for text in texts(body["messages"])):
        text = (
            "'messages' must contain the word 'json' in some form, to use 'response_format' of"
            " type 'json_object'."
        )
        raise RejectedError(400, text, param="messages")


def texts(messages: list[Json]) -> Iterator[str]:
    """Every text of the messages: plain contents and text parts."""
    for message in messages:
        content = message.get("content")
        if isinstance(content, str):
            yield content
        for part in content if isinstance(content, list) else []:
            if part.get("type") == "text":
                yield part["text"]
