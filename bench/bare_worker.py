"""The least that a Worker does for an answer that depends on the body: read, parse and hash it.
bench.hit measures it beside the proxy."""

import hashlib
from typing import Any

import js
import msgspec
from pyodide.ffi import to_js


class _Body(msgspec.Struct):
    prompt: str


_BODY = msgspec.json.Decoder(_Body)


async def on_fetch(request: Any, env: Any, ctx: Any) -> Any:
    """Answers with the prompt's hash."""
    if request.method == "GET":
        return js.Response.new("ok")
    body = (await request.arrayBuffer()).to_bytes()
    digest = hashlib.sha256(_BODY.decode(body).prompt.encode()).hexdigest()
    headers = {"headers": {"content-type": "application/json"}}
    answer = to_js(b'{"data":"%s"}' % digest.encode())
    return js.Response.new(answer, to_js(headers, dict_converter=js.Object.fromEntries))
