"""Reads the body of an error in every form in use."""

from collections.abc import Mapping
from itertools import islice
from typing import Any

import msgspec
from msgspec import Struct, structs

from proxy.core.json_guard import Decoder
from proxy.core.loose_json import as_object, as_objects, as_text
from proxy.providers.garbage import LOOKED_AT, SHOWN, UNREADABLE, flatten
from proxy.providers.surrogates import mend

MOST = 100
"""Headers, or quotas, of an error body that are looked at."""
_ANY = Decoder(object)


class ErrorBody(Struct, frozen=True, kw_only=True):
    """What an error body says."""

    message: str = ""
    code: str | None = None
    type: str | None = None
    param: str | None = None
    status: int | None = None
    number: int | None = None
    """A code of the provider's own (Cloudflare's 3040)."""
    delay: Any = None
    """When the error says to come back, in any form."""
    headers: Mapping[str, str] = {}
    """Rate-limit headers that stand in the error (OpenRouter)."""
    quotas: tuple[str, ...] = ()
    """The quotas that are used up, by Google's names."""
    relayed: bool = False
    """Whether a vendor behind the provider says it (OpenRouter)."""


def read_error(body: bytes) -> ErrorBody:
    """What an error body says, LOOKED_AT characters of each text. Never raises."""
    error = _read(body)
    texts = {name: getattr(error, name) for name in ("message", "code", "type", "param")}
    return structs.replace(error, **{name: t and t[:LOOKED_AT] for name, t in texts.items()})


def _read(body: bytes) -> ErrorBody:
    try:
        value = _ANY.decode(mend(body))
    except UNREADABLE:
        return ErrorBody(message=flatten(body))
    if isinstance(value, list) and value:
        value = value[0]  # Gemini's errors come in a list where it would have sent one
    if isinstance(value, dict):
        return _read_fields(_find_error(value))
    return ErrorBody(message=value if isinstance(value, str) else flatten(body))


def _find_error(value: dict[str, Any]) -> dict[str, Any]:
    """The object that holds the message."""
    error, errors = value.get("error"), value.get("errors")
    if isinstance(error, dict):  # OpenAI, Gemini, OpenRouter
        return error
    if isinstance(error, str):  # Hugging Face: the rest stands beside it
        return {**value, "message": error}
    if isinstance(told := value.get("error_message"), str):  # DeepInfra: JSON within a string
        return {**value, "message": _read(told.encode("utf-8", "replace")).message}
    if isinstance(errors, list) and errors and isinstance(errors[0], dict):  # Cloudflare's API
        return errors[0]
    if isinstance(detail := value.get("detail"), dict):  # DeepInfra: within FastAPI's
        return detail if isinstance(detail.get("message"), str) else _find_error(detail)
    return value  # Cerebras, FastAPI, what the AI binding's upstream says


def _read_fields(error: dict[str, Any]) -> ErrorBody:
    metadata = as_object(error.get("metadata"))
    raw = metadata.get("raw")  # what the vendor behind OpenRouter said, JSON or plain text
    nested = read_error(raw.encode("utf-8", "replace")) if isinstance(raw, str) else ErrorBody()
    details = _merge_details(error.get("details"))
    code = error.get("code", error.get("internalCode"))
    words = (code, details.get("reason"), error.get("status"))
    numbers = (code, error.get("status_code"), error.get("status"))
    return ErrorBody(
        message=nested.message or _read_message(error),
        code=next((word for word in words if word and isinstance(word, str)), nested.code),
        type=as_text(error.get("type")) or as_text(error.get("error_type")) or nested.type,
        param=as_text(error.get("param")) or nested.param,
        status=next((n for n in numbers if isinstance(n, int) and 400 <= n < 600), None),
        number=code if isinstance(code, int) else None,
        delay=details.get("retryDelay") or error.get("estimated_time"),
        headers=_read_headers(as_object(metadata.get("headers"))),
        quotas=_read_quotas(details.get("violations")),
        relayed=nested != ErrorBody(),
    )


def _read_message(error: dict[str, Any]) -> str:
    for name in ("message", "detail", "description", "error_description"):
        text = error.get(name)
        if isinstance(text, list) and text and isinstance(text[0], dict):  # FastAPI's list
            text = text[0].get("msg")
        if isinstance(text, str) and text:
            return text
    return flatten(msgspec.json.encode(error)) if error else ""


def _merge_details(details: object) -> dict[str, Any]:
    """Google's list of details as one: their fields' names do not clash."""
    merged: dict[str, Any] = {}
    for detail in as_objects(details):
        merged.update(detail)
    return merged


def _read_headers(headers: dict[str, Any]) -> dict[str, str]:
    """OpenRouter's `metadata.headers`: those of a rate limit. Names in lower case."""
    return {
        name.lower(): str(value)
        for name, value in islice(headers.items(), MOST)
        if len(name) <= SHOWN and isinstance(value, str | int | float)
    }


def _read_quotas(violations: object) -> tuple[str, ...]:
    """The names in Google's QuotaFailure."""
    names = (violation.get("quotaId") for violation in as_objects(violations))
    return tuple(name[:SHOWN] for name in islice(names, MOST) if isinstance(name, str))
