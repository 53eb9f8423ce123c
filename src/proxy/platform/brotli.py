"""Brotli, which Python's standard library lacks and the platform's node:zlib has."""

import js
from pyodide.ffi import JsException, to_js

from proxy.core.codings import too_large
from proxy.platform.convert import to_js_object


def unbrotli(data: bytes, limit: int) -> bytes:
    """See core.codings.Unbrotli."""
    decompress = js.process.getBuiltinModule("node:zlib").brotliDecompressSync
    bound = decompress.bind(None, to_js(data), to_js_object({"maxOutputLength": limit}))
    try:
        # The result is a Buffer, which Pyodide can't take over: it stays in JavaScript's array.
        made = getattr(js.Array, "from")(to_js_object({"length": 1}), bound)
    except JsException as error:
        if error.name == "RangeError":
            raise too_large(limit) from error
        raise ValueError("it is no Brotli, or not all of it") from error
    inflated: bytes = js.Reflect.construct(js.Uint8Array, made).to_bytes()
    return inflated
