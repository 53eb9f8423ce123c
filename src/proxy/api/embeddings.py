"""The path of embeddings."""

from proxy.api.body import read_body
from proxy.api.services import Services
from proxy.core.web import Response
from proxy.dialects import openai
from proxy.serving.context import RequestContext


async def answer_embeddings(services: Services, context: RequestContext) -> Response:
    """POST /v1/embeddings."""
    body = await read_body(services, context)
    if services.guard:
        body = await services.guard.screen(context, body)
    request = openai.parse_embeddings(body)
    return await services.embeddings.answer(context, request)
