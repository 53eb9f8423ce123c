"""OpenAI's Responses: POST /v1/responses.

What a provider of this dialect has sent goes on as the same bytes; the rest is rendered in its
form, so that OpenAI's SDKs and Codex read it. Requests are read in responses_request, what they say
of earlier ones in responses_references.
"""

import msgspec

from proxy.dialects.contract import DialectName, LimitHeaders
from proxy.dialects.contract import headers as headers
from proxy.dialects.responses_error import error as error
from proxy.dialects.responses_error import status as status
from proxy.dialects.responses_output import answer as answer
from proxy.dialects.responses_request import parse_chat as parse_chat
from proxy.dialects.responses_stream import ResponsesWriter

NAME: DialectName = "responses"
LIMIT_HEADERS: LimitHeaders = "openai"

writer = ResponsesWriter


def input_tokens(count: int) -> bytes:
    """The body that says how many tokens a request has."""
    return msgspec.json.encode({"object": "response.input_tokens", "input_tokens": count})
