"""The paths of models."""

from urllib.parse import unquote

from proxy.api.services import Services
from proxy.core.errors import NotFound
from proxy.core.principal import ModelGrant
from proxy.core.web import JSON, Response
from proxy.dialects import openai
from proxy.serving.context import RequestContext


def list_models(services: Services, context: RequestContext) -> Response:
    """GET /v1/models."""
    listing = services.selection.list_models(_grant_of(context))
    return Response(headers=dict(JSON), body=openai.models(listing))


def show_model(services: Services, context: RequestContext) -> Response:
    """GET /v1/models/ID. Raises NotFound."""
    name = unquote(context.request.path.partition("/models/")[2].rstrip("/"))
    if entry := services.selection.find_entry(name, _grant_of(context)):
        return Response(headers=dict(JSON), body=openai.model(entry))
    raise NotFound(
        f"The model {name[:200]!r} is not offered here; GET /v1/models lists those that are.",
        param="model",
        code="model_not_found",
    )


def _grant_of(context: RequestContext) -> ModelGrant:
    return context.principal.grant if context.principal else ModelGrant()
