"""OpenAI's dialect: POST /v1/chat/completions, /v1/embeddings, GET /v1/models.

What a provider has sent in this dialect goes on as the same bytes; the rest is
rendered in OpenAI's form, so that its SDKs read it. Requests are read in openai_request.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from proxy.core.chat import Answer, Call, Chunk, Form, Served, Usage
from proxy.core.embedding import Embeddings
from proxy.core.errors import ProxyError
from proxy.core.messages import ToolCallDelta
from proxy.core.model_entry import ModelEntry
from proxy.core.splice import FIELDS, NULL
from proxy.core.sse import DONE, frame
from proxy.dialects.contract import DialectName, LimitHeaders, StreamWriter
from proxy.dialects.contract import headers as headers
from proxy.dialects.contract import status as status
from proxy.dialects.messages import tool_call
from proxy.dialects.openai_error import describe_error
from proxy.dialects.openai_request import parse_chat as parse_chat
from proxy.dialects.openai_request import parse_embeddings as parse_embeddings

NAME: DialectName = "openai"
LIMIT_HEADERS: LimitHeaders = "openai"

_NO_FORM = Form()
_STATE = "extra_content"
"""The field of a message that holds what its provider wants back. It comes whole each time, but
OpenAI's SDK would join what comes in several chunks: it goes out with the last."""
_FUNCTION_CALL = "function_call"
"""The call and the finish reason of an answer in the form that OpenAI had before `tools`."""


def answer(answer: Answer, call: Call, served: Served) -> bytes:
    """The body of a complete answer: the provider's own bytes where they are in this dialect."""
    if answer.raw is not None and not call.functions:
        return answer.raw
    form = answer.form or Form(choice={"logprobs": None})
    choice = {
        **form.choice,
        "index": 0,
        "message": _message(answer, form, call.functions),
        "finish_reason": _finish_reason(answer.finish_reason, call.functions),
    }
    completion = {
        "created": served.created if answer.created is None else answer.created,
        **form.completion,
        "id": f"chatcmpl-{served.answer_id}" if answer.id is None else answer.id,
        "object": "chat.completion",
        "model": answer.model or served.model,
        "choices": [choice],
    }
    if answer.logprobs:
        choice["logprobs"] = answer.logprobs
    if answer.usage:
        completion["usage"] = _usage(answer)
    return msgspec.json.encode(completion)


def _message(answer: Answer, form: Form, functions: bool) -> dict[str, Any]:
    """functions: as in Call."""
    message = {
        **(form.message or {"content": None, "refusal": None}),
        **answer.extra,
        "role": "assistant",
    }
    if answer.text is not None or form.inline:
        message["content"] = form.inline + (answer.text or "")
    if answer.refusal:
        message["refusal"] = answer.refusal
    if functions:
        message.pop("tool_calls", None)
    if answer.tool_calls and functions:
        message[_FUNCTION_CALL] = answer.tool_calls[0].function
    elif answer.tool_calls:
        rest = form.calls or ({},) * len(answer.tool_calls)
        message["tool_calls"] = [
            {**beside, **tool_call(call)}
            for beside, call in zip(rest, answer.tool_calls, strict=False)
        ]
    if answer.reasoning:
        # None of its own where it stands in the content.
        fields = form.reasoning or (() if form.inline else ("reasoning_content",))
        message |= dict.fromkeys(fields, answer.reasoning)
    return message


def error(error: ProxyError, request_id: str, timestamp: float) -> bytes:
    """The body of an error. The time has no place in OpenAI's form."""
    return msgspec.json.encode({"error": describe_error(error, request_id)})


def embeddings(embeddings: Embeddings, served: Served) -> bytes:
    """The body of an answer with vectors. OpenAI's form has no place for unknown usage: 0."""
    used = embeddings.usage.input if embeddings.usage else 0
    data = [
        {"object": "embedding", "index": index, "embedding": vector}
        for index, vector in enumerate(embeddings.vectors)
    ]
    body = {
        "object": "list",
        "data": data,
        "model": embeddings.model or served.model,
        "usage": {"prompt_tokens": used, "total_tokens": used},
    }
    return msgspec.json.encode(body)


def models(entries: Iterable[ModelEntry]) -> bytes:
    """The list of models."""
    return msgspec.json.encode({"object": "list", "data": [_model(entry) for entry in entries]})


def model(entry: ModelEntry) -> bytes:
    """One model."""
    return msgspec.json.encode(_model(entry))


class OpenAIWriter(StreamWriter):
    """Writes one stream.

    A caller that wants usage gets what OpenAI promises, whatever the provider does: `usage` is null
    in every chunk but one, which comes last and holds no choice. Where the usage is not known,
    there is no such chunk. There are no pings: not every client reads past a comment.
    """

    def __init__(self, call: Call, served: Served) -> None:
        self._include_usage = call.include_usage
        self._functions = call.functions
        self._passes_on = served.wire == "chat" and not call.functions
        self.takes = "chat" if call.include_usage and not call.functions else ""
        self._id = f"chatcmpl-{served.answer_id}"
        self._model = served.model
        self._created = served.created
        self._constant: dict[str, Any] = {}
        self._reasoning: tuple[str, ...] = ("reasoning_content",)
        self._state: dict[str, Any] | None = None
        self._begun = False
        self._closing: bytes | None = None
        self._closing_total = 0

    def chunk(self, chunk: Chunk) -> bytes:
        """A piece of the answer; empty where it holds nothing that the caller wants."""
        self._id = chunk.id or self._id
        self._model = chunk.model or self._model
        form = chunk.form or _NO_FORM
        if chunk.form:
            self._take(form)
        if chunk.raw is not None and self._passes_on:
            self._begun = True
            return self._passed_on(chunk, chunk.raw)
        if chunk.usage and chunk.usage.total >= self._closing_total:
            self._closing = None  # written from the answer, which has the later usage
        delta = self._delta(chunk, form)
        if not (delta or chunk.finish_reason or chunk.logprobs):
            return b""
        if not self._begun:
            self._begun = True
            delta = {"role": "assistant", **delta}
        finish_reason = _finish_reason(chunk.finish_reason, self._functions)
        return self._choice(delta, finish_reason, chunk.logprobs, form)

    def done(self, answer: Answer, served: Served) -> bytes:
        """The end of a complete answer: the usage, if the caller wants it, and `[DONE]`."""
        if not self._include_usage:
            return DONE
        if self._closing is not None:
            return frame(self._closing) + DONE
        if answer.usage is None:
            return DONE
        return self._event({"choices": [], "usage": _usage(answer)}) + DONE

    def close(self) -> bytes:
        """`[DONE]`."""
        return DONE

    def error(self, failure: ProxyError, request_id: str, timestamp: float) -> bytes:
        """The end of a broken answer: a chunk that OpenAI's SDKs raise on. No `[DONE]`
        follows, which some clients take for success."""
        form = Form(completion={"error": describe_error(failure, request_id)})
        return self._choice({}, "error", None, form)

    def _passed_on(self, chunk: Chunk, raw: bytes) -> bytes:
        """The provider's bytes. Usage that the caller is to get is taken out and held back
        until the end; of several the largest stands, as in Collector."""
        if not self._include_usage or chunk.usage is None:
            return b"" if chunk.usage_only else frame(raw)
        event = FIELDS.decode(raw)  # unread: a number may be any
        has_usage = event.get("usage", NULL) != NULL
        if has_usage and chunk.usage.total >= self._closing_total:
            self._closing_total = chunk.usage.total
            self._closing = msgspec.json.encode({**event, "choices": []})
        if chunk.usage_only:
            return b""
        return frame(msgspec.json.encode({**event, "usage": None}) if has_usage else raw)

    def _take(self, form: Form) -> None:
        """Keeps what stands in every chunk from now on."""
        self._constant |= form.constant
        if form.reasoning or form.inline:
            self._reasoning = form.reasoning

    def _delta(self, chunk: Chunk, form: Form) -> dict[str, Any]:
        """What a chunk adds to the message."""
        delta = dict(chunk.extra)
        self._state = delta.pop(_STATE, self._state)
        if chunk.finish_reason and self._state:
            delta[_STATE] = self._state
        if chunk.text or form.inline:
            delta["content"] = form.inline + chunk.text
        if chunk.reasoning:
            delta |= dict.fromkeys(self._reasoning, chunk.reasoning)
        if chunk.refusal:
            delta["refusal"] = chunk.refusal
        if chunk.tool_calls and not self._functions:
            delta["tool_calls"] = [_tool_call_delta(call) for call in chunk.tool_calls]
        for call in chunk.tool_calls if self._functions else ():
            if call.index == 0:  # the form has room for one
                named = {} if call.name is None else {"name": call.name}
                delta[_FUNCTION_CALL] = {**named, "arguments": call.arguments}
        return delta

    def _choice(
        self, delta: dict[str, Any], finish_reason: str | None, logprobs: Any, form: Form
    ) -> bytes:
        choice = {
            **form.choice,
            "index": 0,
            "delta": delta,
            "logprobs": logprobs,
            "finish_reason": finish_reason,
        }
        usage = {"usage": None} if self._include_usage else {}
        return self._event({**form.completion, "choices": [choice], **usage})

    def _event(self, fields: dict[str, Any]) -> bytes:
        head = {
            "id": self._id,
            "object": "chat.completion.chunk",
            "created": self._created,
            "model": self._model,
        }
        return frame(msgspec.json.encode(head | self._constant | fields))


writer = OpenAIWriter


def _finish_reason(reason: str | None, functions: bool) -> str | None:
    """functions: as in Call."""
    return _FUNCTION_CALL if functions and reason == "tool_calls" else reason


def _tool_call_delta(call: ToolCallDelta) -> dict[str, Any]:
    delta: dict[str, Any] = {"index": call.index}
    function = {"input" if call.type == "custom" else "arguments": call.arguments}
    if call.name is not None:
        delta["type"] = call.type
        function["name"] = call.name
    if call.id is not None:
        delta["id"] = call.id
    if call.extra_content:
        delta["extra_content"] = call.extra_content
    return {**delta, call.type: function}


def _usage(answer: Answer) -> dict[str, Any]:
    """The usage as its provider has sent it in this dialect, or in OpenAI's words."""
    if answer.form and answer.form.usage:
        return answer.form.usage
    usage = answer.usage or Usage()
    fields: dict[str, Any] = {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.total,
    }
    prompt = {"cached_tokens": usage.cached, "cache_write_tokens": usage.cache_write}
    if details := {name: count for name, count in prompt.items() if count is not None}:
        fields["prompt_tokens_details"] = details
    if usage.reasoning is not None:
        fields["completion_tokens_details"] = {"reasoning_tokens": usage.reasoning}
    return fields


def _model(entry: ModelEntry) -> dict[str, Any]:
    """A model in OpenAI's form, which wants a time of creation; the catalogue knows none."""
    return {"id": entry.id, "object": "model", "created": 0, "owned_by": entry.owned_by}
