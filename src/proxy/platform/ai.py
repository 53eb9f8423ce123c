"""The AI binding as an upstream: what it returns or throws, as an answer with a status.

A parsed object becomes `application/json`, a stream `text/event-stream`; a thrown error
becomes status 500 with its text, `<code>: <description>`, as the body.
"""

import asyncio
from typing import Any

import js
from pyodide.ffi import JsException

from proxy.core.errors import Fault
from proxy.core.ports import Outgoing, Reply
from proxy.platform.convert import to_js_bytes, to_js_object
from proxy.platform.replies import Bounds, BytesReply, StreamReply

AFFINITY = "x-session-affinity"
"""The header by which Workers AI finds a conversation's prompts in its cache."""


async def run_ai(ai: Any, request: Outgoing, idle: float) -> Reply:
    """Runs `request` on the binding. POST runs the model that the URL names, its inputs being
    the JSON body; GET lists models. Raises Fault where there is no binding."""
    if ai is None:
        raise Fault("network", "The Worker has no AI binding.")
    try:
        if request.method == "GET":
            result = await ai.models()
        else:
            text = js.Response.new(to_js_bytes(request.body or b"{}"))  # decodes it in one crossing
            inputs = await text.json()
            named = {AFFINITY: request.headers[AFFINITY]} if AFFINITY in request.headers else {}
            options = [to_js_object({"extraHeaders": named})] if named else []
            model = request.url.removeprefix("ai:")
            running = asyncio.ensure_future(ai.run(model, inputs, *options))
            try:
                result = await asyncio.shield(running)
            except asyncio.CancelledError:
                running.add_done_callback(_close)
                raise
        if hasattr(result, "getReader"):
            return StreamReply(200, {"content-type": "text/event-stream"}, result, Bounds(idle))
        # As a stream it is read within bounds, as any answer is.
        body = js.Response.json(result).body
        headers = {"content-type": "application/json"}
        return StreamReply(200, headers, body, Bounds(idle, request.largest, request.hold))
    except JsException as error:
        text = str(getattr(error, "message", "") or error)
        return BytesReply(500, {"content-type": "text/plain"}, text.encode())


def _close(running: "asyncio.Future[Any]") -> None:
    """Closes the answer that nobody waits for any more: its model would go on."""
    if not running.cancelled() and not running.exception():
        result = running.result()
        if hasattr(result, "getReader"):
            result.cancel()
