"""The way to the providers over HTTP, and over the AI binding for `ai:` URLs."""

import asyncio
from typing import Any

import js
from pyodide.ffi import JsException

from proxy.core.chat import Blame
from proxy.core.errors import Fault
from proxy.core.ports import URL, Outgoing, Reply
from proxy.platform.ai import run_ai
from proxy.platform.convert import find_function, read_headers, to_js_bytes, to_js_object
from proxy.platform.replies import Bounds, StreamReply


class FetchUpstream:
    """core.ports.Upstream on the platform's fetch and the Worker's AI binding."""

    def __init__(self, ai: Any) -> None:
        """ai: the AI binding, None where the Worker has none."""
        self._ai = ai

    async def send(self, request: Outgoing, *, idle: float) -> Reply:
        """See core.ports.Upstream."""
        if request.url.startswith("ai:"):
            return await run_ai(self._ai, request, idle)
        controller = find_function("AbortController", "new")()
        options = to_js_object(
            {
                "method": request.method,
                "headers": request.headers,
                "redirect": "manual",  # a redirect would carry the key elsewhere
            },
            signal=controller.signal,
        )
        if request.body is not None:
            options.body = to_js_bytes(request.body)
        elif request.upload and (stream := request.upload.take()):
            options.body = stream
        try:
            response = await find_function("globalThis", "fetch")(request.url, options)
        except JsException as error:
            # The platform's bound on subrequests is no silence of the provider's.
            blame: Blame = "proxy" if "subrequest" in str(error) else "provider"
            raise Fault("network", "The provider can't be reached.", blame=blame) from error
        except asyncio.CancelledError:
            controller.abort()
            raise
        bounds = Bounds(idle, request.largest, request.hold)
        headers = read_headers(response)
        return StreamReply(response.status, headers, response.body, bounds, controller)


def parse_url(text: str, base: str | None) -> URL | None:
    """core.ports.ParseURL: what `fetch` makes of an address is the platform's to say."""
    try:
        url = js.URL.new(text) if base is None else js.URL.new(text, base)
    except JsException:
        return None
    return URL(
        href=url.href,
        scheme=url.protocol.removesuffix(":"),
        host=url.hostname,
        has_credentials=bool(url.username or url.password),
        shown=url.origin + url.pathname,
    )
