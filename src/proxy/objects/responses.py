"""The Durable Object of a key's responses."""

from typing import Any

from proxy.core.settings import ResponseSettings, read_section
from proxy.objects.edge_object import EdgeObject
from proxy.objects.rpc import serves
from proxy.platform.clock import now_ms
from proxy.platform.sql import RawSQL
from proxy.responses.book import ResponseBook
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
    FoundResponse,
    InputPage,
    InputQuery,
)


class Responses(EdgeObject):
    """The responses that one key has made. See responses.book.

    Its alarm forgets what is RESPONSES_TTL seconds old.
    """

    def __init__(self, ctx: Any, env: Any) -> None:
        super().__init__(ctx, env)
        self._storage = ctx._ctx.storage
        settings = read_section(ResponseSettings, lambda name: getattr(env, name, ""))
        self._book = ResponseBook(RawSQL(self._storage), settings.ttl * 1000)

    @serves(KEEP)
    def keep(self, exchange: Exchange) -> None:
        """Keeps a response."""
        self._book.keep(exchange, now_ms())
        self._set_alarm()

    @serves(READ_CONTEXT)
    def read_context(self, query: ContextQuery) -> Context:
        """What a request refers to."""
        return self._book.read_context(query, now_ms())

    @serves(FIND)
    def find(self, id_: str) -> FoundResponse:
        """A response."""
        return self._book.find(id_, now_ms())

    @serves(DELETE)
    def delete(self, id_: str) -> bool:
        """Forgets a response."""
        return self._book.delete(id_)

    @serves(FORGET)
    def forget(self, _: None) -> None:
        """Forgets all responses, as their key has ended."""
        self._book.forget(now_ms())
        self._set_alarm()

    @serves(LIST_INPUT)
    def list_input(self, query: InputQuery) -> InputPage:
        """The input items of a response."""
        return self._book.list_input(query, now_ms())

    async def on_alarm(self, info: Any = None) -> None:
        """Forgets what is over, and waits for the next."""
        self._book.prune(now_ms())
        self._set_alarm()

    def _set_alarm(self) -> None:
        due = self._book.find_prune_at()
        if due is not None:
            self._storage.setAlarm(max(due, now_ms()))
