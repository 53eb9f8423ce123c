"""Workers AI over the Worker's own binding: older models with Cloudflare's native form
(`response`, flat tool calls), newer ones with OpenAI's, some with both in one stream.
"""

import re
from collections.abc import Mapping
from itertools import zip_longest
from typing import Any

import msgspec
from msgspec import Raw, Struct, structs

from proxy.core import json_guard, splice
from proxy.core.chat import Answer, ChatRequest
from proxy.core.embedding import EmbeddingRequest, Embeddings
from proxy.core.errors import Fault, invalid
from proxy.core.messages import Message, Part, ResponseFormat
from proxy.core.ports import Outgoing
from proxy.core.splice import NULL, Piece, find_large_texts, join_texts
from proxy.providers import openai_answer
from proxy.providers.error_body import read_error
from proxy.providers.faults import make_fault
from proxy.providers.finish import check_finish, infer_finish, read_finish
from proxy.providers.garbage import decode, garbage
from proxy.providers.openai_answer import Choice, Completion, MessagePiece, make_call, read_message
from proxy.providers.openai_request import adapt_fields, build_fields
from proxy.providers.openai_stream import OpenAIReader
from proxy.providers.surrogates import has_halves, mend
from proxy.providers.target import Target
from proxy.providers.thinking import split_thinking
from proxy.providers.tool_results import move_images
from proxy.providers.usage import read_usage
from proxy.providers.vectors import convert_vectors

_CODES_OF: dict[int, tuple[int, ...]] = {
    400: (3003, 3030, 3039, 5004, 5005, 5006, 5019),  # 5006: against the model's schema
    401: (10000,),
    403: (3023, 3041, 5016, 5018),  # 3023: account blocked; 5016: licence not accepted
    404: (3042, 5007),
    408: (3007, 3008, 3046),
    413: (3006,),
    422: (5012,),
    429: (3036, 3040, 4006),  # 3036, 4006: no wait short of 00:00 UTC helps; 3040: no capacity
}
_STATUS_OF = {code: status for status, codes in _CODES_OF.items() for code in codes}
"""Cloudflare's codes as HTTP statuses: its own, but where those mislead (5007, no such model,
is 400 there)."""
_NAME = re.compile(r"@?\w[\w.:+-]*(?:/\w[\w.:+-]*)*", re.ASCII)
_CODE = re.compile(r"(?:\w*Error: )*\b(\d{4,5}): *")


class NativeAnswer(Struct):
    """What a model answers, whole or a piece, in the native form; `choices`: in OpenAI's."""

    choices: Any = None
    response: Any = None
    tool_calls: Any = None
    finish_reason: Any = None
    usage: Raw = NULL
    errors: Any = None
    error: Any = None


class _NativeEmbeddings(Struct):
    data: list[tuple[float, ...]] | None = None
    usage: Raw = NULL


_NATIVE = json_guard.Decoder(NativeAnswer)
_EMBEDDINGS = json_guard.Decoder(_NativeEmbeddings)


def build_request(target: Target, chat: ChatRequest) -> Outgoing:
    """The call for an answer: the inputs of the model."""
    chat = move_images(chat)
    names = {c.id: c.function.name for m in chat.messages for c in m.tool_calls or ()}
    messages = [
        _build_message(target, message, raw, names, f"messages[{number}]")
        for number, (message, raw) in enumerate(zip_longest(chat.messages, chat.raw_messages))
    ]
    fields = build_fields(chat, messages)
    del fields["model"]
    if form := _build_response_format(chat.response_format):
        fields["response_format"] = Raw(msgspec.json.encode(form))
    dropped = adapt_fields(target, fields)
    return Outgoing(url=_build_url(target), body=splice.encode(fields), dropped=dropped)


def read_answer(target: Target, body: bytes) -> Answer:
    """Reads a whole answer. Its bytes never go on: no model keeps to OpenAI's form."""
    native = _decode(target, body)
    if native.choices is not None:
        return structs.replace(openai_answer.read_answer(target, body), raw=None, form=None)
    if native.response is None and native.tool_calls is None:
        raise garbage(target, "It has no response", body)
    message = read_message({"tool_calls": native.tool_calls})
    text, thought = split_thinking(_read_text(native.response))
    calls = tuple(make_call(call, n, None) for n, call in enumerate(message.calls))
    check_finish(target, native.finish_reason)
    return Answer(
        text=None if native.response is None else text,
        reasoning=thought or None,
        tool_calls=calls,
        finish_reason=read_finish(native.finish_reason, bool(calls)) or infer_finish(bool(calls)),
        usage=read_usage(target, native.usage).usage,
    )


class WorkersAIReader(OpenAIReader):
    """Reads a stream of native pieces, of OpenAI's chunks, or of both. Native ones know no
    finish reason: `[DONE]` finishes them."""

    read_answer = staticmethod(read_answer)
    passes_on = False

    def read_error_event(self, data: bytes) -> Fault:
        """The fault that an event holds."""
        return read_fault(self.target, None, {}, data)

    def read_done(self) -> None:
        """Takes `[DONE]` for the finish reason that native pieces lack."""
        if not self.finished:
            self._read_native(NativeAnswer(finish_reason=infer_finish(self.called)))

    def read_chunk(self, data: bytes) -> bool:
        """Reads a piece."""
        native = _decode(self.target, data)
        if native.choices is not None:
            return super().read_chunk(data)
        if native == NativeAnswer():
            return False
        response = json_guard.decode_leniently(data).get("response") if has_halves(data) else None
        halved = read_message({"content": response}) if isinstance(response, str) else None
        self._read_native(native, halved)
        return True

    def _read_native(self, native: NativeAnswer, halved: MessagePiece | None = None) -> None:
        """Takes a native piece for the chunk that it would be in OpenAI's form."""
        message = {"content": _read_text(native.response), "tool_calls": native.tool_calls}
        choice = Choice(delta=message, finish_reason=native.finish_reason)
        report = read_usage(self.target, native.usage)
        self.read_choice(Completion(), choice, report, halved=halved)


make_decoder = WorkersAIReader.make_decoder


def read_fault(
    target: Target,
    status: int | None,
    headers: Mapping[str, str],
    body: bytes,
    now: float | None = None,
) -> Fault:
    """What an answer of another status than 2xx means, or what the binding threw."""
    error = read_error(body)
    prefix = _CODE.match(error.message)
    number = int(prefix[1]) if prefix else error.number
    known = _STATUS_OF.get(number) if number else None
    if known:
        message = error.message[prefix.end() :] if prefix else error.message
        error = structs.replace(error, message=message, code=str(number))
    return make_fault(target, error, known or status, headers, now)


def build_embedding_request(target: Target, request: EmbeddingRequest) -> Outgoing:
    """The call for embeddings. Raises InvalidRequest for what the models do not take."""
    if not all(isinstance(text, str) for text in request.input):
        raise invalid("input", "Workers AI embeds texts, not tokens.")
    if request.dimensions is not None:
        raise invalid("dimensions", "the models of Workers AI have their own.")
    inputs = {**target.model.send, "text": request.input}
    return Outgoing(url=_build_url(target), body=msgspec.json.encode(inputs))


def read_embeddings(target: Target, request: EmbeddingRequest, body: bytes) -> Embeddings:
    """Reads the vectors."""
    response = decode(target, _EMBEDDINGS, mend(body))
    return Embeddings(
        vectors=convert_vectors(target, request, response.data or [], body),
        model=target.model.wire_id,
        usage=read_usage(target, response.usage, len(request.input)).usage,
    )


def build_probe(target: Target) -> Outgoing:
    """The call that a health check makes: the binding lists its models."""
    return Outgoing(method="GET", url="ai:")


def _build_message(
    target: Target, message: Message, raw: Raw | None, names: dict[str, str], place: str
) -> dict[str, Any]:
    """A message as the binding's schemas want it: never without content, and text alone as
    one text. raw: its own bytes; names: what the calls of the conversation call, by their ids."""
    fields: dict[str, Any] = {
        "role": target.spec.roles.get(message.role, message.role),
        "content": _build_content(message, raw, place),
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


def _build_content(message: Message, raw: Raw | None, place: str) -> Any:
    for number, part in enumerate(message.parts):
        where = f"{place}.content[{number}]"
        if part.type not in ("text", "image_url"):
            raise invalid(where, f"Workers AI takes no part of type {part.type!r}.")
        if part.image_url and not part.image_url.url.startswith("data:"):
            raise invalid(where, "Workers AI takes images as data URLs.")
    if not any(part.image_url for part in message.parts):
        return join_texts(message, raw)
    texts = find_large_texts(message, raw)
    return [_build_part(part, text) for part, text in zip(message.parts, texts, strict=True)]


def _build_part(part: Part, large: memoryview | None) -> Any:
    """large: the JSON string of its text or URL, where that is not to be copied."""
    if large is None:
        return part
    if part.image_url is None:
        return {"type": part.type, "text": Piece(large)}
    detail = {"detail": part.image_url.detail} if part.image_url.detail else {}
    return {"type": part.type, "image_url": {"url": Piece(large), **detail}}


def _build_response_format(form: ResponseFormat | None) -> dict[str, Any] | None:
    """The schema stands bare here, not in OpenAI's wrapping; its name becomes the title."""
    if form is None or form.json_schema is None:
        return None
    schema = form.json_schema
    names = {"title": schema.name, "description": schema.description}
    named = {name: text for name, text in names.items() if text}
    return {"type": "json_schema", "json_schema": named | (schema.schema_ or {})}


def _read_text(response: Any) -> str:
    """Some models' answers come parsed, as an object or a number."""
    if response is None or isinstance(response, str):
        return response or ""
    return msgspec.json.encode(response).decode()


def _decode(target: Target, data: bytes) -> NativeAnswer:
    native = decode(target, _NATIVE, mend(data))
    if native.errors or native.error:
        raise read_fault(target, None, {}, data)
    return native


def _build_url(target: Target) -> str:
    """The binding puts the name into a URL or a header as it is. Raises InvalidRequest for one that
    would not stay a name there."""
    name = target.model.wire_id
    if not _NAME.fullmatch(name):
        use = "@cf/zai-org/glm-5.2"
        raise invalid("model", f"{name!r} is no model of Workers AI; name one as {use}.")
    return f"ai:{name}"
