"""What a Worker has to do at least that answers a request by its body: read it, parse it, hash
it. Measured beside the proxy (bench.hit)."""

import hashlib

import js
import msgspec
from pyodide.ffi import to_js


class Ask(msgspec.Struct):
    """The part of the body that is looked at."""

    prompt: str


_ASK = msgspec.json.Decoder(Ask)


async def on_fetch(request, env, ctx):  # type: ignore[no-untyped-def]
    """Answers with the prompt's hash."""
    if request.method == "GET":
        return js.Response.new("ok")
    body = (await request.arrayBuffer()).to_bytes()
    digest = hashlib.sha256(_ASK.decode(body).prompt.encode()).hexdigest()
    headers = {"headers": {"content-type": "application/json"}}
    answer = to_js(b'{"data":"%s"}' % digest.encode())
    return js.Response.new(answer, to_js(headers, dict_converter=js.Object.fromEntries))
