"""The cache's keys: SHA-256 over the meaning of a request.

Same meaning, same key: the order of fields, white space, how numbers and strings are spelled,
nulls, defaults said aloud, the dialect, and what is no part of the question (`stream`, `user`,
`metadata`, …) make no difference. Different meaning, different key: all that reaches a provider
is in it, fields that the proxy does not know too. Where in doubt two requests are different:
that costs a miss, the other way round a wrong answer.

The text that is hashed is one line of JSON for the request, then one for each message. The
encoder writes no line break inside a line, so different requests never have the same text. A long
string stands there as its own SHA-256, behind a sign that JSON has no place for: a copy of an image
would be memory, which an isolate has little of.
"""

from collections.abc import Iterator, Mapping
from hashlib import sha256
from operator import attrgetter

import msgspec
from msgspec import Raw, Struct, structs

from proxy.core import splice
from proxy.core.chat import ChatRequest
from proxy.core.json_guard import may_repeat_a_name
from proxy.core.messages import Message, Part

FORM = 1
"""Counts the changes of the form: each changes every key, so that no key has two meanings."""

_ELSEWHERE = (
    "messages",
    "stream",
    "tools",
    "response_format",
    "vendors",  # in the question, where they matter
    "extra",
    "raw_messages",
    "raw_tools",
    "dialect",
    "body",
    "native_only",
    "cache_control",
    "reasoning_summary",
    "bridges_custom",
    "beside",
)
_SETTINGS = tuple(name for name in ChatRequest.__struct_fields__ if name not in _ELSEWHERE)
"""All that ChatRequest has beside those: a new field is part of the key at once."""
_read_settings = attrgetter(*_SETTINGS)
_LABELS = ("safety_identifier", "prompt_cache_key")
"""What OpenAI has in place of `user` today: they name the caller."""


class _OpenAIFields(Struct, frozen=True):
    """What ChatRequest holds less of than a body that goes on unchanged: servers take other
    fields in a response_format than OpenAI (llama.cpp: a `schema` beside `json_object`)."""

    response_format: Raw


def _number(text: str) -> int | float | Raw:
    """A number with a point or an exponent: 1, 1.0 and 1e0 are one and the same."""
    value = float(text)
    if value.is_integer() and (value or text[0] != "-"):
        return int(value)
    # JSON knows no infinity, the encoder would write null: such a number stays as it came.
    return Raw(text.encode()) if value in (float("inf"), float("-inf")) else value


LONG = 16 * 1024
"""Bytes of UTF-8 from which on a string counts as long."""
_STEP = 64 * 1024

_JSON = msgspec.json.Decoder(float_hook=_number)
_BODY = msgspec.json.Decoder(_OpenAIFields)
_encode = msgspec.json.Encoder(order="sorted").encode


class KeyParts(Struct, frozen=True, kw_only=True):
    """What a request's key is made of."""

    chat: ChatRequest
    question: tuple[str, ...] = ()
    """What is wanted of routing."""
    defaults: Mapping[str, object] = {}
    """What the providers in question take for a field that is left out."""
    scope: str = ""
    """The tenant; empty where all share their entries."""
    namespace: str | None = None


def cache_key(parts: KeyParts) -> str:
    """The key of a request, in hexadecimal: the SHA-256 of a text that it has in common with all
    others of its meaning, and with no other."""
    lines = _lines(parts)
    digest = sha256(next(lines))
    for line in lines:  # one at a time: a body may hold 20 MB
        digest.update(b"\n" + line)
    return digest.hexdigest()


def named_key(name: str, scope: str, namespace: str | None) -> str:
    """The key that a caller chose itself: never that of a request, nor another tenant's."""
    return sha256(_encode([FORM, "named", scope, namespace, name])).hexdigest()


def _lines(parts: KeyParts) -> Iterator[bytes]:
    chat = parts.chat
    fields, tools = _fields(chat, parts.defaults), _tools(chat)
    # Fields of Messages mean nothing to those who get them in another dialect's body.
    is_bound = chat.native_only or (chat.extra and chat.dialect == "messages")
    line = [FORM, "chat", parts.scope, parts.namespace, parts.question, fields, tools]
    yield _encode([*line, chat.dialect] if is_bound else line)
    for raw in chat.raw_messages:
        yield _encode(_normalize_message(_read(raw)))
    for message in () if chat.raw_messages else chat.messages:
        yield _encode(_normalize_message(_read_message(message)))
    for raw in chat.beside:
        yield _encode([_read(raw)])  # a list: no message
    if not parts.scope:
        yield from _digest_ambiguous(chat)


def _digest_ambiguous(chat: ChatRequest) -> Iterator[bytes]:
    """Where all share their entries: the very bytes of what goes on as it came and may be read in
    two ways. A provider could read another question in them than this key has, and whoever sent
    them would put its answer under everybody's."""
    texts = [*chat.raw_messages, chat.raw_tools, *chat.extra.values(), *chat.beside]
    if chat.response_format is not None and chat.body is not None and chat.dialect == "chat":
        texts.append(_BODY.decode(chat.body).response_format)
    for text in (bytes(raw) for raw in texts if isinstance(raw, Raw | bytes)):
        if may_repeat_a_name(text):
            yield _encode(["bytes", sha256(text).hexdigest()])


def _read(raw: Raw | bytes) -> object:
    """The value, its numbers in one spelling and its long strings by their digests; a digest of the
    bytes where they can't be read, though the dialect let them pass (an unknown field with an
    integer of 5,000 digits)."""
    text = memoryview(raw)
    if len(text) > LONG:  # it may hold a long string: no level is decoded further than it must
        match text[:1].tobytes():
            case b"{":
                fields = splice.FIELDS.decode(text)
                return {name: _read(value) for name, value in fields.items()}
            case b"[":
                return [_read(item) for item in splice.ITEMS.decode(text)]
            case b'"' if len(text) > LONG + 2 and _is_plain(text):
                return _sign("#", sha256(text[1:-1]).hexdigest())
    try:
        value = _JSON.decode(text)
    except msgspec.DecodeError:
        return _sign("!", sha256(text).hexdigest())
    return _digest(value) if len(text) > LONG and isinstance(value, str) else value


def _read_message(message: Message) -> dict[str, object]:
    """What `_read` would make of a message's bytes, where there are none."""
    content = message.content
    if content is None:
        return _read_fields(message)
    read = _digest(content) if isinstance(content, str) else [_read_part(p) for p in content]
    return {**_read_fields(structs.replace(message, content=None)), "content": read}


def _read_part(part: Part) -> dict[str, object]:
    """The same of a part, one at a time: each is copied."""
    if part.text is None:
        return _read_fields(part)
    return {**_read_fields(structs.replace(part, text=None)), "text": _digest(part.text)}


def _read_fields(value: Message | Part) -> dict[str, object]:
    return {name: _read(raw) for name, raw in splice.FIELDS.decode(_encode(value)).items()}


def _digest(text: str) -> str | Raw:
    """A long string's digest, a short string (of many escapes) itself."""
    if 4 * len(text) <= LONG:
        return text
    digest, size = sha256(), 0
    for start in range(0, len(text), _STEP):
        piece = text[start : start + _STEP].encode()
        digest.update(piece)
        size += len(piece)
    return _sign("#", digest.hexdigest()) if size > LONG else text


def _sign(kind: str, digest: str) -> Raw:
    """What no JSON has: so no value that a request holds is taken for a digest."""
    return Raw(f"{kind}{digest}".encode())


def _is_plain(text: memoryview) -> bool:
    """Whether a JSON string holds no escape: then it is what it stands for, in UTF-8."""
    pieces = (text[at : at + _STEP] for at in range(0, len(text), _STEP))
    return not any(b"\\" in bytes(piece) for piece in pieces)


def _fields(chat: ChatRequest, defaults: Mapping[str, object]) -> dict[str, object]:
    """The settings that say something else than what holds anyway."""
    settings = zip(_SETTINGS, _read_settings(chat), strict=True)
    given = {name: value for name, value in settings if value is not None and value != ()}
    if not chat.tools:  # nothing to choose from or to call at once
        given.pop("tool_choice", None)
        given.pop("parallel_tool_calls", None)
    if chat.response_format is not None:
        given["response_format"] = _response_format(chat)
    if not (given or chat.extra):
        return {}
    usual = {
        **defaults,
        "logprobs": False,
        "parallel_tool_calls": True,
        "response_format": {"type": "text"},
        "tool_choice": "auto",
    }
    # Through JSON and back, which leaves one spelling of everything.
    unknown = {name: _read(value) for name, value in chat.extra.items()}
    fields = _drop_nulls(_JSON.decode(_encode(given)) | unknown)
    usual = _JSON.decode(_encode({name: usual[name] for name in fields if name in usual}))
    return {
        name: value
        for name, value in fields.items()
        if name not in _LABELS and not (name in usual and _encode(value) == _encode(usual[name]))
    }


def _response_format(chat: ChatRequest) -> object:
    encoded = msgspec.json.encode(chat.response_format)
    if chat.body is not None and chat.dialect == "chat":
        encoded = bytes(_BODY.decode(chat.body).response_format)
    form = _drop_nulls(_JSON.decode(encoded))
    if isinstance(schema := form.get("json_schema"), dict):
        form["json_schema"] = {"name": "answer", **_drop_nulls(schema)}
    return form


def _tools(chat: ChatRequest) -> object:
    if not chat.tools:
        return []
    return _normalize_tools(_read(chat.raw_tools or msgspec.json.encode(chat.tools)))


# What follows leaves as it is what could not be read: it is no dict and no list.


def _normalize_message(message: object) -> object:
    if not isinstance(message, dict):
        return message
    message = _drop_nulls(message)
    if isinstance(content := message.get("content"), list):
        message["content"] = _normalize_parts(content)
    if calls := message.pop("tool_calls", None):
        message["tool_calls"] = _normalize_tools(calls)
    return message


def _normalize_parts(content: list[object]) -> object:
    """The parts; the text itself, where it is all that they are."""
    parts = [_normalize_part(part) for part in content]
    alone = parts[0] if len(parts) == 1 else None
    if isinstance(alone, dict) and alone.keys() == {"type", "text"} and alone["type"] == "text":
        return alone["text"]
    return parts


def _normalize_part(part: object) -> object:
    if not isinstance(part, dict):
        return part
    part = _drop_nulls(part)
    if isinstance(image := part.get("image_url"), dict):
        part["image_url"] = _drop_nulls(image)
    return part


def _normalize_tools(tools: object) -> object:
    return [_normalize_tool(tool) for tool in tools] if isinstance(tools, list) else tools


def _normalize_tool(tool: object) -> object:
    """A tool or a call of one; both are functions where they don't say what they are."""
    if not isinstance(tool, dict):
        return tool
    tool = {"type": "function", **_drop_nulls(tool)}
    for kind in ("function", "custom"):
        if isinstance(described := tool.get(kind), dict):
            tool[kind] = _drop_nulls(described)
    return tool


def _drop_nulls(fields: dict[str, object]) -> dict[str, object]:
    """The fields without the nulls: null is the same as a field that is not there."""
    if None not in fields.values():
        return fields
    return {name: value for name, value in fields.items() if value is not None}
