"""What an answer of OpenAI's dialect holds beside what is read of it (core.chat.Form): all that a
caller would miss when the answer comes from the cache.
"""

from typing import Any, TypeVar

import msgspec
from msgspec import Raw, structs
from msgspec.json import Decoder

from proxy.core.chat import Form
from proxy.core.loose_json import as_objects
from proxy.core.splice import NULL
from proxy.providers.garbage import UNREADABLE

T = TypeVar("T")

_READ = frozenset({"id", "object", "model", "choices", "usage", "error"})
"""Fields of a completion that an Answer and a Chunk hold."""
_READ_OF_CHUNK = _READ | {"obfuscation", "p"}  # the last two hide a chunk's length
_CHOICE = frozenset({"index", "message", "delta", "finish_reason", "error"})
_CHOICE_OF_CHUNK = _CHOICE | {"logprobs"}
_TEXTS = frozenset({"content", "reasoning_content", "reasoning", "refusal"})
_CALL = frozenset({"id", "type", "function", "custom", "extra_content"})

ROOM = 256 * 1024
"""Bytes of such fields that are kept of a stream."""

_Fields = dict[str, Raw]
# What is read here is an answer that core.json_guard has let pass.
_FIELDS = Decoder(_Fields)
_CHOICES = Decoder(list[_Fields])
_OBJECT = Decoder(dict[str, Any])
_ANY = Decoder(object)
_encode = msgspec.json.Encoder().encode
_NO_CHOICE = Raw(b"[]")
_EMPTY = Form()


def read_form(
    body: bytes,
    message: dict[str, Any],
    extra: dict[str, Any],
    reasoning: tuple[str, ...],
    inline: str,
) -> Form:
    """The form of a whole answer. message: its own; extra, reasoning, inline: what was read of
    that."""
    kept = {name: None if name in _TEXTS else v for name, v in message.items() if name not in extra}
    calls = as_objects(kept.pop("tool_calls")) if kept.get("tool_calls") else []
    read = Form(
        message=kept,
        calls=tuple([_leave_out(_CALL, call) for call in calls]),
        reasoning=reasoning,
        inline=inline,
    )
    try:
        fields = _OBJECT.decode(body)
        usage = fields.get("usage")
        form = structs.replace(
            read,
            completion=_leave_out(_READ, fields),
            choice=_leave_out(_CHOICE, fields["choices"][0]),
            usage=usage if usage and isinstance(usage, dict) else None,
        )
        _encode(form)
    except (*UNREADABLE, OverflowError):
        return _read_singly(body, read)
    return form


def _read_singly(body: bytes, read: Form) -> Form:
    """The form of a whole answer of which not every value can be read (1e999) or written (10**40):
    the other values. read: what is known of it already."""
    fields = _FIELDS.decode(body)
    return structs.replace(
        read,
        completion=_read_values(_leave_out(_READ, fields)),
        choice=_read_values(_leave_out(_CHOICE, _read_first(fields["choices"]))),
        message={name: value for name, value in read.message.items() if _is_writable(value)},
        calls=read.calls if _is_writable(read.calls) else (),
        usage=_read_usage(fields.get("usage", NULL)),
    )


class FormReader:
    """Reads the form of a streamed answer: what each chunk holds that none before it did."""

    def __init__(self) -> None:
        self._completion: _Fields = {}
        self._choice: _Fields = {}
        self._last: tuple[_Fields, _Fields] = {}, {}
        """Those of the last chunk with anything new."""
        self._reasoning: tuple[str, ...] = ()
        self._inline = ""
        self._room = ROOM

    def read(self, data: bytes, reasoning: tuple[str, ...] = (), inline: str = "") -> Form | None:
        """What is new in a chunk, None where nothing is. data: the chunk; reasoning: the names
        under which it holds reasoning; inline: see Form."""
        fields = _FIELDS.decode(data)
        usage, choices = fields.pop("usage", None), fields.pop("choices", None)
        fields = _leave_out(_READ_OF_CHUNK, fields)
        choice = _leave_out(_CHOICE_OF_CHUNK, _read_first(choices)) if choices else {}
        usage = None if usage == NULL else usage
        names = tuple(name for name in reasoning if name not in self._reasoning)
        inline = "" if inline == self._inline else inline
        if (fields, choice) == self._last and not (usage or names or inline):
            return None
        self._last = fields, choice
        if usage and choices != _NO_CHOICE:  # a caller that wants no chunk of usage sees it
            fields["usage"] = usage
        self._reasoning += names
        self._inline = inline or self._inline
        form = Form(
            completion=self._take_new(self._completion, fields),
            choice=self._take_new(self._choice, choice),
            usage=_read_usage(usage),
            reasoning=names,
            inline=inline,
        )
        return None if form == _EMPTY else form

    def _take_new(self, known: _Fields, fields: _Fields) -> dict[str, Any]:
        """The fields that differ from the known ones, which become known. null takes nothing back,
        and beyond ROOM nothing is new."""
        new: _Fields = {}
        for name, raw in fields.items():
            if name not in known or raw not in (known[name], NULL):
                self._room -= len(name) + len(bytes(raw))
                if self._room >= 0:
                    new[name] = raw.copy()
        known.update(new)
        return _read_values(new)


def without_usage(form: Form) -> Form:
    """The form without what is reported of usage, which is not to be believed."""
    choice = {name: value for name, value in form.choice.items() if name != "usage"}
    return structs.replace(form, usage=None, choice=choice)


def _leave_out(names: frozenset[str], fields: dict[str, T]) -> dict[str, T]:
    return {name: raw for name, raw in fields.items() if name not in names}


def _read_first(choices: Raw) -> _Fields:
    """The fields of the first choice."""
    decoded = [] if choices == NULL else _CHOICES.decode(choices)
    return decoded[0] if decoded else {}


def _read_values(fields: _Fields) -> dict[str, Any]:
    """The values of the fields, but those that can't be read (1e999) or written (10**40)."""
    values: dict[str, Any] = {}
    for name, raw in fields.items():
        try:
            value = _ANY.decode(raw)
            _encode(value)
        except (*UNREADABLE, OverflowError):
            continue
        values[name] = value
    return values


def _is_writable(value: object) -> bool:
    try:
        _encode(value)
    except OverflowError:
        return False
    return True


def _read_usage(raw: Raw | None) -> dict[str, Any] | None:
    if raw is None:
        return None
    usage = _read_values({"usage": raw}).get("usage")
    return usage if isinstance(usage, dict) and usage else None
