"""What crosses to the objects that keep responses, and back.

A response is known by its id. Its items are JSON objects, each in its own bytes.
"""

from types import NoneType

from msgspec import Raw, Struct

from proxy.core.rpc import Method, as_bytes
from proxy.core.splice import NULL

BINDING = "RESPONSES"


class Exchange(Struct, frozen=True, kw_only=True):
    """A response with what was sent to get it."""

    id: str
    previous: str | None = None
    """The response that it follows; it is kept too, or gone."""
    input: tuple[Raw, ...] = ()
    """The request's own items."""
    body: Raw
    """The whole response, with its `output`."""

    @property
    def size(self) -> int:
        """Bytes of the items and the response."""
        return sum(len(memoryview(text)) for text in (*self.input, self.body))


class ContextQuery(Struct, frozen=True, kw_only=True):
    """What a request refers to."""

    previous: str | None = None
    items: tuple[str, ...] = ()
    """Ids of items."""
    limit: int
    """Bytes of items that the request has room for."""


class Context(Struct, frozen=True, kw_only=True):
    """What a request refers to, as far as it is kept."""

    earlier: tuple[Raw, ...] = ()
    """The items of all responses before it, inputs and outputs, in their order."""
    items: dict[str, Raw] = {}
    """By their id; what is missing is not kept."""
    has_previous: bool = True
    """Whether the response that it follows is kept, and all before it."""
    is_too_large: bool = False


class InputQuery(Struct, frozen=True, kw_only=True):
    """Which of a response's input items are wanted."""

    id: str
    after: str | None = None
    """The id of the item before the first."""
    limit: int = 20
    newest_first: bool = True


class InputPage(Struct, frozen=True, kw_only=True):
    """Input items of a response."""

    is_kept: bool
    items: tuple[Raw, ...] = ()
    has_more: bool = False


class FoundResponse(Struct, frozen=True):
    """A response; null: it is not kept."""

    body: Raw = NULL

    @property
    def is_kept(self) -> bool:
        """Whether there is one."""
        return self.body != NULL


KEEP = Method(BINDING, "keep", as_bytes(Exchange), as_bytes(NoneType))
READ_CONTEXT = Method(BINDING, "read_context", as_bytes(ContextQuery), as_bytes(Context))
FIND = Method(BINDING, "find", as_bytes(str), as_bytes(FoundResponse))
DELETE = Method(BINDING, "delete", as_bytes(str), as_bytes(bool))
FORGET = Method(BINDING, "forget", as_bytes(NoneType), as_bytes(NoneType))
LIST_INPUT = Method(BINDING, "list_input", as_bytes(InputQuery), as_bytes(InputPage))
