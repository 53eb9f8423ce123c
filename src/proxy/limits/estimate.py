"""How many tokens a request will use, said before it is sent and without a tokenizer.

There are two answers. What a request is *expected* to use is what tokens a minute are reserved by
and what candidates are compared by: cheap rather than right, since no provider counts as another
does, and some put prompts of their own before the caller's. What it may use *at most* is what
money is reserved by: a token is a byte of text at least. tests/unit/limits/test_estimate.py holds
both against recorded exchanges.
"""

import re
from functools import cached_property
from typing import TypeAlias

import msgspec
from msgspec import Raw

from proxy.core.chat import ChatRequest, Usage
from proxy.core.embedding import EmbeddingRequest
from proxy.core.messages import ImageURL, Message, Part, Tool, ToolCall
from proxy.limits.image_size import read_image_size

# Hundredths of a token:
_ASCII = 24
"""A character of English or of code."""
_DENSE = 40
"""A character of ASCII with hardly a space: base64, digits, minified JSON."""
_BEYOND = 38
"""A byte of UTF-8 more than the character: with it a CJK character is one token, a Cyrillic or
Arabic one more than half."""
_WORDS = 12
"""A text with fewer spaces than one in so many characters is dense,"""
_SHORT = 200
"""unless it is shorter than this."""

_STEP = 64 * 1024
_SIGNATURE = 12
"""A character of what a provider wants back as it was: Gemini's thought signatures."""

# Tokens:
_REQUEST = 9
_MESSAGE = 4
_CALL = 12
_TOOLS = 90
"""What comes with the first tool: the providers' instructions for calling tools."""
_TOOL = 25
_SCHEMA = 10
_PART = 1000
"""A part that is neither text nor image: a recording, a file."""
_LONGEST_BESIDE = 100_000
"""Bytes of what only the caller's own body holds; a longer one is mostly a tool's picture."""

_THUMBNAIL = 85
_TILE = 170
_TYPICAL_IMAGE = _THUMBNAIL + 4 * _TILE
"""An image whose size is not known: one of 1024 x 1024."""

_EMBEDDED = re.compile(rb';base64,|"data" ?: ?"')
"""What stands before the bytes of an image in a body."""
_MOST_IMAGES = 1000

# Tokens at most:
_LEAST_PROMPT = 100
"""gpt-oss has 70 of its own before the shortest prompt."""
_MOST_REQUEST = 32
_MOST_MESSAGE = 8
_MOST_CALL = 40
_MOST_TOOLS = 600
"""Claude and Llama 4 put 500 before the first tool."""
_MOST_TOOL = 40
_MOST_SCHEMA = 120
_IMAGE_FACTOR = 34
"""gpt-4o-mini counts an image 33 1/3 times by OpenAI's rule; nobody counts more."""
_MOST_TILES = 8
_MOST_FILE = 1_000_000
"""A part whose size says nothing (a PDF, a file by its id), where no context bounds it."""
_LONGEST_OUTPUT = 16_384
"""What counts as the longest answer of a model where that is not known."""

_TYPICAL_OUTPUT = 1000
_REASONING_OUTPUT = {"low": 2000, "medium": 4000, "high": 12_000, "xhigh": 24_000, "max": 24_000}
"""Reasoning included, by effort; the efforts that are missing hardly reason."""


class ChatEstimate:
    """What a chat request will use. The prompt is gone through once, when it is first needed."""

    def __init__(self, chat: ChatRequest) -> None:
        self._chat = chat

    def drop_texts(self) -> None:
        """Lets go of the prompt, which may be large, once no further candidate is tried."""
        chat = self._chat
        assert self.input  # which is needed afterwards
        self._chat = ChatRequest(
            messages=(), max_tokens=chat.max_tokens, reasoning_effort=chat.reasoning_effort
        )

    @cached_property
    def input(self) -> int:
        """Tokens of the prompt, as expected."""
        return count_input_tokens(self._chat)

    @cached_property
    def _most_input(self) -> int:
        return count_most_input_tokens(self._chat)

    def expected(self, max_output: int | None) -> Usage:
        """What is expected, the answer as long as the caller allows, else as is typical, reasoning
        included. max_output: the model's longest answer in tokens; None: not known."""
        output = self._chat.max_tokens
        if output is None:
            output = _REASONING_OUTPUT.get(self._chat.reasoning_effort or "", _TYPICAL_OUTPUT)
        output = output if max_output is None else min(output, max_output)
        return Usage(input=self.input, output=output)

    def most(self, context: int | None, output_limit: int) -> Usage:
        """What is used at most, by the model's context and the limit that the provider holds."""
        most = self._most_input
        return Usage(input=most if context is None else min(most, context), output=output_limit)

    def output_limit(self, max_output: int | None, context: int | None, default: int) -> int:
        """The most tokens that the answer may have: as many as the caller allows, else `default`
        (0: no such limit), else the model's longest answer. Of the last two there is as much as
        the context has room for beside the prompt, which may be twice as long as expected: the
        providers refuse a request whose two lengths exceed it."""
        if self._chat.max_tokens is not None:
            return min(self._chat.max_tokens, max_output or self._chat.max_tokens)
        longest = max_output or _LONGEST_OUTPUT
        limit = min(default or longest, longest)
        if context and limit + 2 * self.input > context:
            limit = min(limit, max(1, (context - self.input) // 2))
        return limit


class EmbeddingEstimate:
    """What a request for embeddings will use: no output. Token lists are counted."""

    def __init__(self, request: EmbeddingRequest) -> None:
        self._request = request

    def expected(self, max_output: int | None) -> Usage:
        """What is expected."""
        entries = self._request.input
        return Usage(
            input=sum(
                -(-_count_text(entry) // 100) if isinstance(entry, str) else len(entry)
                for entry in entries
            )
        )

    def most(self, context: int | None, output_limit: int) -> Usage:
        """What is used at most: each text has its own context, and marks of its beginning and its
        end."""
        entries = self._request.input
        sizes = (_count_bytes(entry) if isinstance(entry, str) else len(entry) for entry in entries)
        return Usage(input=sum(_MOST_MESSAGE + size for size in sizes))

    def output_limit(self, max_output: int | None, context: int | None, default: int) -> int:
        """There is no output."""
        return 0


class NoEstimate:
    """What a request will use of which nothing is known before its answer: nothing is reserved."""

    def expected(self, max_output: int | None) -> Usage:
        """Nothing."""
        return Usage()

    def most(self, context: int | None, output_limit: int) -> Usage:
        """Nothing."""
        return Usage()

    def output_limit(self, max_output: int | None, context: int | None, default: int) -> None:
        """The request goes as it is."""


def count_body_tokens(body: bytes) -> int:
    """Tokens of the prompt of a body that is not read, whatever its dialect: by its bytes, with a
    typical image in the place of each that is in it."""
    size, images = len(body), 0
    found = _EMBEDDED.search(body)
    while found and images < _MOST_IMAGES:
        end = body.find(b'"', found.end())
        end = len(body) if end < 0 else end
        size -= end - found.end()
        images += 1
        found = _EMBEDDED.search(body, end)
    return -(-size * _ASCII // 100) + images * _TYPICAL_IMAGE


Estimate: TypeAlias = ChatEstimate | EmbeddingEstimate | NoEstimate


def count_input_tokens(chat: ChatRequest) -> int:
    """Tokens of the prompt: messages, tools, the answer's schema and images, and what only
    the caller's own body holds. At least 1."""
    tokens = _REQUEST * 100 + sum(map(_count_message, chat.messages))
    if chat.tools:
        tokens += _TOOLS * 100 + sum(map(_count_tool, chat.tools))
    if chat.response_format and chat.response_format.json_schema:
        tokens += _SCHEMA * 100 + _count_json(chat.response_format.json_schema)
    if chat.beside:
        tokens += sum(min(len(raw), _LONGEST_BESIDE) for raw in chat.beside) * _ASCII
    return -(-tokens // 100)


def count_most_input_tokens(chat: ChatRequest) -> int:
    """Tokens that the prompt has at most, whatever the tokenizer, the provider's own prompts
    included."""
    raws = chat.raw_messages or (None,) * len(chat.messages)
    messages = zip(chat.messages, raws, strict=True)
    tokens = _MOST_REQUEST + sum(_count_most_message(message, raw) for message, raw in messages)
    if chat.tools:
        tools = chat.raw_tools or msgspec.json.encode(chat.tools)
        tokens += _MOST_TOOLS + len(tools) + _MOST_TOOL * len(chat.tools)
    if chat.response_format:
        tokens += _MOST_SCHEMA + len(msgspec.json.encode(chat.response_format))
    tokens += sum(len(name) + len(value) for name, value in chat.extra.items())
    tokens += sum(map(len, chat.beside))
    return max(_LEAST_PROMPT, tokens)


def _count_most_message(message: Message, raw: Raw | None) -> int:
    """By the message's own bytes, in which also stands what the proxy does not know."""
    calls = message.tool_calls or ()
    images = [part.image_url for part in message.parts if part.image_url]
    tokens = _MOST_MESSAGE + _MOST_CALL * len(calls) + sum(map(_count_most_image, images))
    if any(not part.image_url and part.type != "text" for part in message.parts):
        tokens += _MOST_FILE
    if raw is not None:
        return tokens + len(raw) - sum(len(image.url) for image in images)
    texts = [part.text for part in message.parts] + [message.name, message.reasoning_content]
    texts += [text for call in calls for text in (call.function.name, call.function.arguments)]
    signed = (message.extra_content, *(call.extra_content for call in calls))
    tokens += sum(len(msgspec.json.encode(extra)) for extra in signed if extra)
    return tokens + sum(map(_count_bytes, texts))


def _count_most_image(image: ImageURL) -> int:
    """`low` counts for nothing here: some providers don't know it."""
    size = read_image_size(image.url)
    tiles = _count_tiles(*size) if size else _MOST_TILES
    return _IMAGE_FACTOR * (_THUMBNAIL + _TILE * tiles)


def _count_bytes(text: str | None) -> int:
    """Bytes of UTF-8."""
    if not text:
        return 0
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _count_text(text: str | None) -> int:
    """Hundredths of tokens. Takes one pass at the speed of memory."""
    if not text:
        return 0
    length = len(text)
    if text.isascii():
        dense = length >= _SHORT and text.count(" ") * _WORDS < length
        return length * (_DENSE if dense else _ASCII)
    beyond = -length
    for start in range(0, length, _STEP):  # no copy of a text that may be large
        beyond += len(text[start : start + _STEP].encode("utf-8", "surrogatepass"))
    return length * _ASCII + beyond * _BEYOND


def _count_json(value: object) -> int:
    """Hundredths of tokens of what providers get as JSON."""
    return len(msgspec.json.encode(value)) * _ASCII


def _count_message(message: Message) -> int:
    tokens = _MESSAGE * 100
    if isinstance(message.content, str):
        tokens += _count_text(message.content)
    elif message.content:
        tokens += sum(map(_count_part, message.content))
    if message.name:
        tokens += _count_text(message.name)
    if message.reasoning_content:
        tokens += _count_text(message.reasoning_content)
    if message.tool_calls:
        tokens += sum(map(_count_call, message.tool_calls))
    if message.extra_content:
        tokens += _count_signature(message.extra_content)
    return tokens


def _count_part(part: Part) -> int:
    if part.image_url:
        return _count_image(part.image_url) * 100
    return _count_text(part.text) if part.type == "text" else _PART * 100


def _count_call(call: ToolCall) -> int:
    texts = _count_text(call.function.name) + _count_text(call.function.arguments)
    return _CALL * 100 + texts + _count_signature(call.extra_content)


def _count_signature(extra: dict[str, object] | None) -> int:
    return len(msgspec.json.encode(extra)) * _SIGNATURE if extra else 0


def _count_tool(tool: Tool) -> int:
    return _TOOL * 100 + (_count_json(tool.named) if tool.named else 0)


def _count_image(image: ImageURL) -> int:
    """Tokens by OpenAI's rule: one scaled to 768 pixels is cut into tiles of 512."""
    if image.detail == "low":
        return _THUMBNAIL
    size = read_image_size(image.url)
    if size is None:
        return _TYPICAL_IMAGE
    return _THUMBNAIL + _TILE * _count_tiles(*size)


def _count_tiles(width: int, height: int) -> int:
    scale = min(1.0, 2048 / max(width, height), 768 / min(width, height))
    return int(-(-width * scale // 512) * -(-height * scale // 512))
