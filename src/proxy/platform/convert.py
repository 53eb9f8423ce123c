"""Values across the border. A Python dict handed over as it is aborts the isolate."""

import asyncio
from collections.abc import Mapping
from functools import cache
from typing import Any

import js
import msgspec
from pyodide.ffi import to_js

from proxy.core.ports import Body

_HEADERS = msgspec.json.Decoder(dict[str, str])


@cache  # what is looked up in JavaScript is looked up dearly
def find_function(owner: str, name: str) -> Any:
    """A function of a global object of JavaScript; `new` constructs one."""
    return getattr(getattr(js, owner), name)


def to_js_object(values: Mapping[str, Any], **objects: Any) -> Any:
    """A plain JavaScript object. values: those that JSON has, which cross as one text in a third of
    the time; objects: JavaScript's own."""
    made = find_function("JSON", "parse")(msgspec.json.encode(values).decode())
    for name, value in objects.items():
        setattr(made, name, value)
    return made


@cache
def byob_mode() -> Any:
    """The options of a stream's reader that fills buffers."""
    return to_js_object({"mode": "byob"})


def bind(function: Any, owner: Any, *args: Any) -> Any:
    """A function of JavaScript, to which its owner and its first arguments are bound."""
    return _find_bind()(function, owner, *args)


@cache
def _find_bind() -> Any:
    return js.Function.prototype.bind.call  # a stub of a service has no `bind` of its own


def begin(function: Any, *args: Any) -> Any:
    """Calls a function of JavaScript and gives a promise of its value. Of a promise that a call
    returns Pyodide makes a future: JavaScript enters Python for its value, whether or not anybody
    waits for it. This one it has put into an array."""
    call = bind(find_function("Promise", "try"), js.Promise, function, *args)
    return find_function("Array", "from")("1", call)[0]


def ignore_failure(promise: Any) -> None:
    """Lets a promise fail that nobody waits for: it would be logged. promise: what a function of
    JavaScript has returned, which Pyodide makes a future of."""
    promise.add_done_callback(_look_at)


def _look_at(future: "asyncio.Future[Any]") -> None:
    if not future.cancelled():
        future.exception()


def to_js_bytes(body: Body) -> Any:
    """A body as a Uint8Array, copied once."""
    if isinstance(body, bytes):
        return to_js(body)
    parts = [memoryview(part) for part in body]
    array = js.Uint8Array.new(sum(map(len, parts)))
    at = 0
    for part in parts:
        if part:
            array.subarray(at, at + len(part)).assign(part)
        at += len(part)
    return array


def read_headers(message: Any) -> dict[str, str]:
    """All headers of a request or response, names in lower case. They cross as one text."""
    entries = find_function("Object", "fromEntries")(message.headers)
    return _HEADERS.decode(find_function("JSON", "stringify")(entries))


def read_env(env: Any) -> dict[str, Any]:
    """All bindings of an environment by their names: vars and secrets as texts, others as they
    are."""
    bindings: dict[str, Any] = js.Object.fromEntries(js.Object.entries(env)).to_py(depth=1)
    return bindings
