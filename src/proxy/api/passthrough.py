"""The paths whose requests go on to a provider as they are (docs/passthrough.md)."""

from collections.abc import Callable, Coroutine

from msgspec import structs

from proxy.api.services import Services
from proxy.core.errors import NotFound
from proxy.core.web import Response
from proxy.routing.passage import Wish
from proxy.serving.context import RequestContext

NAMED = (
    "completions",
    "moderations",
    "images/generations",
    "images/edits",
    "images/variations",
    "audio/transcriptions",
    "audio/translations",
    "audio/speech",
    "rerank",
)
"""Endpoints of OpenAI's API, and one that is like them, whose body names the model and with it the
provider."""
Handler = Callable[[Services, RequestContext], Coroutine[None, None, Response]]


async def pass_to_provider(services: Services, context: RequestContext) -> Response:
    """ANY /p/PROVIDER/PATH."""
    provider, _, path = context.request.path.removeprefix("/p/").partition("/")
    return await _pass(services, context, Wish(provider=provider, path=path, root=f"/p/{provider}"))


def pass_below(root: str, provider: str) -> Handler:
    """ANY ROOT/PATH, where an SDK of the provider's has its base URL."""

    async def handle(services: Services, context: RequestContext) -> Response:
        path = context.request.path.removeprefix(f"{root}/")
        wish = Wish(provider=provider, path=path, root=root, versioned=provider != "gemini")
        return await _pass(services, context, wish)

    return handle


async def pass_named(services: Services, context: RequestContext) -> Response:
    """POST /v1/images/generations and the others of NAMED."""
    path = context.request.path.strip("/").removeprefix("v1/")
    return await services.passthrough.answer_named(context, path)


async def _pass(services: Services, context: RequestContext, wish: Wish) -> Response:
    if not wish.path:
        raise NotFound(
            f"There is nothing at {context.request.path[:200]}: what is below it goes to"
            f" {wish.provider[:100]}.",
            code="unknown_url",
        )
    _, _, query = context.request.url.partition("?")
    return await services.passthrough.answer(context, structs.replace(wish, query=query))
