"""The model that a request names which goes to its provider as it is: in its path, in the JSON of
its body, or in a part of a form."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import msgspec
from msgspec import Raw, Struct

from proxy.core.errors import InvalidRequest
from proxy.core.json_guard import Decoder, Pairs, decode_leniently
from proxy.core.ports import Body
from proxy.core.splice import encode_fields
from proxy.providers.address import strip_version
from proxy.providers.garbage import UNREADABLE

_CHATS = frozenset({
    "chat/completions", "completions", "embeddings", "messages", "messages/count_tokens",
    "responses", "responses/input_tokens",
})  # fmt: skip
"""What is posted where the field `model` of the body says who answers, and the models are those of
chats."""
_OTHERS = frozenset({
    "moderations", "rerank", "audio/speech", "audio/transcriptions", "audio/translations",
    "images/generations", "images/edits", "images/variations",
})  # fmt: skip
"""The same of other models."""
_GEMINI = re.compile(r"(?:models|tunedModels)/([^/:]+):([A-Za-z]+)")
_GEMINI_LOOK = re.compile(r"(?:models|tunedModels)/([^/:]+)")
_GEMINI_CHATS = frozenset({
    "generateContent", "streamGenerateContent", "countTokens", "embedContent", "batchEmbedContents",
})  # fmt: skip
_PLAIN_FORM = re.compile(
    r"multipart/form-data *; *boundary=(?:\"[\w'()+,./:=?-]{1,70}\"|[\w'+.-]{1,70})",
    re.ASCII | re.IGNORECASE,
)
"""The form of a content type that is read in one way only."""
_ODD_CHARSET = re.compile(r"charset(?! *= *\"?utf-?8\b)", re.IGNORECASE)
_BOUNDARY = re.compile(r'boundary=(?:"([^"]{1,200})"|([^\s;,"]{1,200}))', re.IGNORECASE)
_NAME = re.compile(rb'\bname\s*=\s*(?:"([^"]*)"|([^\s;]+))', re.IGNORECASE)
_CODED_NAME = re.compile(rb"\bname\*", re.IGNORECASE)
_HEAD = 8 * 1024
"""Bytes of the head of a form's part."""
_MOST_PARTS = 1000
"""Parts that a form may have: each is looked at."""
_LONGEST = 256
_FIELDS = Decoder(dict[str, Raw])


class _Naming(Struct):
    model: Any = None


_NAMING = Decoder(_Naming, float_hook=float)


class Errand(Struct, frozen=True):
    """What a request is for, as far as its method and its path show."""

    answers: bool = False
    """Whether a model answers, so that a failure says something of it, and its usage can be
    known."""
    chats: bool = False
    """Whether it is what chats and embeddings are served by: only then the key and the provider
    have to do with them."""
    model: str | None = None
    """The one that the path names."""
    in_body: bool = False
    """Whether the body names it."""


def read_errand(method: str, path: str) -> Errand:
    """What a request is for. path: without a slash before it, percent-encoded."""
    path = unquote(strip_version(path).rstrip("/"))
    if method == "POST" and path in _CHATS | _OTHERS:
        return Errand(answers=True, chats=path in _CHATS, in_body=True)
    if method == "POST" and (found := _GEMINI.fullmatch(path)):
        return Errand(answers=True, chats=found[2] in _GEMINI_CHATS, model=found[1])
    if method in ("GET", "HEAD") and (found := _GEMINI_LOOK.fullmatch(path)):
        return Errand(model=found[1])
    return Errand()


def is_form(content_type: str) -> bool:
    """Whether a body is a form of parts."""
    return content_type.partition(";")[0].strip().lower() == "multipart/form-data"


def read_model(body: bytes, content_type: str) -> str | None:
    """The model that a body names, None where it names none or can't be read."""
    if is_form(content_type):
        try:
            return next((text for _, _, text in _find_models(body, content_type)), None)
        except ValueError:
            return None
    try:
        named = _NAMING.decode(body).model
    except UNREADABLE:
        return None
    return named if isinstance(named, str) and len(named) <= _LONGEST else None


def read_all_models(body: bytes, content_type: str) -> tuple[str, ...]:
    """All models that a body may mean, none where that is not certain: two readers of JSON or of a
    form may take different ones of two fields of one name."""
    try:
        if is_form(content_type):
            return _read_form(body, content_type)
        if _ODD_CHARSET.search(content_type):
            return ()
        body.decode()  # JSON is UTF-8; a lenient reader guesses
        top = decode_leniently(body, Pairs)
    except (ValueError, RecursionError):
        return ()
    pairs = top if isinstance(top, Pairs) else ()
    named = [value for name, value in pairs if name.casefold() == "model"]
    lists = [value for name, value in pairs if name.casefold() == "models"]
    others = lists[0] if lists else []
    if len(named) != 1 or len(lists) > 1 or not isinstance(others, list):
        return ()
    names = [*named, *others]
    return tuple(names) if all(isinstance(name, str) for name in names) else ()


def _read_form(body: bytes, content_type: str) -> tuple[str, ...]:
    if not _PLAIN_FORM.fullmatch(content_type.strip()):
        return ()
    mark = _read_mark(content_type)
    marks, end = body.count(mark), mark + b"--"
    begun = body.count(b"\r\n" + mark) + body.startswith(mark)
    is_plain = marks == begun == body.count(mark + b"\r\n") + 1 and body.rstrip(b"\r\n").endswith(
        end
    )  # some readers take a lone LF too, a longer mark, or what follows the end
    names = [text for _, _, text in _find_models(body, content_type)] if is_plain else []
    return tuple(names) if len(names) == 1 else ()


def rename_model(body: bytes, content_type: str, name: str) -> Body:
    """The body with another model in the place of the one that it names; all else stays where it
    is. Raises InvalidRequest for a body that is no object of JSON."""
    if is_form(content_type):
        return _rename_part(body, content_type, name)
    try:
        fields = _FIELDS.decode(body)
    except UNREADABLE as error:
        raise InvalidRequest("The body must be an object of JSON.") from error
    return encode_fields({**fields, "model": Raw(msgspec.json.encode(name))})


def _rename_part(body: bytes, content_type: str, name: str) -> Body:
    parts: list[bytes | memoryview] = []
    view, at = memoryview(body), 0
    try:
        for begin, end, _ in _find_models(body, content_type):
            parts += (view[at:begin], name.encode())
            at = end
    except ValueError as error:
        raise InvalidRequest("The body must be a form whose parts have an end.") from error
    return (*parts, view[at:])


def _find_models(body: bytes, content_type: str) -> Iterator[tuple[int, int, str]]:
    """The parts of a form that may be taken for the model's: where each begins and ends, and what
    it says. A file's bytes are passed over. Raises ValueError for a part that can't be read, and
    for too many."""
    mark = _read_mark(content_type)
    if not mark:
        return
    at = 0 if body.startswith(mark) else body.find(b"\r\n" + mark)
    for _ in range(_MOST_PARTS):
        if at < 0:
            return
        head = body.find(b"\r\n", at + 2) + 2
        begin = body.find(b"\r\n\r\n", max(head - 2, 0), head + _HEAD) + 4
        end = body.find(b"\r\n" + mark, max(begin - 2, at + 2))
        if body.startswith(mark + b"--", at and at + 2):
            return
        if head < 2 or begin < 4 or end < 0:
            raise ValueError("a part of the form has no end")
        if _is_models(body[head:begin]):
            text = body[begin : min(end, begin + _LONGEST)]
            yield begin, max(begin, end), text.decode("utf-8", "replace")
        at = end
    raise ValueError("the form has too many parts")


def _read_mark(content_type: str) -> bytes:
    """What stands between the parts of a form; nothing where it is not said."""
    named = _BOUNDARY.search(content_type)
    return b"--" + (named[1] or named[2]).encode() if named else b""


def _is_models(head: bytes) -> bool:
    """Whether the head of a part may be read as that of the field `model`."""
    names = [quoted or bare for quoted, bare in _NAME.findall(head)]
    plain = {name.replace(b"\\", b"").strip().lower() for name in names}
    return b"model" in plain or _CODED_NAME.search(head) is not None
