"""The paths of models."""

from urllib.parse import unquote

from proxy.api.services import Services
from proxy.core.errors import NotFound
from proxy.core.principal import ModelGrant
from proxy.core.web import JSON, Response
from proxy.dialects import anthropic, codex, openai
from proxy.serving.context import RequestContext

ANTHROPIC = "anthropic-version"
"""The header that Anthropic's clients send with every request."""


async def list_models(services: Services, context: RequestContext) -> Response:
    """GET /v1/models, in the form of Codex, of Anthropic's clients or of OpenAI's."""
    aliases = await services.aliasing.list_models(context)
    listing = services.selection.list_models(_grant_of(context), aliases)
    if "client_version" in context.request.query:
        body = codex.models(listing)
    elif ANTHROPIC in context.request.headers:
        body = anthropic.models(entry for entry in listing if entry.chats)
    else:
        body = openai.models(listing)
    return Response(headers=dict(JSON), body=body)


async def show_model(services: Services, context: RequestContext) -> Response:
    """GET /v1/models/ID. Raises NotFound."""
    form = anthropic if ANTHROPIC in context.request.headers else openai
    context.dialect = form
    name = unquote(context.request.path.partition("/models/")[2].rstrip("/"))
    entry = await services.aliasing.find_entry(context, name)
    if entry := entry or services.selection.find_entry(name, _grant_of(context)):
        return Response(headers=dict(JSON), body=form.model(entry))
    raise NotFound(
        f"The model {name[:200]!r} is not offered here; GET /v1/models lists those that are.",
        param="model",
        code="model_not_found",
    )


def _grant_of(context: RequestContext) -> ModelGrant:
    return context.principal.grant if context.principal else ModelGrant()
