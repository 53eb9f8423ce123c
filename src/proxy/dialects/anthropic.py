"""Anthropic's Messages as a callers' dialect: POST /v1/messages, its count of tokens, GET
/v1/models.

What a provider has sent in this dialect goes on as it is; the rest is rendered in its form, so
that Claude Code and the SDKs read it. Requests are read in anthropic_request.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from proxy.core.model_entry import ModelEntry
from proxy.dialects.anthropic_answer import answer as answer
from proxy.dialects.anthropic_error import error as error
from proxy.dialects.anthropic_error import headers as headers
from proxy.dialects.anthropic_error import status as status
from proxy.dialects.anthropic_request import parse_chat as parse_chat
from proxy.dialects.anthropic_request import parse_count as parse_count
from proxy.dialects.anthropic_stream import writer as writer
from proxy.dialects.contract import DialectName, LimitHeaders

NAME: DialectName = "messages"
LIMIT_HEADERS: LimitHeaders = "anthropic"
_UNKNOWN_DATE = "1970-01-01T00:00:00Z"
"""What Anthropic's form has for a time of release that is not known."""


def count_tokens(tokens: int) -> bytes:
    """The body of a count of a prompt's tokens."""
    return msgspec.json.encode({"input_tokens": tokens})


def models(entries: Iterable[ModelEntry]) -> bytes:
    """The list of models, all on one page."""
    data = [_describe(entry) for entry in entries]
    ends = {
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
    }
    return msgspec.json.encode({"data": data, "has_more": False, **ends})


def model(entry: ModelEntry) -> bytes:
    """One model."""
    return msgspec.json.encode(_describe(entry))


def _describe(entry: ModelEntry) -> dict[str, Any]:
    return {
        "type": "model",
        "id": entry.id,
        "display_name": entry.id,
        "created_at": _UNKNOWN_DATE,
        "lifecycle": "active",
    }
