"""Reads what providers of OpenAI's dialect answer; openai_stream.py reads it in pieces.

Lenient in all that is not needed: unknown fields, nulls, numbers for ids, objects for arguments,
lists for content. Where the form is OpenAI's to the letter the bytes go on as they came
(`raw`); where a provider departs from it they do not, and the caller's dialect renders it anew.
"""

from typing import Any

import msgspec
from msgspec import Raw, Struct

from proxy.core.chat import Answer, FinishReason, FunctionCall, ToolCall, ToolCallDelta
from proxy.core.nesting import Decoder
from proxy.providers import faults
from proxy.providers.adapter import Target
from proxy.providers.usage import UNREPORTED, Report, is_absent, member, read_openai
from proxy.providers.wire import call_id, split_thinking

_FINISH: dict[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
    "function_call": "tool_calls",
    "max_tokens": "length",
    "model_length": "length",
}
"""What is not listed (`eos_token`, `stop_sequence`) is an end of the model's own choice."""
_NATIVE_FINISH = (None, "stop", "length", "tool_calls", "content_filter", "function_call")
_NATIVE_OBJECTS = ("chat.completion", "chat.completion.chunk")
_BROKEN_OFF = ("error", "insufficient_system_resource")
"""Finish reasons which say that the answer is not whole."""
_KNOWN = frozenset(
    {
        "role",
        "content",
        "reasoning_content",
        "reasoning",
        "refusal",
        "tool_calls",
        "function_call",
        "channel",  # Groq's mark on the pieces of its reasoning
    }
)


class Choice(Struct):
    """One choice of a completion, whole (`message`) or a piece (`delta`)."""

    message: dict[str, Any] | None = None
    delta: dict[str, Any] | None = None
    index: Any = None
    finish_reason: Any = None
    logprobs: Any = None
    error: Any = None


class Completion(Struct):
    """A `chat.completion`, or a chunk of one."""

    choices: list[Choice] | None = None
    id: Any = None
    object: Any = None
    created: Any = None
    model: Any = None
    usage: Raw = UNREPORTED
    x_groq: Raw = UNREPORTED
    error: Any = None


class Message(Struct):
    """A message or a piece of one, read. `native`: its form is OpenAI's own."""

    text: str | None
    reasoning: str
    refusal: str
    calls: list[ToolCallDelta]
    extra: dict[str, Any]
    native: bool


_COMPLETION = Decoder(Completion)


def answer(target: Target, body: bytes) -> Answer:
    """Reads a whole answer. Raises Fault."""
    told = decoded(target, body)
    if told.error:
        raise faults.fault(target, faults.read(body))
    if not told.choices:
        raise faults.garbage(target, "It has no choices", body)
    choice = told.choices[0]
    check(target, choice)
    if choice.message is None and choice.finish_reason != "content_filter":
        raise faults.garbage(target, "Its choice has no message", body)
    message = read_message(choice.message or {})
    text, thought = split_thinking(message.text or "")
    native = message.native and bool(choice.message) and all(c.id for c in message.calls)
    report = usage_of(target, told)
    return Answer(
        text=None if message.text is None else text,
        reasoning=message.reasoning + thought or None,
        refusal=message.refusal or None,
        tool_calls=tuple(whole_call(c, i, told.id) for i, c in enumerate(message.calls)),
        finish_reason=finish_of(choice, bool(message.calls)) or ended(bool(message.calls)),
        usage=report.usage,
        model=text_of(told.model),
        id=text_of(told.id),
        created=told.created if isinstance(told.created, int) else None,
        logprobs=choice.logprobs,
        extra=message.extra,
        raw=body if native and is_native(told, choice, report) else None,
    )


def read_message(message: dict[str, Any]) -> Message:
    """Reads a message or a delta."""
    text, reasoning, native = _content(message.get("content"))
    told = message.get("reasoning_content") or message.get("reasoning")
    calls: list[ToolCallDelta] = []
    for call in _dicts(message.get("tool_calls")):
        delta, as_openai = read_call(call)
        native = native and as_openai
        if delta.name or delta.id or delta.arguments:
            calls.append(delta)
    legacy = message.get("function_call")
    if isinstance(legacy, dict):
        delta, _ = read_call({"index": 0, "function": legacy})
        made = call_id(delta.name) if delta.name else None
        calls.append(msgspec.structs.replace(delta, id=made))
    return Message(
        text=text,
        reasoning=reasoning + (text_of(told) or ""),
        refusal=text_of(message.get("refusal")) or "",
        calls=calls,
        extra={k: v for k, v in message.items() if k not in _KNOWN and v not in (None, "", [])},
        native=native,
    )


def read_call(call: dict[str, Any]) -> tuple[ToolCallDelta, bool]:
    """A tool call or a piece of one, and whether its form is OpenAI's own. Others leave the
    `function` out, give the arguments as an object or call them parameters. An index that
    is not told is -1."""
    function = call.get("function")
    native = isinstance(function, dict)
    told = function if isinstance(function, dict) else call
    arguments = told.get("arguments", told.get("parameters"))
    if arguments is not None and not isinstance(arguments, str):
        native = False
        arguments = msgspec.json.encode(arguments).decode()
    index, id_, extra = call.get("index"), call.get("id"), call.get("extra_content")
    delta = ToolCallDelta(
        index=index if isinstance(index, int) else -1,
        id=text_of(id_) or None,
        name=text_of(told.get("name")) or None,
        arguments=arguments or "",
        extra_content=extra if isinstance(extra, dict) else None,
    )
    return delta, native and (id_ is None or isinstance(id_, str))


def whole_call(call: ToolCallDelta, index: int, answer_id: Any) -> ToolCall:
    """A call that came in one piece."""
    name, arguments = call.name or "", call.arguments or "{}"
    return ToolCall(
        id=call.id or call_id(answer_id, index, name, arguments),
        function=FunctionCall(name=name, arguments=arguments),
        extra_content=call.extra_content,
    )


def usage_of(target: Target, told: Completion) -> Report:
    """What a completion or a chunk reports of usage, Groq's in a place of its own."""
    report = read_openai(target, told.usage)
    if report.usage or is_absent(told.x_groq):
        return report
    own = read_openai(target, member(told.x_groq, "usage"))
    return Report(own.usage, report.is_sound and own.is_sound)


def text_of(value: Any) -> str | None:
    """The value if it is a text."""
    return value if isinstance(value, str) else None


def decoded(target: Target, data: bytes) -> Completion:
    """A completion or a chunk, decoded. Raises Fault."""
    try:
        return _COMPLETION.decode(data)
    except faults.UNREADABLE as error:
        raise faults.unread(target, error, data) from error


def check(target: Target, choice: Choice) -> None:
    """Raises the fault that a choice tells in place of an answer."""
    if choice.error or choice.finish_reason in _BROKEN_OFF:
        error = choice.error or {"message": f"The answer broke off: {choice.finish_reason}."}
        raise faults.fault(target, faults.read(msgspec.json.encode({"error": error})))


def ended(calls: bool) -> FinishReason:
    """Why an answer ended whose provider does not say so in OpenAI's words."""
    return "tool_calls" if calls else "stop"


def finish_of(choice: Choice, calls: bool) -> FinishReason | None:
    """The finish reason that a choice tells. calls: whether the model has called a tool."""
    reason = text_of(choice.finish_reason)
    return _FINISH.get(reason, ended(calls)) if reason else None


def is_native(told: Completion, choice: Choice, report: Report) -> bool:
    """Whether the form around the message is OpenAI's own."""
    return (
        report.is_sound
        and told.object in _NATIVE_OBJECTS
        and choice.finish_reason in _NATIVE_FINISH
    )


def _content(content: Any) -> tuple[str | None, str, bool]:
    """Text, reasoning, and whether the content has OpenAI's form. Mistral's is a list of text
    and thinking parts."""
    if content is None or isinstance(content, str):
        return content, "", True
    text, reasoning = list[str](), list[str]()
    for part in _dicts(content):
        if part.get("type") == "thinking":
            reasoning += (text_of(p.get("text")) or "" for p in _dicts(part.get("thinking")))
        else:
            text.append(text_of(part.get("text")) or "")
    return "".join(text), "".join(reasoning), False


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
