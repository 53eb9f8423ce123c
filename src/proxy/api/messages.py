"""The paths of Anthropic's Messages beside the messages themselves, which are chats."""

from proxy.api.body import read_body
from proxy.api.services import Services
from proxy.core.web import FRESH_JSON, Response
from proxy.dialects import anthropic
from proxy.limits.estimate import count_input_tokens
from proxy.serving.context import RequestContext

ESTIMATED = {"x-proxy-estimate": "true"}
"""Says of a count of tokens that it is the proxy's own estimate."""


async def count_tokens(services: Services, context: RequestContext) -> Response:
    """POST /v1/messages/count_tokens: an estimate, which costs nothing, but counts as a request."""
    given = await read_body(services, context)
    await services.tasks.admit(context)
    call = await services.aliasing.apply_words(context, anthropic.parse_count(given))
    body = anthropic.count_tokens(count_input_tokens(call.chat))
    return Response(headers=FRESH_JSON | ESTIMATED, body=body)
