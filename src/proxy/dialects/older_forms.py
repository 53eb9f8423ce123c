"""Older and looser forms of OpenAI's fields, which clients still send, in today's form.

`functions` and `function_call` became `tools` and `tool_choice` in November 2023, messages of the
role `function` those of the role `tool`. Other gateways take `tool_choice: "any"`, a function
named without a type, an image's URL as a plain text, and empty lists for fields left out.

What is in today's form already is left as it is, to the byte. What has another type than expected
is left too: the dialect refuses it by name. Values that need no change are neither decoded nor
copied, but into the body that a change makes.
"""

import re
from typing import Any, TypeVar

import msgspec
from msgspec import Raw

from proxy.core import splice
from proxy.core.errors import InvalidRequest, invalid
from proxy.core.json_guard import Text, spell
from proxy.core.splice import FIELDS, NULL, Piece, begins, wrap

T = TypeVar("T")
B = TypeVar("B", bound=Text)

MAX_TOOLS = 512
_OLD = re.compile(
    rb"%b\s*:|%b\s*:\s*%b|%b\s*:\s*\"|%b\s*:\s*\[\s*\]"
    % tuple(map(spell, ("function_call", "role", "function", "image_url", "tool_calls")))
)
"""What messages that need no look inside don't have."""
_LOOKED_AT = frozenset({"functions", "function_call", "tools", "tool_choice", "stop"})
_EMPTY = re.compile(rb"\[\s*\]")
_TEXT = msgspec.json.Decoder(str)
_LIST = msgspec.json.Decoder(list[Raw])
_ANY, _FALSE = Raw(b'"any"'), Raw(b"false")
_NO_CHOICE = (NULL, Raw(b'"auto"'), Raw(b'"none"'))
_TODAY = (
    (re.compile(r"\Atools\[(\d+)\]\.function"), r"functions[\1]"),
    (re.compile(r"\Atool_choice(\.function)?"), "function_call"),
    (re.compile(r"\A(messages\[\d+\])\.tool_calls\[0\]\.function"), r"\1.function_call"),
)
"""How paths of fields begin today, and in the form before."""


def is_of_today(fields: dict[str, Raw]) -> bool:
    """Whether nothing of a body can be in another form than today's."""
    return _LOOKED_AT.isdisjoint(fields) and not _OLD.search(fields.get("messages", NULL))


def uses_functions(fields: dict[str, Raw]) -> bool:
    """Whether a body has functions in place of tools, and is to be answered so."""
    return _given(fields, "functions") or _given(fields, "function_call")


def modernize(body: B, fields: dict[str, Raw]) -> B | bytes:
    """A body in today's form: `body` itself where it is. fields: those of the body. Raises
    InvalidRequest for what has no such form."""
    changed = _modernize_fields(fields)
    messages = fields.get("messages", NULL)
    if (turns := modernize_messages(messages)) is not messages:
        changed["messages"] = turns
    return with_changes(body, fields, changed)


def _modernize_fields(fields: dict[str, Raw]) -> dict[str, Any]:
    """The fields beside the messages that are in no form of today, in today's; None: left out."""
    changed = _tools_of(fields) if uses_functions(fields) else dict[str, Any]()
    changed |= {name: None for name in ("functions", "function_call") if name in fields}
    for name in ("tools", "stop"):
        if name in fields and _EMPTY.fullmatch(fields[name]):
            changed.setdefault(name, None)
    choice = fields.get("tool_choice", NULL)
    if changed.get("tools", NULL) is None:
        changed["parallel_tool_calls"] = None
        if choice in _NO_CHOICE:  # any other can't be met: the dialect refuses it
            changed["tool_choice"] = None
    elif (today := _choice(choice)) is not choice:
        changed["tool_choice"] = today
    return changed


def modernize_messages(messages: Raw) -> Raw | Piece:
    """A list of messages in today's form; `messages` itself where it is. Raises InvalidRequest."""
    raws = _list(messages) if _OLD.search(messages) else None
    if raws is None:
        return messages
    called: dict[str, str] = {}
    turns: list[Raw | Piece] = []
    for index, raw in enumerate(raws):
        message = _object(raw) if _OLD.search(raw) else None
        turns.append(wrap(raw) if message is None else _message(message, index, called))
    return _encode(turns)


def as_given(error: InvalidRequest) -> InvalidRequest:
    """An error about a body in today's form, with the name of the field as the caller gave it."""
    today = path = error.param or ""
    for form, given in _TODAY:
        path = form.sub(given, path)
    message = path + error.message.removeprefix(today)
    return InvalidRequest(message, param=error.param and path)


def with_changes(body: B, fields: dict[str, Raw], changed: dict[str, Any]) -> B | bytes:
    """A body with other values of some of its fields, None for none: `body` itself where nothing
    is changed."""
    if not changed:
        return body
    values = fields | changed
    data = splice.encode_fields({k: value for k, value in values.items() if value is not None})
    return data if isinstance(data, bytes) else b"".join(data)


def _tools_of(fields: dict[str, Raw]) -> dict[str, Any]:
    """`functions` and `function_call` as tools."""
    if _given(fields, "tools") or _given(fields, "tool_choice"):
        raise invalid("functions", "Older names of tools and tool_choice; give one or the other")
    choice = fields.get("function_call", NULL)
    functions = _list(fields["functions"]) if _given(fields, "functions") else []
    if functions is None:
        raise invalid("functions", "Expected array")
    if len(functions) > MAX_TOOLS:
        raise invalid("functions", f"Expected array of length <= {MAX_TOOLS}")
    if not functions:
        if _given(fields, "function_call") and choice not in _NO_CHOICE:
            raise invalid("function_call", "There are no functions to choose from")
        return {"tools": None}
    if _object(choice) is not None:
        choice = Raw(msgspec.json.encode({"type": "function", "function": choice}))
    return {
        "tools": _encode([{"type": "function", "function": wrap(each)} for each in functions]),
        "tool_choice": choice if _given(fields, "function_call") else None,
        "parallel_tool_calls": _FALSE,  # the older form has room for one call
    }


def _choice(choice: Raw) -> Raw:
    if choice == _ANY:
        return Raw(b'"required"')
    named = _object(choice)
    if named and "function" in named and "type" not in named:
        return Raw(msgspec.json.encode({"type": "function", **named}))
    return choice


def _message(fields: dict[str, Raw], index: int, called: dict[str, str]) -> Raw | Piece:
    """A message in today's form. called: the id of the last call of each function."""
    message: dict[str, Any] = {name: wrap(raw) for name, raw in fields.items()}
    calls = fields.get("tool_calls", NULL)
    if _EMPTY.fullmatch(calls):
        del message["tool_calls"]
    call = message.pop("function_call", None)
    function = _object(fields.get("function_call", NULL))
    if function is not None and "tool_calls" not in message:
        id_ = called[_text(function.get("name", NULL)) or ""] = f"call_{index}"
        message["tool_calls"] = [{"id": id_, "type": "function", "function": call}]
    if _text(fields.get("role", NULL)) == "function":
        name = _text(fields.get("name", NULL)) or ""
        if name not in called:
            raise invalid(f"messages[{index}].name", "No earlier message calls that function")
        del message["name"]
        message |= {"role": "tool", "tool_call_id": called[name]}
    parts = _list(fields.get("content", NULL))
    if parts is not None:
        message["content"] = [_part(part) for part in parts]
    return _encode(message)


def _part(part: Raw) -> Any:
    fields = _object(part)
    url = fields.get("image_url", NULL) if fields else NULL
    if fields is None or not begins(url, b'"'):
        return wrap(part)
    return {name: wrap(raw) for name, raw in fields.items()} | {"image_url": {"url": wrap(url)}}


def _given(fields: dict[str, Raw], name: str) -> bool:
    return name in fields and fields[name] != NULL and not _EMPTY.fullmatch(fields[name])


def _object(raw: Raw) -> dict[str, Raw] | None:
    return _read(FIELDS, raw) if begins(raw, b"{") else None


def _list(raw: Raw) -> list[Raw] | None:
    return _read(_LIST, raw) if begins(raw, b"[") else None


def _text(raw: Raw) -> str | None:
    return _read(_TEXT, raw) if begins(raw, b'"') else None


def _read(decoder: msgspec.json.Decoder[T], raw: Raw) -> T | None:
    """What bytes say, None where that can't be read: the dialect refuses it then."""
    try:
        return decoder.decode(raw)
    except msgspec.DecodeError:
        return None


def _encode(value: Any) -> Raw | Piece:
    data = splice.encode(value)
    return Raw(data) if isinstance(data, bytes) else Piece(*data)
