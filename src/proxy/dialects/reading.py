"""Reads callers' JSON: whatever the bytes are, a typed Struct or an InvalidRequest comes out.

The limits stand in the types, so that msgspec checks them while it decodes; its errors are
worded with the field's path as the caller wrote it (`messages[0].content[1].type`), which is
also the error's `param`.
"""

import re
from codecs import getincrementaldecoder
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Raw

from proxy.core.errors import LONGEST_SHOWN, InvalidRequest, invalid
from proxy.core.forms import ONE_LINE, WORDS
from proxy.core.json_guard import Text, find_excess
from proxy.core.splice import FIELDS, repeats_a_name

T = TypeVar("T")

Label = Annotated[str, Meta(max_length=256, pattern=ONE_LINE)]
Name = Annotated[str, Meta(min_length=1, max_length=256, pattern=ONE_LINE)]
Names = Annotated[tuple[Name, ...], Meta(max_length=32)]
Count = Annotated[int, Meta(ge=1, le=2**31 - 1)]
Seconds = Annotated[int, Meta(ge=1, le=366 * 24 * 3600)]
Milliseconds = Annotated[int, Meta(ge=1, le=600_000)]
Temperature = Annotated[float, Meta(ge=0, le=2)]
Share = Annotated[float, Meta(ge=0, le=1)]
Penalty = Annotated[float, Meta(ge=-2, le=2)]
Seed = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
LABEL_LENGTH = 512
"""Characters of a label: of a text, or of the JSON of another value."""
_LabelText = Annotated[str, Meta(max_length=LABEL_LENGTH)]
_LabelValue = _LabelText | bool | int | float | list[Any] | dict[str, Any] | None
Metadata = Annotated[dict[Annotated[str, Meta(max_length=64)], _LabelValue], Meta(max_length=16)]
_StopText = Annotated[str, Meta(min_length=1, max_length=1024)]
Stop = _StopText | Annotated[tuple[_StopText, ...], Meta(max_length=16)]

_AT = re.compile(r"(.*) - at `(?:key` in `)?\$(.*)`", re.DOTALL)
_FIELD = re.compile(r"Object (contains unknown|missing required) field `(.*)`", re.DOTALL)
FORMS = {f"Expected `str` matching regex {form!r}": words for form, words in WORDS.items()}
"""What msgspec says of a text without its form, and how that is worded."""
_STEP = 64 * 1024
_ANY = msgspec.json.Decoder()


def check(body: Text) -> None:
    """Raises InvalidRequest for a body that is empty, not UTF-8, or unsafe to decode."""
    view = memoryview(body)
    for at in range(0, len(view), _STEP):
        if not bytes(view[at : at + _STEP]).isspace():
            break
    else:
        raise InvalidRequest("The body is empty; it must be a JSON object.")
    if reason := find_excess(body):
        raise InvalidRequest(f"The body is refused: {reason}.")
    if isinstance(body, bytes) and body.isascii():
        return
    decode_more = getincrementaldecoder("utf-8")()
    begun = 0  # where in the body the decoder stands
    try:
        for at in range(0, len(view), _STEP):  # what is kept as Raw, msgspec does not check
            decode_more.decode(view[at : at + _STEP])
            begun = at + _STEP - len(decode_more.getstate()[0])
        decode_more.decode(b"", final=True)
    except UnicodeDecodeError as error:
        where = min(begun, len(view) - len(error.object)) + error.start
        raise InvalidRequest(f"The body is not valid JSON: no UTF-8 (byte {where}).") from None


def _word(path: str, reason: str) -> tuple[str, str]:
    """msgspec's path and reason in the words of this API."""
    if field := _FIELD.fullmatch(reason):
        return f"{path}.{field[2]}", "Unknown field" if "unknown" in field[1] else "Missing"
    return path, FORMS.get(reason, reason)


def decode(
    decoder: msgspec.json.Decoder[T],
    text: Text,
    at: str = "",
    word: Callable[[str, str], tuple[str, str]] = _word,
) -> T:
    """Decodes what `check` has let pass. at: where in the body `text` stands; word: puts msgspec's
    path and reason into a dialect's words. Raises InvalidRequest.
    """
    try:
        return decoder.decode(text)
    except msgspec.ValidationError as error:
        located = _AT.fullmatch(str(error))
        reason, path = located.groups() if located else (str(error), "")
        path, reason = word(path, reason)
        path, reason = (at + path).lstrip("."), reason.replace("`", "")[:LONGEST_SHOWN]
        wrong = invalid(path, reason) if path else InvalidRequest(f"The body: {reason}")
        raise wrong from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"The body is not valid JSON: {error}.") from None


def read_fields(
    body: bytes, known: frozenset[str], word: Callable[[str, str], tuple[str, str]] = _word
) -> dict[str, Raw]:
    """The fields of a body of which unknown ones go on to a provider. word: as `decode`. Raises
    InvalidRequest for a field that stands twice, or has a known one's name in another case: a
    provider may read another model or another limit in them than is read here."""
    fields = decode(FIELDS, body, word=word)
    if repeats_a_name(body, fields):
        raise InvalidRequest("The body holds a field twice; give each of them once.")
    for name in fields.keys() - known:
        if (meant := name.casefold()) in known:
            raise invalid(name, f"Unknown field; its name is {meant}")
    return fields


def check_values(fields: dict[str, Raw]) -> None:
    """Raises InvalidRequest for a field that is no proper JSON: Raw lets pass what can't be decoded
    (1e999)."""
    for name, value in fields.items():
        decode(_ANY, value, at=name)


def labels(metadata: dict[str, Any] | None) -> dict[str, str]:
    """Metadata as labels: a text stays, any other value becomes its compact JSON. Raises
    InvalidRequest for JSON that is too long."""
    if not metadata:
        return {}
    kept: dict[str, str] = {}
    for name, value in metadata.items():
        kept[name] = value if isinstance(value, str) else msgspec.json.encode(value).decode()
        if len(kept[name]) > LABEL_LENGTH:
            raise invalid(f"metadata.{name}", f"Expected JSON of length <= {LABEL_LENGTH}")
    return kept


def stops(stop: str | tuple[str, ...] | None) -> tuple[str, ...]:
    """Stop sequences as a tuple, whichever form they came in."""
    return (stop,) if isinstance(stop, str) else stop or ()
