"""Workers AI over the Worker's own binding: older models with Cloudflare's native form
(`response`, flat tool calls), newer ones with OpenAI's, some with both in one stream.
"""

import re
from collections.abc import Mapping
from itertools import zip_longest
from typing import Any

import msgspec
from msgspec import Raw, Struct, structs

from proxy.core import nesting, splice
from proxy.core.chat import (
    Answer,
    ChatRequest,
    EmbeddingRequest,
    Embeddings,
    Message,
    Part,
    ResponseFormat,
)
from proxy.core.errors import Fault, InvalidRequest
from proxy.core.ports import Outgoing
from proxy.core.splice import Piece, large_texts, text_in_lines
from proxy.providers import faults, openai_answer, openai_stream
from proxy.providers.adapter import Target
from proxy.providers.openai_answer import (
    Choice,
    check,
    ended,
    finish_of,
    read_message,
    whole_call,
)
from proxy.providers.openai_request import adapt, said
from proxy.providers.surrogates import has_halves, mend
from proxy.providers.usage import UNREPORTED, openai_usage, read_openai
from proxy.providers.wire import as_chunk, split_thinking, vectors

_CODES = {
    3003: 400,  # incomplete request
    3006: 413,
    3007: 408,
    3008: 408,  # aborted
    3023: 403,  # account blocked
    3030: 400,  # the model refuses its input
    3036: 429,  # the day's allocation is used up: no wait short of 00:00 UTC helps
    3039: 400,
    3040: 429,  # out of capacity
    3041: 403,
    3042: 404,
    3046: 408,
    4006: 429,  # as 3036
    5004: 400,
    5005: 400,
    5006: 400,  # against the model's schema
    5007: 404,
    5012: 422,
    5016: 403,  # the model's licence is not accepted
    5018: 403,
    5019: 400,
    10000: 401,
}
"""Cloudflare's codes as HTTP statuses: its own, but where those mislead (5007, no such model,
is 400 there)."""
_NAME = re.compile(r"@?\w[\w.:+-]*(?:/\w[\w.:+-]*)*", re.ASCII)
_CODE = re.compile(r"(?:\w*Error: )*\b(\d{4,5}): *")


class Inner(Struct):
    """What a model answers, whole or a piece, in the native form; `choices`: in OpenAI's."""

    choices: Any = None
    response: Any = None
    tool_calls: Any = None
    finish_reason: Any = None
    usage: Raw = UNREPORTED
    errors: Any = None
    error: Any = None


class _Vectors(Struct):
    data: list[tuple[float, ...]] | None = None
    usage: Raw = UNREPORTED


_INNER = nesting.Decoder(Inner)
_VECTORS = nesting.Decoder(_Vectors)


def request(target: Target, chat: ChatRequest) -> Outgoing:
    """The call for an answer: the inputs of the model."""
    names = {c.id: c.function.name for m in chat.messages for c in m.tool_calls or ()}
    messages = [
        _message(target, message, raw, names, f"messages[{number}]")
        for number, (message, raw) in enumerate(zip_longest(chat.messages, chat.raw_messages))
    ]
    fields = said(chat, messages)
    del fields["model"]
    if form := _response_format(chat.response_format):
        fields["response_format"] = Raw(msgspec.json.encode(form))
    dropped = adapt(target, chat, fields)
    return Outgoing(url=_url(target), body=splice.encode(fields), dropped=dropped)


def answer(target: Target, body: bytes) -> Answer:
    """Reads a whole answer. Its bytes never go on: no model keeps to OpenAI's form."""
    told = _decoded(target, body)
    if told.choices is not None:
        return structs.replace(openai_answer.answer(target, body), raw=None, form=None)
    if told.response is None and told.tool_calls is None:
        raise faults.garbage(target, "It has no response", body)
    message = read_message({"tool_calls": told.tool_calls})
    text, thought = split_thinking(_text(told.response))
    calls = tuple(whole_call(call, n, None) for n, call in enumerate(message.calls))
    choice = Choice(finish_reason=told.finish_reason)
    check(target, choice)
    return Answer(
        text=None if told.response is None else text,
        reasoning=thought or None,
        tool_calls=calls,
        finish_reason=finish_of(choice, bool(calls)) or ended(bool(calls)),
        usage=openai_usage(target, told.usage),
    )


class Decoder(openai_stream.Decoder):
    """Reads a stream of native pieces, of OpenAI's chunks, or of both. Native ones know no
    finish reason: `[DONE]` finishes them."""

    passes_on = False

    def fault(self, data: bytes) -> Fault:
        """The fault that an event tells."""
        return _fault(self.target, data)

    def done(self) -> None:
        """Takes `[DONE]` for the finish reason that native pieces do not tell."""
        if not self.finished:
            self._native(Inner(finish_reason=ended(self.called)))

    def read(self, data: bytes) -> None:
        """Reads one piece."""
        told = _decoded(self.target, data)
        if told.choices is not None:
            super().read(data)
        elif told == Inner():
            self.pass_over(data)
        else:
            response = nesting.decode_leniently(data).get("response") if has_halves(data) else None
            halved = response if isinstance(response, str) else None
            self._native(told, read_message({"content": halved}) if halved else None)

    def whole(self, body: bytes) -> None:
        """Reads the answer of a model that does not stream."""
        self.out.append(as_chunk(answer(self.target, body)))
        self.finished = True

    def _native(self, told: Inner, halved: openai_answer.Message | None = None) -> None:
        """Takes a native piece for the chunk that it would be in OpenAI's form."""
        message = {"content": _text(told.response), "tool_calls": told.tool_calls}
        choice = Choice(delta=message, finish_reason=told.finish_reason)
        report = read_openai(self.target, told.usage)
        self.read_choice(openai_answer.Completion(), choice, report, halved=halved)


def decoder(target: Target) -> Decoder:
    """A reader for one streamed answer."""
    return Decoder(target)


def fault(
    target: Target,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    now: float | None = None,
) -> Fault:
    """What an answer of another status than 2xx means, or what the binding threw."""
    return _fault(target, body, status, headers, now)


def embedding_request(target: Target, ask: EmbeddingRequest) -> Outgoing:
    """The call for embeddings. Raises InvalidRequest for what the models do not take."""
    if not all(isinstance(text, str) for text in ask.input):
        raise InvalidRequest("input: Workers AI embeds texts, not tokens.", param="input")
    if ask.dimensions is not None:
        raise InvalidRequest(
            "dimensions: the models of Workers AI have their own.", param="dimensions"
        )
    inputs = {**target.model.send, "text": ask.input}
    return Outgoing(url=_url(target), body=msgspec.json.encode(inputs))


def embeddings(target: Target, ask: EmbeddingRequest, body: bytes) -> Embeddings:
    """Reads the vectors."""
    try:
        told = _VECTORS.decode(mend(body))
    except faults.UNREADABLE as error:
        raise faults.unread(target, error, body) from error
    return Embeddings(
        vectors=vectors(target, ask, told.data or [], body),
        model=target.model.wire_id,
        usage=openai_usage(target, told.usage, len(ask.input)),
    )


def probe(target: Target) -> Outgoing:
    """The call that a health check makes: the binding lists its models."""
    return Outgoing(method="GET", url="ai:")


def _message(
    target: Target, message: Message, raw: Raw | None, names: dict[str, str], place: str
) -> dict[str, Any]:
    """A message as the binding's schemas want it: never without content, and text alone as
    one text. raw: its own bytes; names: what the calls of the conversation call, by their ids."""
    fields: dict[str, Any] = {
        "role": target.spec.roles.get(message.role, message.role),
        "content": _content(message, raw, place),
    }
    if message.role == "tool":
        fields["tool_call_id"] = message.tool_call_id
        fields["name"] = message.name or names.get(message.tool_call_id or "")
    if message.reasoning_content:
        fields["reasoning"] = message.reasoning_content
    if message.tool_calls:
        fields["tool_calls"] = [
            {"id": call.id, "type": "function", "function": call.as_function_call().function}
            for call in message.tool_calls
        ]
    return {name: value for name, value in fields.items() if value is not None}


def _content(message: Message, raw: Raw | None, place: str) -> Any:
    for number, part in enumerate(message.parts):
        where = f"{place}.content[{number}]"
        if part.type not in ("text", "image_url"):
            reason = f"Workers AI takes no part of type {part.type!r}"
            raise InvalidRequest(f"{where}: {reason}.", param=where)
        if part.image_url and not part.image_url.url.startswith("data:"):
            raise InvalidRequest(f"{where}: Workers AI takes images as data URLs.", param=where)
    if not any(part.image_url for part in message.parts):
        return text_in_lines(message, raw)
    texts = large_texts(message, raw)
    return [_part(part, text) for part, text in zip(message.parts, texts, strict=True)]


def _part(part: Part, large: memoryview | None) -> Any:
    """large: the JSON string of its text or URL, where that is not to be copied."""
    if large is None:
        return part
    if part.image_url is None:
        return {"type": part.type, "text": Piece(large)}
    detail = {"detail": part.image_url.detail} if part.image_url.detail else {}
    return {"type": part.type, "image_url": {"url": Piece(large), **detail}}


def _response_format(asked: ResponseFormat | None) -> dict[str, Any] | None:
    """The schema stands bare here, not in OpenAI's wrapping; its name becomes the title."""
    if asked is None or asked.json_schema is None:
        return None
    wanted = asked.json_schema
    told = {"title": wanted.name, "description": wanted.description}
    named = {name: text for name, text in told.items() if text}
    return {"type": "json_schema", "json_schema": named | (wanted.schema_ or {})}


def _text(response: Any) -> str:
    """Some models' answers come parsed, as an object or a number."""
    if response is None or isinstance(response, str):
        return response or ""
    return msgspec.json.encode(response).decode()


def _decoded(target: Target, data: bytes) -> Inner:
    try:
        told = _INNER.decode(mend(data))
    except faults.UNREADABLE as error:
        raise faults.unread(target, error, data) from error
    if told.errors or told.error:
        raise _fault(target, data)
    return told


def _fault(
    target: Target,
    body: bytes,
    status: int | None = None,
    headers: Mapping[str, str] = {},
    now: float | None = None,
) -> Fault:
    told = faults.read(body)
    prefix = _CODE.match(told.message)
    number = int(prefix[1]) if prefix else told.number
    known = _CODES.get(number) if number else None
    if known:
        message = told.message[prefix.end() :] if prefix else told.message
        told = structs.replace(told, message=message, code=str(number))
    return faults.fault(target, told, known or status, headers, now)


def _url(target: Target) -> str:
    """The binding puts the name into a URL or a header as it is. Raises InvalidRequest for one that
    would not stay a name there."""
    name = target.model.wire_id
    if not _NAME.fullmatch(name):
        raise InvalidRequest(
            f"model: {name!r} is no model of Workers AI; name one as @cf/zai-org/glm-5.2.",
            param="model",
        )
    return f"ai:{name}"
