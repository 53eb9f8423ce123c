"""The body of a Messages request as types, and its errors in Anthropic's words.

Blocks are read by one type for all: an unknown `type` is no error, since a provider of this
dialect may know it. What may be large or of any form stays the caller's bytes (Raw) until it is
needed.
"""

import re
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta, Raw, Struct

from proxy.core.json_guard import Text
from proxy.core.messages import NOTHING
from proxy.dialects import reading
from proxy.dialects.steering import CacheWish, Steering

T = TypeVar("T")


class Block(Struct, frozen=True):
    """A block of content, of whatever type."""

    type: str
    text: str | None = None
    source: Raw = NOTHING
    """Of an image or a document; a search result's is a string."""
    title: str | None = None
    context: str | None = None
    citations: Raw = NOTHING
    transformations: Raw = NOTHING
    content: Raw = NOTHING
    """Of a result, which may hold blocks or text."""
    id: str | None = None
    name: str | None = None
    input: Raw = NOTHING
    tool_use_id: str | None = None
    is_error: bool | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    cache_control: Any = None


Blocks = tuple[Block, ...]
Content = str | Blocks


class Turn(Struct, frozen=True):
    """A message."""

    role: Literal["user", "assistant", "system"]
    content: Content


class Source(Struct, frozen=True):
    """Where an image or a document is."""

    type: str
    media_type: str | None = None
    data: Raw = NOTHING
    url: str | None = None
    file_id: str | None = None
    content: Content | None = None


class Citations(Struct, frozen=True):
    """Whether citations are wanted."""

    enabled: bool | None = None


class Choice(Struct, frozen=True):
    """Which tool is to be called."""

    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class Offer(Struct, frozen=True):
    """A tool; one of a type that is not `custom` has other fields."""

    name: str | None = None
    type: str | None = None
    description: str | None = None
    input_schema: dict[str, Any] | None = None
    strict: bool | None = None
    cache_control: Any = None
    input_examples: Raw = NOTHING
    allowed_callers: tuple[str, ...] | None = None
    defer_loading: bool | None = None
    eager_input_streaming: bool | None = None


class Thinking(Struct, frozen=True):
    """Whether and how long the model thinks before it answers."""

    type: str
    budget_tokens: int | None = None
    display: str | None = None


class Form(Struct, frozen=True, rename={"schema_": "schema"}):
    """The form of the answer's text."""

    type: str
    schema_: dict[str, Any] | None = None


class OutputConfig(Struct, frozen=True):
    """How hard the model tries, and the form of its answer."""

    effort: str | None = None
    format: Form | None = None


class Metadata(Struct, frozen=True):
    """The caller's own user."""

    user_id: str | None = None


Limit = Annotated[int, Meta(ge=0, le=2**31 - 1)]


class Body(Steering, frozen=True, kw_only=True):
    """A request. null is the same as a field that is not there."""

    model: reading.Name
    max_tokens: Limit | None = None
    """A count of a prompt's tokens needs none."""
    messages: Annotated[tuple[Turn, ...], Meta(min_length=1, max_length=100_000)]
    system: Content | None = None
    tools: tuple[Offer, ...] | None = None
    tool_choice: Choice | None = None
    stop_sequences: tuple[str, ...] | None = None
    stream: bool | None = None
    temperature: reading.Temperature | None = None
    top_p: reading.Share | None = None
    thinking: Thinking | None = None
    output_config: OutputConfig | None = None
    output_format: Form | None = None
    metadata: Metadata | None = None
    cache_control: Any = None
    cache: CacheWish | None = None


OBJECT = msgspec.json.Decoder(dict[str, Any])
ANY = msgspec.json.Decoder()
BODY = msgspec.json.Decoder(Body)
_KNOWN = frozenset(Body.__struct_fields__)
CONTENT = msgspec.json.Decoder(Content)
SOURCE = msgspec.json.Decoder(Source)
STRING = msgspec.json.Decoder(str)
CITATIONS = msgspec.json.Decoder(Citations | None)

_KINDS = {
    "int": "integer",
    "float": "number",
    "bool": "boolean",
    "str": "string",
    "array": "list",
    "object": "dictionary",
}
_MISSING = re.compile(r"Object missing required field `(.*)`", re.DOTALL)
_KIND = re.compile(r"Expected `([^`]*)`, got `[^`]*`")
_BOUND = re.compile(r"Expected `(?:int|float)` ([<>]=) ([\d.e+]+)")
_INDEX = re.compile(r"\[(\d+|\.\.\.)\]")


def decode(decoder: msgspec.json.Decoder[T], text: Text, at: str = "") -> T:
    """As `reading.decode`, in Anthropic's words."""
    return reading.decode(decoder, text, at, _word)


def read_fields(body: bytes) -> dict[str, Raw]:
    """As `reading.read_fields`, in Anthropic's words."""
    return reading.read_fields(body, _KNOWN, _word)


def _word(path: str, reason: str) -> tuple[str, str]:
    path = _INDEX.sub(r".\1", path)
    if missing := _MISSING.fullmatch(reason):
        path, reason = f"{path}.{missing[1]}", "Field required"
    elif kind := _KIND.fullmatch(reason):
        words = [_KINDS.get(word, word) for word in kind[1].split(" | ") if word != "null"]
        reason = f"Input should be a valid {words[-1]}"
    elif bound := _BOUND.fullmatch(reason):
        side = "less" if bound[1] == "<=" else "greater"
        reason = f"Input should be {side} than or equal to {bound[2]}"
    elif reason.startswith("Invalid enum value"):
        reason = f"Input should be a known value, not {reason.removeprefix('Invalid enum value ')}"
    return path, reading.FORMS.get(reason, reason)
