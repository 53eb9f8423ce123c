"""Answers that cannot be read: what is decoded here either has the form expected or is a Fault that
shows how the answer begins, without any key.
"""

import codecs
import re
from typing import TypeVar

import msgspec

from proxy.core.chat import Blame
from proxy.core.errors import Fault, Source
from proxy.core.json_guard import MAX_VALUES, Decoder, Unsafe, is_json
from proxy.core.redaction import redact
from proxy.providers.surrogates import mend
from proxy.providers.target import Target

T = TypeVar("T")
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for bytes that are not the JSON that was expected."""
HEAD = 1000
"""Bytes that are kept of an answer that cannot be read."""
LOOKED_AT = 4096
"""Characters of each text in an error that are looked at: the time that takes has a bound, however
much comes. No expression here repeats anything without a limit."""
LENIENT = 1_000_000
"""Bytes up to which it is found out whether JSON that can't be read is well formed all the same."""
SHOWN = 200
"""Characters of a provider's own word, or of an answer's beginning, that are shown."""
_LONGEST = 500
_PIECE = 64 * 1024
_TITLE = re.compile(r"<title[^>]{0,200}>([^<]{0,500})", re.IGNORECASE)
_ANY = Decoder(object)


def decode(target: Target, decoder: Decoder[T], body: bytes, max_values: int = MAX_VALUES) -> T:
    """What `decoder` reads. Raises Fault("garbage")."""
    try:
        _check_text(body)
        return decoder.decode(body, max_values)
    except UNREADABLE as error:
        raise unreadable(target, error, body) from error


def _check_text(body: bytes) -> None:
    """Raises UnicodeDecodeError for what is no UTF-8: a decoder skips the fields that it does not
    know unread, and the next one stumbles over them."""
    if body.isascii():
        return
    reader = codecs.getincrementaldecoder("utf-8")()
    for start in range(0, len(body), _PIECE):
        reader.decode(body[start : start + _PIECE])
    reader.decode(b"", final=True)


def unreadable(target: Target, error: Exception, body: bytes) -> Fault:
    """The fault of an answer that the proxy failed to decode. Well-formed JSON in a form that it
    does not know is its own fault, a page or half an answer the provider's."""
    known = isinstance(error, msgspec.ValidationError | Unsafe) or is_json(body[: LENIENT + 1])
    return garbage(target, str(error), body, "proxy" if known else "model")


def garbage(target: Target, why: str, body: bytes, blame: Blame = "model") -> Fault:
    """The fault of an answer that cannot be read."""
    beginning = redact(flatten(body[:HEAD]), target.all_secrets, cut=len(body) >= HEAD)[:SHOWN]
    message = show(target, f"The answer cannot be read. {why}: {beginning or '(nothing)'}")
    source: Source = "proxy" if blame == "proxy" else "provider"
    return Fault("garbage", message, source=source, blame=blame)


def is_readable(data: bytes) -> bool:
    """Whether it is JSON that can be read safely."""
    try:
        _ANY.decode(mend(data))
    except UNREADABLE:
        return False
    return True


def flatten(body: bytes) -> str:
    """A body that is not JSON as one readable line."""
    text = " ".join(body[: 4 * LOOKED_AT].decode("utf-8", "replace").split())
    if not text.startswith("<"):
        return text
    title = _TITLE.search(text)
    return f"The provider answered with an HTML page: {title[1].strip() if title else 'untitled'}"


def show(target: Target, text: str) -> str:
    """A text of the provider's without any secret and of bearable length."""
    text = mask(target, text)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def mask(target: Target, text: str) -> str:
    """The text that is looked at, without any secret."""
    return redact(text[:LOOKED_AT], target.all_secrets, cut=len(text) >= LOOKED_AT)
