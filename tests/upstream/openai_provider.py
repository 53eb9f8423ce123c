"""OpenAI's dialect over /chat/completions, /embeddings and /models.

The base class speaks as OpenAI itself does; the other providers of the dialect override what
they do differently (see openai_family.py).
"""

import base64
import re
import struct
import time
from collections.abc import Iterator
from itertools import count
from typing import Any, ClassVar, Literal

from . import anthropic_checks, fixtures
from .anthropic_provider import answer_message
from .behaviour import Behaviour
from .model import Answer, Call, Question, embed, split_words, think, words
from .openai_checks import Rules, check_chat, check_embeddings, texts, unknown_fields
from .openai_media import answer_media
from .reply import RejectedError, Reply, data, json_reply, sse_reply
from .request import Json, Request
from .responses_provider import FIELDS, respond

DONE = "data: [DONE]\n\n"


class OpenAi:
    """One provider; an instance lives as long as the upstream and numbers its answers."""

    name: ClassVar[str] = "openai"
    prefix: ClassVar[str] = "/openai/v1"
    key: ClassVar[str | None] = "test-openai-key"
    rules: ClassVar[Rules] = Rules(
        extra=(
            "max_completion_tokens reasoning_effort store metadata service_tier modalities audio"
            " prediction web_search_options functions function_call verbosity prompt_cache_key"
            " safety_identifier"
        ),
        strict=True,
        unknown_message="Unrecognized request argument supplied: {}",
        id_length=40,
        json_word=True,
        custom_tools=True,
    )
    headers: ClassVar[dict[str, str]] = {
        "openai-processing-ms": "20",
        "openai-version": "2020-10-01",
        "x-ratelimit-limit-requests": "500",
        "x-ratelimit-limit-tokens": "200000",
        "x-ratelimit-remaining-requests": "499",
        "x-ratelimit-remaining-tokens": "199980",
        "x-ratelimit-reset-requests": "120ms",
        "x-ratelimit-reset-tokens": "6ms",
        "x-request-id": "req_0123456789abcdef",
    }
    embeds: ClassVar[bool] = True
    speaks_messages: ClassVar[bool] = False
    """Whether it has Anthropic's /messages."""
    responds: ClassVar[bool] = True
    """Whether it has /responses."""
    reasoning_key: ClassVar[str | None] = None
    """Where the reasoning's text stands in a message or delta; OpenAI does not tell it."""
    null_usage: ClassVar[Literal["never", "asked", "always"]] = "asked"
    """When the chunks before the one with the usage say `"usage": null`."""

    def __init__(self) -> None:
        self._ids = count(1)

    # What comes in.

    def authorise(self, request: Request) -> None:
        if self.key and not re.fullmatch(rf"{self.key}(-[0-9]+)?", request.key):
            raise RejectedError(401, "Incorrect API key provided.", "invalid_api_key")

    def unknown(self, request: Request, body: Json) -> list[str]:
        """Fields that the provider does not know, whether it refuses them or not."""
        if not isinstance(body, dict):
            return []
        if request.path.endswith("/responses"):
            return sorted(body.keys() - FIELDS)
        if request.path.endswith("/messages"):
            return anthropic_checks.unknown_fields(body, request.headers)
        return unknown_fields(body, self.rules)

    def answer(self, request: Request, body: Any, behaviour: Behaviour) -> Reply:
        """The reply to an authorised request of which the directives have been cut out."""
        path = request.path.removeprefix(self.prefix)
        if found := answer_media(request, path, body, self.headers):
            return found
        match request.method, path:
            case "GET", "/models":
                return self.models()
            case "POST", "/chat/completions":
                check_chat(body, self.rules)
                self.check(body)
                return self._chat(body, behaviour)
            case "POST", "/messages" | "/v1/messages" if self.speaks_messages:
                return answer_message(request, body, behaviour, self.headers)
            case "POST", "/responses" if self.responds:
                return respond(body, behaviour, self.headers)
            case "POST", "/embeddings" if self.embeds:
                check_embeddings(body)
                return self._embeddings(body, behaviour)
        raise RejectedError(404, f"Invalid URL ({request.method} {request.path})", "unknown_url")

    def models(self) -> Reply:
        """The list of models."""
        return fixtures.load(self.name, "models")

    def check(self, body: Json) -> None:
        """What this provider refuses beyond the rules that it shares with the others."""
        reasons = body["model"].startswith(("gpt-5", "o1", "o3", "o4"))
        if reasons and "max_tokens" in body:
            text = (
                "Unsupported parameter: 'max_tokens' is not supported with this model."
                " Use 'max_completion_tokens' instead."
            )
            raise RejectedError(400, text, "unsupported_parameter", "max_tokens")
        if "stream_options" in body and not body.get("stream"):
            text = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
            raise RejectedError(400, text, param="stream_options")

    # What goes out.

    def _chat(self, body: Json, behaviour: Behaviour) -> Reply:
        answer = think(question(body), behaviour)
        if body.get("stream"):
            usage = bool((body.get("stream_options") or {}).get("include_usage"))
            events = [*self.stream(Stream(self, body["model"], answer, usage)), DONE]
            return sse_reply(events, self.headers)
        return json_reply(self.completion(body["model"], answer), self.headers)

    def completion(self, model: str, answer: Answer) -> Json:
        choice = {
            "index": 0,
            "message": self.message(answer),
            "logprobs": None,
            "finish_reason": answer.finish,
        }
        return {
            "id": self.new_id(),
            "object": "chat.completion",
            "created": int(time.time()),
            "model": model,
            "choices": [choice | self.choice_extra(answer.finish)],
            **({"usage": self.usage(answer)} if answer.counted else {}),
            **self.extra(),
        }

    def message(self, answer: Answer) -> Json:
        message: Json = {"role": "assistant", "content": answer.text or None, "refusal": None}
        if answer.calls:
            message["tool_calls"] = self.calls(answer)
        return message | self.reasoning(answer.reasoning)

    def reasoning(self, text: str) -> Json:
        return {self.reasoning_key: text} if self.reasoning_key and text else {}

    def calls(self, answer: Answer) -> list[Json]:
        return [self._call(number, call) for number, call in enumerate(answer.calls)]

    def _call(self, number: int, call: Call) -> Json:
        kind, text = _call_fields(is_custom=call.is_custom)
        told = {"name": call.name, text: call.text}
        return {"id": self.call_id(number, call.name), "type": kind, kind: told}

    def stream(self, stream: "Stream") -> Iterator[str]:
        """The events before [DONE]."""
        yield stream.chunk({"role": "assistant", "content": "", "refusal": None})
        yield from stream.content()
        yield stream.chunk({}, stream.answer.finish)
        if stream.usage and stream.answer.counted:
            yield stream.usage_chunk()

    def new_id(self) -> str:
        return f"chatcmpl-{self.name}{next(self._ids):06d}"

    def call_id(self, number: int, name: str) -> str:
        return f"call_{next(self._ids):012d}{number:02d}"

    def extra(self) -> Json:
        """Top-level fields of answers and chunks."""
        return {"service_tier": "default", "system_fingerprint": "fp_upstream"}

    def choice_extra(self, finish: str | None) -> Json:
        return {}

    def usage(self, answer: Answer) -> Json:
        return plain_usage(answer) | {
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": answer.reasoning_tokens},
        }

    def _embeddings(self, body: Json, behaviour: Behaviour) -> Reply:
        given = body["input"]
        one = isinstance(given, str) or isinstance(given[0], int)  # a text, or its tokens
        inputs = [given] if one else given
        vectors = [embed(str(text), body.get("dimensions") or 8) for text in inputs]
        packed = body.get("encoding_format") == "base64"
        tokens = sum(words(str(text)) for text in inputs)
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        entries = [
            {"object": "embedding", "index": i, "embedding": pack(v) if packed else v}
            for i, v in enumerate(vectors)
        ]
        answer = {"object": "list", "data": entries, "model": body["model"]}
        return json_reply(answer if behaviour.no_usage else answer | {"usage": usage}, self.headers)

    # What goes wrong.

    def error(self, rejected: RejectedError) -> Reply:
        return json_reply(self.error_body(rejected), self.headers, rejected.status)

    def error_body(self, rejected: RejectedError) -> Json:
        codes = {401: "invalid_api_key", 404: "model_not_found", 429: "rate_limit_exceeded"}
        error = {
            "message": rejected.message,
            "type": error_type(rejected.status),
            "param": rejected.param,
            "code": rejected.code or codes.get(rejected.status),
        }
        return {"error": error}

    def stream_error(self) -> list[str]:
        """The events that end a stream when the model breaks down in the middle of it."""
        return [data(self.error_body(RejectedError(500, "The server had an error.")))]


class Stream:
    """Writes the chunks of one answer."""

    def __init__(self, provider: OpenAi, model: str, answer: Answer, usage: bool) -> None:
        self.provider = provider
        self.answer = answer
        self.usage = usage
        self._head = {
            "id": provider.new_id(),
            "object": "chat.completion.chunk",
            "created": int(time.time()),
            "model": model,
        } | provider.extra()

    def chunk(self, delta: Json, finish: str | None = None, **fields: Any) -> str:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return self.event([choice | self.provider.choice_extra(finish)], **fields)

    def event(self, choices: list[Json], **fields: Any) -> str:
        when = self.provider.null_usage
        nothing = {"usage": None} if when == "always" or (when == "asked" and self.usage) else {}
        return data(self._head | {"choices": choices} | nothing | fields)

    def usage_chunk(self, **fields: Any) -> str:
        return self.event([], usage=self.provider.usage(self.answer), **fields)

    def content(self) -> Iterator[str]:
        """Reasoning, text and tool calls, in that order."""
        if self.provider.reasoning(self.answer.reasoning):
            for piece in split_words(self.answer.reasoning):
                yield self.chunk(self.provider.reasoning(piece))
        for piece in self.answer.pieces:
            yield self.chunk({"content": piece})
        yield from self.calls()

    def calls(self) -> Iterator[str]:
        """The tool calls."""
        for index, call in enumerate(self.provider.calls(self.answer)):
            kind, name = _call_fields(is_custom=call["type"] == "custom")
            told = call[kind][name]
            opening = call | {"index": index, kind: call[kind] | {name: ""}}
            yield self.chunk({"tool_calls": [opening]})
            half = len(told) // 2
            for text in (told[:half], told[half:]):
                yield self.chunk({"tool_calls": [{"index": index, kind: {name: text}}]})


def _call_fields(*, is_custom: bool) -> tuple[str, str]:
    """The field of a call that tells what is called, and the one therein that tells with what."""
    return ("custom", "input") if is_custom else ("function", "arguments")


def plain_usage(answer: Answer) -> Json:
    """The three numbers that all providers of the dialect tell; reasoning counts as output."""
    output = answer.answer_tokens + answer.reasoning_tokens
    return {
        "prompt_tokens": answer.input_tokens,
        "completion_tokens": output,
        "total_tokens": answer.input_tokens + output,
    }


def error_type(status: int) -> str:
    if status >= 500:
        return "server_error"
    return "requests" if status == 429 else "invalid_request_error"


def pack(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def question(body: Json) -> Question:
    """A chat request of OpenAI's dialect as the fake model reads it."""
    messages = body["messages"]
    asked = [message for message in messages if message["role"] == "user"]
    choice, tools = body.get("tool_choice"), body.get("tools") or []
    named = choice.get(choice["type"], {}).get("name") if isinstance(choice, dict) else None
    offered = [tool.get(tool.get("type"), tool)["name"] for tool in tools]
    first = offered[0] if tools else None
    last = messages[-1]
    return Question(
        prompt=" ".join(texts(asked[-1:])),
        input_tokens=sum(words(text) for text in texts(messages)),
        images=list(_images(messages)),
        tool=None if choice == "none" else named or first,
        tools=frozenset(offered),
        custom=frozenset(tool["custom"]["name"] for tool in tools if tool.get("type") == "custom"),
        must_call=choice == "required" or named is not None,
        tool_result=" ".join(texts([last])) if last["role"] == "tool" else None,
        schema=_schema(body.get("response_format") or {}),
    )


def _images(messages: list[Json]) -> Iterator[str]:
    for message in messages:
        content = message.get("content")
        for part in content if isinstance(content, list) else []:
            if part.get("type") == "image_url":
                url = part["image_url"]["url"]
                yield url[5:].split(";")[0] if url.startswith("data:") else "url"


def _schema(wanted: Json) -> Any:
    if wanted.get("type") == "json_object":
        return {}
    if wanted.get("type") == "json_schema":
        named = wanted["json_schema"]
        return named.get("schema", named)
    return None
