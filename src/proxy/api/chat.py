"""The paths of chat."""

from proxy.api.body import read_body
from proxy.api.services import Services
from proxy.core.web import Response
from proxy.serving.context import RequestContext


async def answer_chat(services: Services, context: RequestContext) -> Response:
    """POST /v1/generate, /v1/chat/completions and /v1/messages, in the path's dialect."""
    return await services.chat.answer_body(context, await read_body(services, context))
