"""The way to the Durable Objects, and how they answer: core.rpc over the platform's RPC."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping
from functools import wraps
from inspect import isawaitable
from typing import Any, TypeVar

from pyodide.ffi import to_js

from proxy.core.rpc import Method
from proxy.platform.replies import Bounds, StreamReply

A = TypeVar("A")
R = TypeVar("R")
S = TypeVar("S")

SILENT_SECONDS = 660.0
"""What a batch's object may take until a result: longer than any request."""


class RpcObjects:
    """core.ports.Objects over the namespaces of the Worker, by the names of their bindings."""

    def __init__(self, namespaces: Mapping[str, Any]) -> None:
        self._namespaces = namespaces

    async def call(self, method: Method[A, R], name: str, argument: A) -> R:
        """See core.ports.Objects."""
        stub = self._namespaces[method.binding].getByName(name)
        answer = await getattr(stub, method.name)(to_js(method.argument.encode(argument)))
        return method.answer.decode(answer if isinstance(answer, str) else answer.to_bytes())


def serves(
    method: Method[A, R],
) -> Callable[
    [Callable[[S, A], R | Awaitable[R]]], Callable[[S, Any], Coroutine[Any, Any, object]]
]:
    """Has a function of an object's class answer a method, whose name it must have."""

    def served_by(
        function: Callable[[S, A], R | Awaitable[R]],
    ) -> Callable[[S, Any], Coroutine[Any, Any, object]]:
        if function.__name__ != method.name:
            raise TypeError(f"{function.__name__} can't answer {method.binding}.{method.name}")

        @wraps(function)
        async def served(self: S, crossed: Any) -> object:
            data = crossed if isinstance(crossed, str) else bytes(crossed)
            answer = function(self, method.argument.decode(data))
            return to_js(method.answer.encode(await answer if isawaitable(answer) else answer))

        return served

    return served_by


class RpcBatches:
    """core.ports.Batches over the Durable Objects, whose answer is a stream."""

    def __init__(self, namespace: Any) -> None:
        self._namespace = namespace

    async def start(self, name: str, chunk: bytes) -> AsyncGenerator[bytes, None]:
        """See core.ports.Batches."""
        stream = await self._namespace.getByName(name).run_chunk(to_js(chunk))
        return _lines(StreamReply(200, {}, stream, Bounds(SILENT_SECONDS)))


async def _lines(reply: StreamReply) -> AsyncGenerator[bytes, None]:
    try:
        begun: list[bytes] = []
        async for piece in reply.chunks():
            first, *others = piece.split(b"\n")
            begun.append(first)
            for other in others:
                yield b"".join(begun)
                begun = [other]
    finally:
        reply.abort()
