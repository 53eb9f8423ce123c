"""The path of embeddings."""

from proxy.api.body import read_body
from proxy.api.services import Services
from proxy.core.web import Response
from proxy.dialects import openai
from proxy.serving.context import RequestContext


async def answer_embeddings(services: Services, context: RequestContext) -> Response:
    """POST /v1/embeddings."""
    request = openai.parse_embeddings(await read_body(services, context))
    return await services.embeddings.answer(context, request)
