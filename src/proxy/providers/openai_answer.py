"""Reads what providers of OpenAI's dialect answer; openai_stream.py reads it in pieces.

Lenient in all that is not needed: unknown fields, nulls, numbers for ids, objects for arguments,
lists for content. Where the form is OpenAI's to the letter the bytes go on as they came
(`raw`); where a provider departs from it they do not, and the caller's dialect renders it anew.
"""

import json
from typing import Any

import msgspec
from msgspec import Raw, Struct, structs

from proxy.core.chat import Answer
from proxy.core.json_guard import Decoder
from proxy.core.loose_json import as_objects, as_text
from proxy.core.messages import FunctionCall, ToolCall, ToolCallDelta
from proxy.core.splice import NULL
from proxy.providers.faults import read_inner_fault
from proxy.providers.finish import check_finish, infer_finish, read_finish
from proxy.providers.garbage import decode, garbage
from proxy.providers.openai_form import read_form, without_usage
from proxy.providers.surrogates import mend
from proxy.providers.target import Target
from proxy.providers.thinking import split_thinking
from proxy.providers.tool_calls import UNSAID, make_call_id
from proxy.providers.usage import UsageReport, is_absent, read_member, read_usage

_NATIVE_OBJECTS = ("chat.completion", "chat.completion.chunk")
_KNOWN = frozenset({
    "role", "content", "reasoning_content", "reasoning", "refusal", "tool_calls", "function_call",
    "channel",  # Groq's mark on the pieces of its reasoning
})  # fmt: skip
NO_REPORT = UsageReport()
REASONING_FIELDS = ("reasoning_content", "reasoning")


class Choice(Struct):
    """One choice of a completion, whole (`message`) or a piece (`delta`)."""

    message: dict[str, Any] | None = None
    delta: dict[str, Any] | None = None
    index: Any = None
    finish_reason: Any = None
    logprobs: Any = None
    usage: Raw = NULL
    error: Any = None


class Completion(Struct):
    """A `chat.completion`, or a chunk of one."""

    choices: list[Choice] | None = None
    id: Any = None
    object: Any = None
    created: Any = None
    model: Any = None
    usage: Raw = NULL
    x_groq: Raw = NULL
    error: Any = None
    error_message: Any = None
    """DeepInfra's, in a stream."""

    @property
    def is_error(self) -> bool:
        """Whether it is an error in place of an answer."""
        return bool(self.error or self.error_message) or self.object == "error"


class MessagePiece(Struct):
    """A message or a piece of one, read. `native`: its form is OpenAI's own."""

    text: str | None
    reasoning: str
    reasoning_fields: tuple[str, ...]
    refusal: str
    calls: list[ToolCallDelta]
    extra: dict[str, Any]
    native: bool


COMPLETION = Decoder(Completion, float_hook=float)  # 1e999 is infinite, and no error


def read_answer(target: Target, body: bytes) -> Answer:
    """Reads a whole answer. Raises Fault."""
    body = mend(body)
    completion = decode(target, COMPLETION, body)
    if completion.is_error:
        raise read_inner_fault(target, body)
    if not completion.choices:
        raise garbage(target, "It has no choices", body)
    choice = completion.choices[0]
    check_finish(target, choice.finish_reason, choice.error)
    message = read_message(choice.message or {})
    calls = message.calls
    called = bool(calls)
    finish = read_finish(choice.finish_reason, called) or infer_finish(called)
    if choice.message is None and finish != "content_filter":
        raise garbage(target, "Its choice has no message", body)
    content = message.text or ""
    text, thought = split_thinking(content, target.spec.reasoning_tag)
    inline = content[: len(content) - len(text)]
    native = message.native and bool(choice.message) and all(map(_is_whole, calls))
    report = read_report(target, completion)
    form = read_form(body, choice.message or {}, message.extra, message.reasoning_fields, inline)
    return Answer(
        text=None if message.text is None else text,
        reasoning=message.reasoning + thought or None,
        refusal=message.refusal or None,
        tool_calls=tuple([make_call(c, i, completion.id) for i, c in enumerate(calls)]),
        finish_reason=finish,
        usage=report.usage,
        model=as_text(completion.model),
        id=as_text(completion.id),
        created=completion.created if isinstance(completion.created, int) else None,
        logprobs=choice.logprobs,
        extra=message.extra,
        form=form if report.is_sound else without_usage(form),
        raw=body if native and is_native(completion, choice, finish, report) else None,
    )


def _is_whole(call: ToolCallDelta) -> bool:
    return bool(call.id and (call.arguments or call.type != "function"))


def read_message(message: dict[str, Any]) -> MessagePiece:
    """Reads a message or a delta."""
    content, refusal = message.get("content"), message.get("refusal")
    text, reasoning, native = content, "", True
    if content is not None and not isinstance(content, str):
        text, reasoning, native = *_read_parts(content), False
    named: tuple[str, ...] = ()
    if "reasoning_content" in message or "reasoning" in message:
        named = tuple(name for name in REASONING_FIELDS if as_text(message.get(name)))
    calls: list[ToolCallDelta] = []
    if "tool_calls" in message:
        for call in as_objects(message["tool_calls"]):
            delta, as_openai = read_call(call)
            native = native and as_openai
            if delta.name or delta.id or delta.arguments:
                calls.append(delta)
    legacy = message.get("function_call")
    if isinstance(legacy, dict):
        delta, _ = read_call({"index": 0, "function": legacy})
        made = make_call_id(delta.name) if delta.name else None
        calls.append(structs.replace(delta, id=made))
    return MessagePiece(
        text=text,
        reasoning=reasoning + (message[named[0]] if named else ""),
        reasoning_fields=named,
        refusal=refusal if isinstance(refusal, str) else "",
        calls=calls,
        extra={k: v for k, v in message.items() if k not in _KNOWN and v not in (None, "", [])},
        native=native,
    )


def read_call(call: dict[str, Any]) -> tuple[ToolCallDelta, bool]:
    """A tool call or a piece of one, and whether its form is OpenAI's own. Others leave the
    `function` out, give the arguments as an object or call them parameters. An index that
    is not given is UNSAID."""
    custom = call.get("custom")
    function = custom if isinstance(custom, dict) else call.get("function")
    native = isinstance(function, dict)
    named = function if isinstance(function, dict) else call
    arguments = named.get("arguments", named.get("parameters", named.get("input")))
    if arguments is not None and not isinstance(arguments, str):
        native = False
        arguments = _encode(arguments)
    index, id_, extra = call.get("index"), call.get("id"), call.get("extra_content")
    delta = ToolCallDelta(
        index=index if type(index) is int and index >= 0 else UNSAID,
        id=as_text(id_) or None,
        name=as_text(named.get("name")) or None,
        arguments=arguments or "",
        type="custom" if isinstance(custom, dict) else "function",
        extra_content=extra if isinstance(extra, dict) else None,
    )
    return delta, native and (id_ is None or isinstance(id_, str))


def make_call(call: ToolCallDelta, index: int, answer_id: Any) -> ToolCall:
    """A call that came in one piece."""
    name, arguments = call.name or "", call.arguments
    if call.type == "function":
        arguments = arguments or "{}"
    return ToolCall(
        id=call.id or make_call_id(answer_id, index, name, arguments),
        function=FunctionCall(name=name, arguments=arguments),
        type=call.type,
        extra_content=call.extra_content,
    )


def read_report(target: Target, completion: Completion) -> UsageReport:
    """What a completion or a chunk reports of usage: Groq in a place of its own too, Moonshot in
    its choice."""
    choice = completion.choices[0] if completion.choices else None
    is_alone = is_absent(completion.x_groq) and (choice is None or is_absent(choice.usage))
    if is_alone and is_absent(completion.usage):
        return NO_REPORT
    report = read_usage(target, completion.usage)
    if report.usage or is_alone:
        return report
    places = (read_member(completion.x_groq, "usage"), choice.usage if choice else NULL)
    own = read_usage(target, next((place for place in places if not is_absent(place)), NULL))
    return UsageReport(own.usage, report.is_sound and own.is_sound)


def is_native(
    completion: Completion, choice: Choice, finish: str | None, report: UsageReport
) -> bool:
    """Whether the form around the message is OpenAI's own. finish: the finish reason as read."""
    is_own_word = choice.finish_reason in (finish, "function_call")
    return report.is_sound and completion.object in _NATIVE_OBJECTS and is_own_word


def _encode(value: Any) -> str:
    try:
        return msgspec.json.encode(value).decode()
    except UnicodeEncodeError:  # half a character, which a stream joins later
        return json.dumps(value)


def _read_parts(content: object) -> tuple[str, str]:
    """Text and reasoning of a content that is no text: Mistral's is a list of text and thinking
    parts."""
    text, reasoning = list[str](), list[str]()
    for part in as_objects(content):
        if part.get("type") == "thinking":
            reasoning += (as_text(p.get("text")) or "" for p in as_objects(part.get("thinking")))
        else:
            text.append(as_text(part.get("text")) or "")
    return "".join(text), "".join(reasoning)
