"""OpenAI's Responses: POST /v1/responses.

What a provider of this dialect has sent goes on as the same bytes; the rest is rendered in its
form, so that OpenAI's SDKs and Codex read it. Requests are read in responses_request, what they say
of earlier ones in responses_references.
"""

import msgspec

from proxy.core.chat import Answer, Call, Served
from proxy.core.errors import ProxyError
from proxy.dialects.contract import DialectName, LimitHeaders
from proxy.dialects.responses_error import choose_status, render_error
from proxy.dialects.responses_output import render
from proxy.dialects.responses_request import parse_chat
from proxy.dialects.responses_stream import ResponsesWriter

__all__ = [
    "LIMIT_HEADERS",
    "NAME",
    "ResponsesWriter",
    "answer",
    "error",
    "headers",
    "input_tokens",
    "parse_chat",
    "status",
    "writer",
]

NAME: DialectName = "responses"
LIMIT_HEADERS: LimitHeaders = "openai"

writer = ResponsesWriter


def answer(answer: Answer, call: Call, served: Served) -> bytes:
    """The body of a complete answer."""
    return render(call, served, answer)


def error(error: ProxyError, request_id: str, timestamp: float) -> bytes:
    """The body of an error. The time has no place in OpenAI's form."""
    return render_error(error, request_id)


def status(error: ProxyError) -> int:
    """The HTTP status of an error."""
    return choose_status(error)


def headers(request_id: str, error: ProxyError | None) -> dict[str, str]:
    """None beside those of every answer."""
    return {}


def input_tokens(count: int) -> bytes:
    """The body that says how many tokens a request has."""
    return msgspec.json.encode({"object": "response.input_tokens", "input_tokens": count})
