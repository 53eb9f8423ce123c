"""How tests call the app."""

import asyncio
import inspect
import json
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl

from proxy.api.app import App
from proxy.api.misconfigured import Misconfigured
from proxy.core.errors import PayloadTooLarge
from proxy.core.web import Request, Response
from tests.unit.described import check_described
from tests.unit.doubles import Caller

ENV = {
    "ENVIRONMENT": "development",
    "OPENAI_API_KEY": "key-of-openai",
    "RETRY_ATTEMPTS": "1",
    "RATE_LIMIT_LEASE": "1",  # no lease to look after while a test waits for all that is put off
}
JSON = {"content-type": "application/json"}

DEFERRED: set[asyncio.Task[object]] = set()


class Unread:
    """A body that goes on unread (core.ports.Upload)."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def take(self) -> object:
        return self.content or None


def defer(work: Awaitable[object]) -> None:
    task = asyncio.ensure_future(work)
    DEFERRED.add(task)
    task.add_done_callback(DEFERRED.discard)


def request(method: str, path: str, body: Any = b"", **headers: str) -> Request:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def read(limit: int) -> bytes:
        if len(content) > limit:
            raise PayloadTooLarge(f"The body is over {limit} bytes.")
        return content

    path, _, query = path.partition("?")
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    url = f"https://proxy.example{path}{query and '?'}{query}"
    upload = Unread(content)
    return Request(
        method,
        path,
        dict(parse_qsl(query, keep_blank_values=True)),
        given,
        read,
        defer,
        None,
        url,
        upload,
    )


def as_it_is(response: Response) -> Response:
    """The build of a caller that wants the response itself."""
    return response


async def send(
    app: App | Misconfigured, request: Request, build: Callable[[Response], Response] = as_it_is
) -> Response:
    reaction = app.handle(request, build)
    response = await reaction if inspect.isawaitable(reaction) else reaction
    check_described(request, response)
    return response


def send_at_once(app: App | Misconfigured, request: Request) -> Response:
    """The response to a request that waits for nothing."""
    response = app.handle(request, as_it_is)
    assert isinstance(response, Response)
    check_described(request, response)
    return response


async def read_stream(response: Response, gone_after: int | None = None) -> bytes:
    """What the caller receives; it hangs up after that many pieces."""
    caller = Caller(gone_after)
    assert response.stream
    await response.stream(caller)
    return b"".join(caller.pieces)
