"""The kept responses of a key, as an isolate reaches them."""

from contextlib import suppress
from typing import TypeVar

from msgspec import Raw

from proxy.core.circuit import Circuit
from proxy.core.errors import PayloadTooLarge, Unavailable
from proxy.core.ports import Clock, Log, Objects
from proxy.core.principal import Principal
from proxy.core.rpc import Method
from proxy.responses.messages import (
    DELETE,
    FIND,
    FORGET,
    KEEP,
    LIST_INPUT,
    READ_CONTEXT,
    Context,
    ContextQuery,
    Exchange,
    InputPage,
    InputQuery,
)

A = TypeVar("A")
R = TypeVar("R")

STORE_SECONDS = 5.0
"""What the object may take."""


class ResponseStore:
    """Reaches the object of each key: what a key has made is never shown to another."""

    def __init__(self, objects: Objects, clock: Clock, log: Log) -> None:
        self._objects = objects
        self._log = log
        self._circuit = Circuit(clock)

    async def keep(self, owner: Principal, exchange: Exchange) -> None:
        """Keeps a response. One that can't be kept is logged."""
        try:
            await self._call(KEEP, owner, exchange)
        except Unavailable as error:
            self._log("error", "response not kept", id=exchange.id, error=error.message)

    async def read_context(self, owner: Principal, query: ContextQuery) -> Context:
        """What a request refers to. Raises Unavailable; PayloadTooLarge where it has no room for
        that."""
        context = await self._call(READ_CONTEXT, owner, query)
        if context.is_too_large:
            raise PayloadTooLarge(
                f"What the request refers to is over {query.limit} bytes, the limit of a body.",
                param="previous_response_id",
            )
        return context

    async def find(self, owner: Principal, id_: str) -> Raw | None:
        """A response. Raises Unavailable."""
        found = await self._call(FIND, owner, id_)
        return found.body if found.is_kept else None

    async def delete(self, owner: Principal, id_: str) -> bool:
        """Forgets a response; whether it was kept. Raises Unavailable."""
        return await self._call(DELETE, owner, id_)

    async def forget(self, owner: Principal) -> None:
        """Forgets all responses of a key that has ended. What can't be forgotten now is over after
        its time, and nobody is shown it until then."""
        with suppress(Unavailable):
            await self._call(FORGET, owner, None)

    async def list_input(self, owner: Principal, query: InputQuery) -> InputPage:
        """The input items of a response. Raises Unavailable."""
        return await self._call(LIST_INPUT, owner, query)

    async def _call(self, method: Method[A, R], owner: Principal, argument: A) -> R:
        name = f"key:{owner.key_id}" if owner.key_id else f"user:{owner.user}"
        work = self._objects.call(method, name, argument)
        try:
            return await self._circuit.call(name, work, STORE_SECONDS)
        except Exception as error:
            self._log("error", "responses unreachable", error=repr(error)[:500])
            raise Unavailable(
                "The kept responses can't be reached now. Try again, or send the whole input.",
                code="response_store_unreachable",
                retry_after=1,
            ) from None
